"""MobileNet files to compare runtimes with: drawn weights, onnxruntime's own quantiser.

Speed does not depend on what a network has learnt, so the weights are drawn (He initialisation, one seed) and
BatchNorm is taken as folded. Every convolution is followed by its bias and, where MobileNet has one, a ReLU6.
`quantize_static` then writes the QDQ file: u8 activations, s8 weights with one scale per output channel.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

CLASSES = 27


def divisible(value, by=8):
    """MobileNet's channel rounding: to a multiple of eight, never more than a tenth below."""
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


class Graph:
    """Collects nodes and drawn weights; one tensor is current at any time."""

    def __init__(self, seed=1):
        self.nodes, self.weights, self.rng, self.count = [], [], np.random.default_rng(seed), 0

    def constant(self, name, array):
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, **attributes):
        self.count += 1
        name = f"{op.lower()}_{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, channels_in, channels_out, kernel=1, stride=1, groups=1, relu6=True):
        fan_in = channels_in // groups * kernel * kernel
        deviation = (2.0 / fan_in) ** 0.5
        w = self.rng.normal(0, deviation, (channels_out, channels_in // groups, kernel, kernel))
        b = self.rng.normal(0, 0.2, channels_out)
        index = self.count
        x = self.node(
            "Conv",
            [
                x,
                self.constant(f"w{index}", w.astype(np.float32)),
                self.constant(f"b{index}", b.astype(np.float32)),
            ],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )
        if relu6:
            low = self.constant(f"low{index}", np.float32(0))
            high = self.constant(f"high{index}", np.float32(6))
            x = self.node("Clip", [x, low, high])
        return x

    def head(self, x, channels):
        x = self.node("GlobalAveragePool", [x])
        x = self.node("Flatten", [x], axis=1)
        w = self.rng.normal(0, 0.05, (CLASSES, channels)).astype(np.float32)
        b = self.rng.normal(0, 0.2, CLASSES).astype(np.float32)
        self.count += 1
        self.nodes.append(
            helper.make_node(
                "Gemm", [x, self.constant("head_w", w), self.constant("head_b", b)], ["logits"], name="head", transB=1
            )
        )

    def model(self, size):
        graph = helper.make_graph(
            self.nodes,
            "mobilenet",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def mobilenet_v1(width, size):
    g = Graph()
    channels = divisible(32 * width)
    x = g.conv("image", 3, channels, 3, 2)
    for out, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        out = divisible(out * width)
        x = g.conv(x, channels, channels, 3, stride, groups=channels)
        x = g.conv(x, channels, out)
        channels = out
    g.head(x, channels)
    return g.model(size)


def mobilenet_v2(width, size):
    g = Graph()
    channels = divisible(32 * width)
    x = g.conv("image", 3, channels, 3, 2)
    for expand, out, repeats, first_stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:
        out = divisible(out * width)
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            inner = channels * expand
            y = g.conv(x, channels, inner) if expand > 1 else x
            y = g.conv(y, inner, inner, 3, stride, groups=inner)
            y = g.conv(y, inner, out, relu6=False)
            x = g.node("Add", [x, y]) if stride == 1 and channels == out else y
            channels = out
    last = divisible(1280 * max(1.0, width))
    x = g.conv(x, channels, last)
    g.head(x, last)
    return g.model(size)


class Drawn(CalibrationDataReader):
    """Calibration pictures: smooth noise over the range a normalised picture has."""

    def __init__(self, size, count=8):
        rng = np.random.default_rng(2)
        coarse = rng.uniform(-2.0, 2.0, (count, 1, 3, 8, 8)).astype(np.float32)
        pictures = np.kron(coarse, np.ones((1, 1, 1, -(-size // 8), -(-size // 8)), np.float32))[..., :size, :size]
        self.left = iter(pictures + rng.normal(0, 0.1, pictures.shape).astype(np.float32))

    def get_next(self):
        picture = next(self.left, None)
        return None if picture is None else {"image": np.clip(picture, -2.1, 2.6)}


MODELS = {
    "v2-1.0-224": (mobilenet_v2, 1.0, 224),
    "v2-1.0-160": (mobilenet_v2, 1.0, 160),
    "v2-1.0-128": (mobilenet_v2, 1.0, 128),
    "v1-1.0-224": (mobilenet_v1, 1.0, 224),
    "v1-0.5-160": (mobilenet_v1, 0.5, 160),
}


def write(name, folder):
    """Writes NAME.f32.onnx and NAME.int8.onnx into the folder where they are missing; returns both paths."""
    build, width, size = MODELS[name]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    f32, int8 = folder / f"{name}.f32.onnx", folder / f"{name}.int8.onnx"
    if not f32.exists():
        onnx.save(build(width, size), f32)
    if not int8.exists():
        part = int8.with_suffix(".part")
        quantize_static(
            f32, part, Drawn(size), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )
        part.rename(int8)
    return f32, int8

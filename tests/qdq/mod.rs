//! Draws quantised (QDQ) picture networks as onnxruntime's `quantize_static` lays them out: u8 activations, s8 weights
//! with one scale per output channel, i32 biases, standard operators only.
#![allow(dead_code)] // each test and bench that includes this module uses a part of it

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};

/// Numbers from a seed (splitmix64).
pub struct Drawn(pub u64);

impl Drawn {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About normal: mean 0, deviation 1.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// A normalised picture with structure at all scales, 3 x height x width.
    pub fn planes(&mut self, [height, width]: [usize; 2]) -> Vec<f32> {
        let (a, b, c) = (self.unit() * 0.3, self.unit() * 0.3, self.unit() * 6.0);
        let picture = |i: usize| {
            let (y, x) = (i / width % height, i % width);
            ((y as f32 * a).sin() + (x as f32 * b + c).cos()) * 0.8
        };
        (0..3 * height * width)
            .map(|i| (picture(i) + 0.3 * self.normal()).clamp(-2.0, 2.5))
            .collect()
    }
}

/// A dequantised value of the graph being drawn.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub channels: usize,
    /// Height and width; 1x1 after the pool.
    pub size: [usize; 2],
    pub scale: f32,
}

/// How a convolution's result is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Not at all.
    None,
    /// ReLU6 that lives in the quantisation's range, as `quantize_static` leaves it.
    Folded,
    /// ReLU6 as a Clip before QuantizeLinear.
    Clip,
    /// A Relu before QuantizeLinear.
    Relu,
}

/// A network being drawn.
pub struct Graph {
    pub drawn: Drawn,
    pub model: GraphProto,
    count: usize,
}

pub fn attribute_int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: 2,
        i,
        ..Default::default()
    }
}

pub fn attribute_ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: 7,
        ints: ints.to_vec(),
        ..Default::default()
    }
}

pub fn attribute_text(name: &str, text: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: 3,
        s: text.as_bytes().to_vec(),
        ..Default::default()
    }
}

fn float_info(name: &str, dims: &[usize]) -> ValueInfoProto {
    let dim = |&d: &usize| Dimension {
        denotation: String::new(),
        value: Some(dimension::Value::DimValue(d as i64)),
    };
    let shape = TensorShapeProto {
        dim: dims.iter().map(dim).collect(),
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(shape),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
        doc_string: String::new(),
    }
}

impl Graph {
    /// Starts with a picture whose quantised bytes are its pixels: `(p / 255 - 0.45) / std`, zero point 115.
    pub fn new(size: usize, seed: u64) -> (Self, Value) {
        let mut graph = Self {
            drawn: Drawn(seed),
            model: GraphProto::default(),
            count: 0,
        };
        graph.model.name = "drawn".into();
        graph
            .model
            .input
            .push(float_info("image", &[1, 3, size, size]));
        let image = Value {
            name: "image".into(),
            channels: 3,
            size: [size, size],
            scale: 0.0,
        };
        let image = graph.quantized(image, INPUT_SCALE, INPUT_ZERO_POINT);
        (graph, image)
    }

    fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}_{}", self.count)
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = self.name(&op.to_lowercase());
        self.model.node.push(NodeProto {
            name: name.clone(),
            op_type: op.into(),
            input: inputs.iter().map(|&i| i.into()).collect(),
            output: vec![name.clone()],
            attribute: attributes,
            ..Default::default()
        });
        name
    }

    fn tensor(&mut self, kind: DataType, dims: &[usize], raw: Vec<u8>) -> String {
        let name = self.name("constant");
        self.model.initializer.push(TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: kind as i32,
            raw_data: raw,
            ..Default::default()
        });
        name
    }

    pub fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        self.tensor(
            DataType::Float,
            dims,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    pub fn int64s(&mut self, values: &[i64]) -> String {
        self.tensor(
            DataType::Int64,
            &[values.len()],
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }

    /// QuantizeLinear and DequantizeLinear after a value.
    pub fn quantized(&mut self, value: Value, scale: f32, zero_point: u8) -> Value {
        let s = self.floats(&[], &[scale]);
        let z = self.tensor(DataType::Uint8, &[], vec![zero_point]);
        let q = self.node("QuantizeLinear", &[&value.name, &s, &z], vec![]);
        let name = self.node("DequantizeLinear", &[&q, &s, &z], vec![]);
        Value {
            name,
            scale,
            ..value
        }
    }

    /// Dequantised s8 weights of deviation `sqrt(2 / fan in)`, with one scale per channel along `axis`.
    pub fn weights(&mut self, dims: &[usize], axis: usize, fan_in: usize) -> (String, Vec<f32>) {
        let channels = dims[axis];
        let inner: usize = dims[axis + 1..].iter().product();
        let deviation = (2.0 / fan_in as f32).sqrt();
        let scales: Vec<f32> = (0..channels)
            .map(|_| deviation * (2.0 + self.drawn.unit()) / 127.0)
            .collect();
        let raw = (0..dims.iter().product::<usize>()).map(|i| {
            let real = self.drawn.normal() * deviation;
            (real / scales[i / inner % channels])
                .round()
                .clamp(-127.0, 127.0) as i8 as u8
        });
        let raw = raw.collect();
        let w = self.tensor(DataType::Int8, dims, raw);
        let s = self.floats(&[channels], &scales);
        let z = self.tensor(DataType::Int8, &[channels], vec![0; channels]);
        let name = self.node(
            "DequantizeLinear",
            &[&w, &s, &z],
            vec![attribute_int("axis", axis as i64)],
        );
        (name, scales)
    }

    /// A dequantised i32 bias of deviation 0.2.
    pub fn bias(&mut self, weight_scales: &[f32], input_scale: f32) -> String {
        let channels = weight_scales.len();
        let scales: Vec<f32> = weight_scales.iter().map(|s| s * input_scale).collect();
        let raw = scales
            .iter()
            .flat_map(|s| ((self.drawn.normal() * 0.2 / s).round() as i32).to_le_bytes());
        let raw = raw.collect();
        let b = self.tensor(DataType::Int32, &[channels], raw);
        let s = self.floats(&[channels], &scales);
        let z = self.tensor(DataType::Int32, &[channels], vec![0; 4 * channels]);
        self.node(
            "DequantizeLinear",
            &[&b, &s, &z],
            vec![attribute_int("axis", 0)],
        )
    }

    /// A convolution with its bias, not yet quantised; `pads` are top, left, bottom, right.
    pub fn raw_conv(
        &mut self,
        x: &Value,
        channels: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
        pads: [usize; 4],
    ) -> Value {
        let fan_in = x.channels / groups * kernel * kernel;
        let (w, scales) = self.weights(&[channels, x.channels / groups, kernel, kernel], 0, fan_in);
        let b = self.bias(&scales, x.scale);
        let attributes = vec![
            attribute_int("group", groups as i64),
            attribute_ints("kernel_shape", &[kernel as i64; 2]),
            attribute_ints("strides", &[stride as i64; 2]),
            attribute_ints("pads", &pads.map(|p| p as i64)),
        ];
        let name = self.node("Conv", &[&x.name, &w, &b], attributes);
        let out = |axis: usize| (x.size[axis] + pads[axis] + pads[axis + 2] - kernel) / stride + 1;
        Value {
            name,
            channels,
            size: [out(0), out(1)],
            scale: 0.0,
        }
    }

    /// Bounds and quantises a layer's result.
    pub fn bounded(&mut self, y: Value, bound: Bound) -> Value {
        match bound {
            Bound::None => {
                let zero_point = 110 + (self.drawn.next() % 30) as u8;
                self.quantized(y, 0.06, zero_point)
            }
            Bound::Folded => self.quantized(y, 6.0 / 255.0, 0),
            Bound::Clip => {
                let (low, high) = (self.floats(&[], &[0.0]), self.floats(&[], &[6.0]));
                let name = self.node("Clip", &[&y.name, &low, &high], vec![]);
                self.quantized(Value { name, ..y }, 0.03, 3)
            }
            Bound::Relu => {
                let name = self.node("Relu", &[&y.name], vec![]);
                self.quantized(Value { name, ..y }, 0.04, 9)
            }
        }
    }

    /// A quantised convolution with torch's padding.
    pub fn conv(
        &mut self,
        x: &Value,
        channels: usize,
        kernel: usize,
        stride: usize,
        bound: Bound,
    ) -> Value {
        let y = self.raw_conv(x, channels, kernel, stride, 1, [kernel / 2; 4]);
        self.bounded(y, bound)
    }

    /// A quantised depthwise 3x3 convolution with torch's padding.
    pub fn depthwise(&mut self, x: &Value, stride: usize, bound: Bound) -> Value {
        let y = self.raw_conv(x, x.channels, 3, stride, x.channels, [1; 4]);
        self.bounded(y, bound)
    }

    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        let name = self.node("Add", &[&a.name, &b.name], vec![]);
        self.quantized(Value { name, ..a.clone() }, 0.08, 126)
    }

    pub fn pool(&mut self, x: &Value) -> Value {
        let name = self.node("GlobalAveragePool", &[&x.name], vec![]);
        let pooled = self.quantized(
            Value {
                name,
                size: [1, 1],
                ..x.clone()
            },
            x.scale * 0.6,
            2,
        );
        let name = self.node("Flatten", &[&pooled.name], vec![attribute_int("axis", 1)]);
        Value { name, ..pooled }
    }

    /// A dense layer as Gemm, its result not quantised.
    pub fn raw_dense(&mut self, x: &Value, classes: usize) -> Value {
        let (w, scales) = self.weights(&[classes, x.channels], 0, x.channels);
        let b = self.bias(&scales, x.scale);
        let name = self.node("Gemm", &[&x.name, &w, &b], vec![attribute_int("transB", 1)]);
        Value {
            name,
            channels: classes,
            size: [1, 1],
            scale: 0.0,
        }
    }

    /// Ends the graph: these values are its outputs, under their own names.
    pub fn finish(mut self, outputs: &[(&Value, &[usize])]) -> ModelProto {
        self.model.output = outputs
            .iter()
            .map(|(value, dims)| float_info(&value.name, dims))
            .collect();
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(self.model),
            ..Default::default()
        }
    }
}

/// Scale and zero point of the drawn networks' picture: [`MEAN`] and [`STD`] make its bytes the pixels themselves.
pub const INPUT_ZERO_POINT: u8 = 115;
pub const MEAN: f32 = 115.0 / 255.0;
pub const STD: f32 = 0.225;
pub const INPUT_SCALE: f32 = 1.0 / (255.0 * STD);

fn divisible(value: f32) -> usize {
    let rounded = ((value + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f32) < 0.9 * value {
        rounded + 8
    } else {
        rounded
    }
}

/// A MobileNetV1 with a dense head.
pub fn mobilenet_v1(width: f32, size: usize, classes: usize, seed: u64) -> ModelProto {
    let (mut g, image) = Graph::new(size, seed);
    let mut x = g.conv(&image, divisible(32.0 * width), 3, 2, Bound::Folded);
    let blocks = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (512, 1),
    ];
    let blocks = blocks
        .iter()
        .chain(&[(512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)]);
    for &(channels, stride) in blocks {
        x = g.depthwise(&x, stride, Bound::Folded);
        x = g.conv(&x, divisible(channels as f32 * width), 1, 1, Bound::Folded);
    }
    head(g, &x, classes)
}

/// A MobileNetV2 with a dense head.
pub fn mobilenet_v2(width: f32, size: usize, classes: usize, seed: u64) -> ModelProto {
    let (mut g, image) = Graph::new(size, seed);
    let mut x = g.conv(&image, divisible(32.0 * width), 3, 2, Bound::Folded);
    let stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expand, channels, repeats, first_stride) in stages {
        for repeat in 0..repeats {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let channels = divisible(channels as f32 * width);
            let inner = if expand == 1 {
                x.clone()
            } else {
                g.conv(&x, x.channels * expand, 1, 1, Bound::Folded)
            };
            let inner = g.depthwise(&inner, stride, Bound::Folded);
            let y = g.conv(&inner, channels, 1, 1, Bound::None);
            x = if stride == 1 && x.channels == channels {
                g.add(&x, &y)
            } else {
                y
            };
        }
    }
    let x = g.conv(&x, divisible(1280.0 * width.max(1.0)), 1, 1, Bound::Folded);
    head(g, &x, classes)
}

fn head(mut g: Graph, x: &Value, classes: usize) -> ModelProto {
    let pooled = g.pool(x);
    let logits = g.raw_dense(&pooled, classes);
    let logits = g.quantized(logits, 0.05, 120);
    g.finish(&[(&logits, &[1, classes])])
}

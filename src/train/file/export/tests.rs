use std::path::Path;

use super::*;
use crate::base::joints::JOINT_VALUES;
use crate::model::stock::StockNetwork;
use crate::model::{JOINTS_OUTPUT, Metadata, Model, Preprocessing};
use crate::train::file::graph::Shape;
use crate::train::file::quantize;
use crate::train::file::sketch::{self, Weights};
use crate::train::file::write::write_models;

/// A network with every operation, as a hand finder has them: two scales joined, two outputs.
fn every_operation() -> Graph {
    let mut weights = Weights::seeded(7);
    let mut graph = Graph::new(16).unwrap();
    let stem = weights.conv(8, 3, 3).stride(2).pad(1);
    let stem = stem.activation(Activation::Relu6);
    let stem = graph.conv("stem", graph.image(), stem).unwrap();
    let filter = weights.depthwise(8, 3).pad(1).activation(Activation::Relu);
    let x = graph.conv("filter", stem, filter).unwrap();
    let x = graph.conv("project", x, weights.conv(8, 8, 1)).unwrap();
    let sum = graph.add("sum", stem, x).unwrap();
    let grouped = Conv {
        groups: 2,
        ..Conv::new(8, 8, 3, weights.layer(8 * 4 * 9, 36))
    };
    let deep = graph.conv("deep", sum, grouped.stride(2).pad(1)).unwrap();
    let up = graph.upsample2x("up", deep).unwrap();
    let both = graph.concat("both", &[sum, up]).unwrap();
    let map = graph.conv("heat", both, weights.conv(2, 16, 1)).unwrap();
    graph.output("map", map).unwrap();
    let pooled = graph.global_average_pool("pool", both).unwrap();
    let hidden = weights.dense(12, 16).activation(Activation::Relu);
    let hidden = graph.dense("hidden", pooled, hidden).unwrap();
    let last = graph.dense("last", hidden, weights.dense(4, 12)).unwrap();
    graph.output("logits", last).unwrap();
    graph
}

fn crops(size: usize, count: usize) -> Vec<Vec<u8>> {
    let mut noise = Weights::seeded(99);
    (0..count)
        .map(|_| {
            let (base, slope) = (noise.uniform() * 200.0, noise.uniform() * 60.0);
            (0..size * size * 3)
                .map(|i| (base + slope * noise.uniform() + (i / 3 % size) as f32) as u8)
                .collect()
        })
        .collect()
}

fn outputs(model: &ModelProto, size: usize, picture: &[f32]) -> Vec<Vec<f32>> {
    let network = StockNetwork::load(model, size).unwrap();
    let mut all = Vec::new();
    network
        .run(picture, |_, values| all.push(values.to_vec()))
        .unwrap();
    all
}

/// Each node's result by the operators' definitions.
fn by_definition(graph: &Graph, picture: &[f32]) -> Vec<Vec<f32>> {
    let mut results: Vec<Vec<f32>> = Vec::new();
    for node in graph.nodes() {
        let input = |at: usize| &results[node.inputs[at].0];
        let shape_of = |at: usize| graph.node(node.inputs[at]).shape;
        let result = match &node.op {
            Op::Image => picture.to_vec(),
            Op::Conv(conv) => convolved(conv, input(0), shape_of(0), node.shape),
            Op::Add => input(0).iter().zip(input(1)).map(|(a, b)| a + b).collect(),
            Op::GlobalAveragePool => {
                let pixels = shape_of(0).height * shape_of(0).width;
                input(0)
                    .chunks(pixels)
                    .map(|channel| channel.iter().sum::<f32>() / pixels as f32)
                    .collect()
            }
            Op::Dense(dense) => dense
                .weight
                .chunks(dense.inputs)
                .zip(&dense.bias)
                .map(|(row, bias)| bias + row.iter().zip(input(0)).map(|(w, x)| w * x).sum::<f32>())
                .map(|y| activated(dense.activation, y))
                .collect(),
            Op::Upsample2x => {
                let Shape { height, width, .. } = node.shape;
                let pixel = |i: usize| {
                    let (c, y, x) = (i / (height * width), i / width % height, i % width);
                    input(0)[(c * height / 2 + y / 2) * (width / 2) + x / 2]
                };
                (0..node.shape.channels * height * width)
                    .map(pixel)
                    .collect()
            }
            Op::Concat => (0..node.inputs.len())
                .flat_map(|at| input(at).clone())
                .collect(),
        };
        results.push(result);
    }
    results
}

fn convolved(conv: &Conv, input: &[f32], from: Shape, to: Shape) -> Vec<f32> {
    let (grouped, kernel) = (conv.in_channels / conv.groups, conv.kernel);
    let mut result = Vec::new();
    for (out, bias) in conv.bias.iter().enumerate() {
        let first = out / (conv.out_channels / conv.groups) * grouped;
        for (y, x) in (0..to.height).flat_map(|y| (0..to.width).map(move |x| (y, x))) {
            let mut sum = *bias;
            for tap in 0..grouped * kernel * kernel {
                let (c, ky, kx) = (tap / kernel / kernel, tap / kernel % kernel, tap % kernel);
                let (sy, sx) = (y * conv.stride + ky, x * conv.stride + kx);
                let inside = |at: usize, size: usize| at >= conv.pad && at < size + conv.pad;
                if inside(sy, from.height) && inside(sx, from.width) {
                    let row = (first + c) * from.height + sy - conv.pad;
                    let pixel = input[row * from.width + sx - conv.pad];
                    sum += pixel * conv.weight[out * grouped * kernel * kernel + tap];
                }
            }
            result.push(activated(conv.activation, sum));
        }
    }
    result
}

fn activated(activation: Activation, y: f32) -> f32 {
    match activation {
        Activation::None => y,
        Activation::Relu => y.max(0.0),
        Activation::Relu6 => y.clamp(0.0, 6.0),
    }
}

#[test]
fn the_f32_file_computes_what_the_operators_are_defined_as() {
    let graph = every_operation();
    let preprocessing = Preprocessing::new(16, 1.35);
    let mut picture = vec![0.0; 16 * 16 * 3];
    preprocessing.normalise(&crops(16, 1)[0], &mut picture);
    let expected = by_definition(&graph, &picture);
    let got = outputs(&to_f32(&graph, &[]).unwrap(), 16, &picture);
    for ((name, id), got) in graph.outputs().iter().zip(&got) {
        let expected = &expected[id.0];
        assert_eq!(expected.len(), got.len(), "{name}");
        for (a, b) in expected.iter().zip(got) {
            assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
        }
    }
}

#[test]
fn the_int8_file_differs_from_f32_by_rounding_only() {
    for graph in [
        every_operation(),
        sketch::mobilenet_v2(32, 0.25, 5, 3).unwrap(),
        sketch::mobilenet_v1(32, 0.25, 5, 4).unwrap(),
    ] {
        let size = graph.input_size();
        let preprocessing = Preprocessing::new(size, 1.35);
        let (_, choice) = quantize::quantize(&graph, &crops(size, 24), &preprocessing).unwrap();
        let least = choice.candidates.iter().map(|c| c.relative_error);
        let least = least.fold(f64::INFINITY, f64::min);
        assert!(least < 0.15, "{size}: {:?}", choice.candidates);
    }
}

#[test]
fn the_first_units_are_the_pictures_bytes_and_joined_maps_share_a_scale() {
    let graph = every_operation();
    let preprocessing = Preprocessing::new(16, 1.35);
    let (quantization, _) = quantize::quantize(&graph, &crops(16, 8), &preprocessing).unwrap();
    let image = quantization.scales[0].unwrap();
    assert_eq!(image.zero_point, 114);
    assert!((image.step - 1.0 / (255.0 * 0.226)).abs() < 1e-9);
    let scale = |name: &str| {
        let at = graph.nodes().iter().position(|node| node.name == name);
        quantization.scales[at.unwrap()]
    };
    for name in ["up", "deep", "sum"] {
        assert_eq!(scale(name), scale("both"), "{name}");
    }
    assert_ne!(scale("project"), scale("both"));
    assert_eq!(scale("last"), None);
}

#[test]
fn a_network_is_written_the_same_every_time_and_reads_as_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let graph = sketch::mobilenet_v2(32, 0.25, 3, 5).unwrap();
    let metadata = Metadata::new(
        ["A", "B", "nothing"].map(String::from).to_vec(),
        Preprocessing::new(32, 1.35),
    );
    let written = |name: &str| {
        let path = folder.path().join(name);
        let props = metadata.to_props().unwrap();
        let crops = crops(32, 9);
        write_models(&graph, &crops, &metadata.preprocessing, &props, &path).unwrap()
    };
    let (first, second) = (written("a.onnx"), written("b.onnx"));
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    assert!(bytes(&first.int8) == bytes(&second.int8));
    assert!(bytes(&first.f32) == bytes(&second.f32));
    assert_eq!(first.int8_bytes, bytes(&first.int8).len());
    assert!(first.int8_bytes * 2 < bytes(&first.f32).len());

    let mut float = Model::load(&first.f32).unwrap();
    let mut int8 = Model::load(&first.int8).unwrap();
    assert_eq!(int8.metadata(), &metadata);
    let (mut p, mut q) = ([0.0; 3], [0.0; 3]);
    for crop in crops(32, 4) {
        float.read(&crop, &mut p).unwrap();
        int8.read(&crop, &mut q).unwrap();
        assert!((q.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        for (p, q) in p.iter().zip(q) {
            assert!((p - q).abs() < 0.05, "{p} {q}");
        }
    }
}

#[test]
fn joints_in_int8_are_within_a_pixel_of_those_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = sketch::mobilenet_v1(64, 0.25, 3, 5).unwrap();
    let pool = graph.nodes().iter().position(|node| node.name == "pool");
    // As spread as the joints of a hand are in a crop.
    let mut layer = Weights::seeded(8).dense(JOINT_VALUES, 256);
    layer.weight.iter_mut().for_each(|weight| *weight *= 0.3);
    layer.bias.iter_mut().for_each(|bias| *bias += 0.5);
    let joints = graph.dense("points", NodeId(pool.unwrap()), layer).unwrap();
    graph.output(JOINTS_OUTPUT, joints).unwrap();
    let labels = ["A", "B", "nothing"].map(String::from).to_vec();
    let metadata = Metadata::new(labels, Preprocessing::new(64, 1.35));
    let props = metadata.to_props().unwrap();
    let path = folder.path().join("letters.onnx");
    let crops = crops(64, 24);
    let written = write_models(&graph, &crops, &metadata.preprocessing, &props, &path).unwrap();
    let mut models = [&written.f32, &written.int8].map(|path| Model::load(path).unwrap());
    for crop in &crops[..6] {
        let [float, int8] = models.each_mut().map(|model| {
            let joints = model.read(crop, &mut [0.0; 3]).unwrap();
            joints.expect("the file gives joints")
        });
        for (float, int8) in float.as_flattened().iter().zip(int8.as_flattened()) {
            assert!((float - int8).abs() < 1.0 / 64.0, "{float} {int8}");
        }
    }
}

#[test]
fn pictures_that_do_not_fit_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let graph = sketch::mobilenet_v2(32, 0.25, 3, 5).unwrap();
    let refused = |crops: &[Vec<u8>], size: usize| {
        let preprocessing = Preprocessing::new(size, 1.35);
        write_models(&graph, crops, &preprocessing, &[], &path).unwrap_err();
    };
    refused(&[], 32);
    refused(&crops(31, 3), 32);
    refused(&crops(32, 3), 31);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

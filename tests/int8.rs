//! Quantised networks as the product runs them, against stock tract's run of the same graph.

mod qdq;

use proptest::prelude::*;
use qdq::{Bound, Drawn, Graph, attribute_int, attribute_ints, attribute_text};
use signcam::int8::{InputTransform, Isa, Lowering, Network, Unsupported};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

const INPUT: InputTransform = InputTransform {
    mean: [qdq::MEAN; 3],
    std: [qdq::STD; 3],
};

fn families() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

fn lowered(model: &ModelProto, isa: Isa) -> Network {
    match Network::lower_for(model, &INPUT, isa) {
        Lowering::Lowered(network) => *network,
        Lowering::Stock(unsupported) => panic!("not lowered: {unsupported}"),
    }
}

fn refused(model: &ModelProto) -> Unsupported {
    match Network::lower_for(model, &INPUT, Isa::Portable) {
        Lowering::Lowered(_) => panic!("lowered what it shouldn't"),
        Lowering::Stock(unsupported) => unsupported,
    }
}

/// All outputs of one run, one vector each.
fn ours(model: &ModelProto, isa: Isa, planes: &[f32]) -> Vec<Vec<f32>> {
    let mut network = lowered(model, isa);
    network.run_planes(planes).unwrap();
    network
        .outputs()
        .iter()
        .map(|o| o.values().to_vec())
        .collect()
}

fn stock(model: &ModelProto, size: [usize; 2], planes: &[f32]) -> Vec<Vec<f32>> {
    let plan = tract_onnx::onnx().parse(model, None).unwrap().model;
    let plan = plan.into_optimized().unwrap().into_runnable().unwrap();
    let image = Tensor::from_shape(&[1, 3, size[0], size[1]], planes).unwrap();
    let outputs = plan.run(tvec![image.into()]).unwrap();
    outputs
        .iter()
        .map(|o| {
            o.to_plain_array_view::<f32>()
                .unwrap()
                .iter()
                .copied()
                .collect()
        })
        .collect()
}

/// The largest difference, in quantisation steps.
fn steps(a: &[f32], b: &[f32], scale: f32) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs() / scale)
        .fold(0.0, f32::max)
}

/// Checks one drawn operator: families agree to the bit, and no value is further than a step from stock tract's.
fn within_one_step(model: &ModelProto, size: usize, scale: f32, seed: u64) {
    let planes = Drawn(seed).planes([size, size]);
    let expected = stock(model, [size, size], &planes);
    for isa in families() {
        for (ours, expected) in ours(model, isa, &planes).iter().zip(&expected) {
            let apart = steps(ours, expected, scale);
            assert!(apart < 1.01, "{isa}: {apart} steps from stock tract");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_convolution_is_within_a_step_of_stock_tract(
        seed: u64, size in 5usize..24, channels in 1usize..40, kernel in 1usize..4, stride in 1usize..3,
        bound in prop::sample::select(vec![Bound::None, Bound::Folded, Bound::Clip, Bound::Relu]),
    ) {
        let (mut g, image) = Graph::new(size, seed);
        let pads = [g.drawn.next() as usize % kernel, 0, kernel / 2, kernel - 1];
        let y = g.raw_conv(&image, channels, kernel, stride, 1, pads);
        let y = g.bounded(y, bound);
        let model = g.finish(&[(&y, &[1, channels, y.size[0], y.size[1]])]);
        within_one_step(&model, size, y.scale, seed);
    }

    #[test]
    fn a_block_with_a_shortcut_is_close_to_stock_tract(
        seed: u64, size in 9usize..24, channels in 1usize..40, stride in 1usize..3,
    ) {
        let (mut g, image) = Graph::new(size, seed);
        let x = g.conv(&image, channels, 3, 2, Bound::Clip);
        let y = g.conv(&x, channels * 3, 1, 1, Bound::Relu);
        let y = g.depthwise(&y, stride, Bound::Folded);
        let mut y = g.conv(&y, channels, 1, 1, Bound::None);
        if stride == 1 {
            y = g.add(&x, &y);
        }
        let model = g.finish(&[(&y, &[1, channels, y.size[0], y.size[1]])]);
        let planes = Drawn(seed).planes([size, size]);
        let expected = stock(&model, [size, size], &planes);
        for isa in families() {
            // A step of difference in one layer may become some in the next.
            let apart = steps(&ours(&model, isa, &planes)[0], &expected[0], y.scale);
            prop_assert!(apart < 3.01, "{}: {} steps", isa, apart);
        }
    }
}

#[test]
fn whole_mobilenets_are_lowered_and_read_as_in_stock_tract() {
    for (model, size) in [
        (qdq::mobilenet_v1(0.25, 64, 27, 3), 64),
        (qdq::mobilenet_v1(0.5, 96, 27, 4), 96),
        (qdq::mobilenet_v2(0.35, 64, 27, 5), 64),
        (qdq::mobilenet_v2(0.5, 96, 27, 6), 96),
    ] {
        for seed in 0..3 {
            let planes = Drawn(seed).planes([size, size]);
            let expected = stock(&model, [size, size], &planes);
            let portable = ours(&model, Isa::Portable, &planes);
            // Rounding differs where stock tract computes in f32, and many layers add up; measured against how far
            // the logits lie from each other it stays small.
            let deviation = |values: &mut dyn Iterator<Item = f32>| {
                let values: Vec<f32> = values.collect();
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32)
                    .sqrt()
            };
            let spread = deviation(&mut expected[0].iter().copied());
            let apart = deviation(&mut portable[0].iter().zip(&expected[0]).map(|(a, b)| a - b));
            assert!(
                apart < 0.3 * spread,
                "{apart} apart where logits spread by {spread}"
            );
            for isa in families() {
                assert_eq!(ours(&model, isa, &planes), portable, "{isa}");
            }
        }
    }
}

#[test]
fn pixels_and_the_normalised_picture_give_the_same_result() {
    let size = 64;
    let model = qdq::mobilenet_v2(0.35, size, 27, 8);
    let mut drawn = Drawn(1);
    let rgb: Vec<u8> = (0..size * size * 3).map(|_| drawn.next() as u8).collect();
    // One normalisation that the quantisation undoes to the pixel, and one that needs a table.
    for (mean, std) in [
        ([qdq::MEAN; 3], [qdq::STD; 3]),
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ] {
        let Lowering::Lowered(mut network) =
            Network::lower_for(&model, &InputTransform { mean, std }, Isa::Portable)
        else {
            panic!("not lowered");
        };
        network.run(&rgb).unwrap();
        let from_pixels = network.outputs()[0].values().to_vec();
        let normalised = |i: usize| {
            let (c, p) = (i / (size * size), i % (size * size));
            (f32::from(rgb[p * 3 + c]) / 255.0 - mean[c]) / std[c]
        };
        let planes: Vec<f32> = (0..3 * size * size).map(normalised).collect();
        network.run_planes(&planes).unwrap();
        assert_eq!(network.outputs()[0].values(), from_pixels);
    }
}

#[test]
fn a_picture_of_the_wrong_size_is_an_error() {
    let mut network = lowered(&qdq::mobilenet_v1(0.25, 32, 3, 1), Isa::Portable);
    assert!(network.run(&[0; 32 * 32 * 3 - 1]).is_err());
    assert!(network.run_planes(&[0.0; 4]).is_err());
    assert!(network.run(&[0; 32 * 32 * 3]).is_ok());
}

#[test]
fn tensorflows_same_padding_is_understood() {
    for auto_pad in ["SAME_UPPER", "SAME_LOWER"] {
        let (mut g, image) = Graph::new(16, 2);
        let x = g.conv(&image, 8, 3, 2, Bound::Folded);
        // Stride 2 on an even size: SAME pads on one side only.
        let y = g.raw_conv(&x, 8, 3, 2, 8, [0, 0, 1, 1]);
        let conv = g.model.node.last_mut().unwrap();
        conv.attribute.retain(|a| a.name != "pads");
        conv.attribute.push(attribute_text("auto_pad", auto_pad));
        let y = g.bounded(y, Bound::Folded);
        assert_eq!(y.size, [4, 4]);
        let model = g.finish(&[(&y, &[1, 8, 4, 4])]);
        let planes = Drawn(2).planes([16, 16]);
        let expected = stock(&model, [16, 16], &planes);
        for isa in families() {
            assert!(
                steps(&ours(&model, isa, &planes)[0], &expected[0], y.scale) < 2.01,
                "{isa} {auto_pad}"
            );
        }
    }
}

#[test]
fn heads_may_be_written_in_other_ways() {
    // ReduceMean, Reshape, MatMul + Add, Softmax, and the result not quantised.
    let (mut g, image) = Graph::new(32, 9);
    let x = g.conv(&image, 24, 3, 2, Bound::Folded);
    let mean = g.node(
        "ReduceMean",
        &[&x.name],
        vec![
            attribute_ints("axes", &[2, 3]),
            attribute_int("keepdims", 1),
        ],
    );
    let pooled = g.quantized(
        qdq::Value {
            name: mean,
            size: [1, 1],
            ..x.clone()
        },
        0.01,
        0,
    );
    let shape = g.int64s(&[0, -1]);
    let flat = g.node("Reshape", &[&pooled.name, &shape], vec![]);
    let (w, _) = g.weights(&[24, 5], 1, 24);
    let product = g.node("MatMul", &[&flat, &w], vec![]);
    let bias = g.floats(&[5], &[0.5, -0.5, 0.1, 0.0, 1.0]);
    let sum = g.node("Add", &[&product, &bias], vec![]);
    let softmax = g.node("Softmax", &[&sum], vec![attribute_int("axis", -1)]);
    let probabilities = qdq::Value {
        name: softmax,
        channels: 5,
        size: [1, 1],
        scale: 1.0,
    };
    let model = g.finish(&[(&probabilities, &[1, 5])]);
    let planes = Drawn(4).planes([32, 32]);
    let expected = stock(&model, [32, 32], &planes);
    for isa in families() {
        let ours = ours(&model, isa, &planes);
        assert!((ours[0].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(
            steps(&ours[0], &expected[0], 1.0) < 0.02,
            "{isa}: {ours:?} {expected:?}"
        );
    }
}

#[test]
fn a_finder_with_upsampling_concatenation_and_two_outputs_is_lowered() {
    let (mut g, image) = Graph::new(32, 11);
    let fine = g.conv(&image, 20, 3, 2, Bound::Folded);
    let coarse = g.depthwise(&fine, 2, Bound::Folded);
    let coarse = g.conv(&coarse, 12, 1, 1, Bound::None);
    let scales = g.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
    let attributes = vec![
        attribute_text("mode", "nearest"),
        attribute_text("coordinate_transformation_mode", "asymmetric"),
        attribute_text("nearest_mode", "floor"),
    ];
    let larger = g.node("Resize", &[&coarse.name, "", &scales], attributes);
    // As quantize_static does, the resized map keeps its quantisation.
    let quantize = g
        .model
        .node
        .iter()
        .rfind(|n| n.op_type == "QuantizeLinear")
        .unwrap()
        .clone();
    let q = g.node(
        "QuantizeLinear",
        &[&larger, &quantize.input[1], &quantize.input[2]],
        vec![],
    );
    let larger = g.node(
        "DequantizeLinear",
        &[&q, &quantize.input[1], &quantize.input[2]],
        vec![],
    );
    let both = g.node(
        "Concat",
        &[&larger, &fine.name],
        vec![attribute_int("axis", 1)],
    );
    let both = g.quantized(
        qdq::Value {
            name: both,
            channels: 32,
            ..fine.clone()
        },
        0.07,
        100,
    );
    let heat = g.conv(&both, 1, 3, 1, Bound::None);
    let size = g.conv(&both, 2, 1, 1, Bound::None);
    let model = g.finish(&[(&heat, &[1, 1, 16, 16]), (&size, &[1, 2, 16, 16])]);
    let planes = Drawn(12).planes([32, 32]);
    let expected = stock(&model, [32, 32], &planes);
    for isa in families() {
        let ours = ours(&model, isa, &planes);
        assert_eq!(ours.len(), 2);
        for (ours, expected) in ours.iter().zip(&expected) {
            assert!(steps(ours, expected, 0.06) < 3.01, "{isa}");
        }
    }
}

#[test]
fn a_graph_with_another_operator_names_the_node_in_the_way() {
    let (mut g, image) = Graph::new(32, 1);
    let x = g.conv(&image, 8, 3, 2, Bound::Folded);
    let name = g.node("HardSwish", &[&x.name], vec![]);
    let y = g.quantized(
        qdq::Value {
            name: name.clone(),
            ..x
        },
        0.05,
        10,
    );
    let unsupported = refused(&g.finish(&[(&y, &[1, 8, 16, 16])]));
    assert_eq!(
        (unsupported.node.as_str(), unsupported.op.as_str()),
        (name.as_str(), "HardSwish")
    );
}

#[test]
fn a_float_network_is_left_to_the_stock_runtime() {
    let (mut g, image) = Graph::new(32, 1);
    let y = g.raw_conv(&image, 4, 3, 2, 1, [1; 4]);
    let unsupported = refused(&g.finish(&[(&y, &[1, 4, 16, 16])]));
    assert_eq!(unsupported.op, "Conv");
    assert!(matches!(
        Network::lower_for(&ModelProto::default(), &INPUT, Isa::Portable),
        Lowering::Stock(_)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds, lowering it ends in a network or in a reason.
    #[test]
    fn a_damaged_graph_is_lowered_or_refused_but_never_panics(seed: u64, edits in 1usize..4) {
        let mut model = qdq::mobilenet_v2(0.1, 32, 3, 1);
        let graph = model.graph.as_mut().unwrap();
        let mut drawn = Drawn(seed);
        for _ in 0..edits {
            let node = drawn.next() as usize % graph.node.len();
            let other = drawn.next() as usize % graph.node.len();
            let tensor = drawn.next() as usize % graph.initializer.len();
            match drawn.next() % 8 {
                0 => drop(graph.node.remove(node)),
                1 => drop(graph.initializer.remove(tensor)),
                2 => graph.node[node].attribute.iter_mut().for_each(|a| a.i = drawn.next() as i64 >> (drawn.next() % 64)),
                3 => {
                    let ints = graph.node[node].attribute.iter_mut().flat_map(|a| &mut a.ints);
                    ints.for_each(|i| *i = drawn.next() as i64 >> (drawn.next() % 64));
                }
                4 => graph.initializer[tensor].raw_data.truncate(drawn.next() as usize % 8),
                5 => graph.initializer[tensor].dims.iter_mut().for_each(|d| *d = drawn.next() as i64 >> (drawn.next() % 64)),
                6 => {
                    let output = graph.node[other].output[0].clone();
                    if let Some(input) = graph.node[node].input.first_mut() {
                        *input = output;
                    }
                }
                _ => {
                    let raw = &mut graph.initializer[tensor].raw_data;
                    raw.iter_mut().for_each(|b| *b = drawn.next() as u8);
                }
            }
        }
        if let Lowering::Lowered(mut network) = Network::lower_for(&model, &INPUT, Isa::Portable) {
            let [height, width] = network.size();
            network.run(&vec![77; height * width * 3]).unwrap();
        }
    }
}

#[test]
fn threads_change_nothing_but_the_time() {
    let size = 96;
    let model = qdq::mobilenet_v2(0.5, size, 27, 3);
    let rgb: Vec<u8> = (0..size * size * 3).map(|i| (i * 7 % 253) as u8).collect();
    for isa in families() {
        let mut network = lowered(&model, isa);
        network.run(&rgb).unwrap();
        let alone = network.outputs()[0].values().to_vec();
        for threads in [2, 3, 1] {
            network.set_threads(threads);
            assert_eq!(network.threads(), threads);
            network.run(&rgb).unwrap();
            assert_eq!(
                network.outputs()[0].values(),
                alone,
                "{isa}, {threads} threads"
            );
        }
    }
}

#[test]
fn a_lowered_network_runs_as_a_tract_model() {
    let model = qdq::mobilenet_v1(0.25, 32, 5, 2);
    let planes = Drawn(2).planes([32, 32]);
    let expected = ours(&model, Isa::Portable, &planes);
    let typed = lowered(&model, Isa::Portable).into_tract().unwrap();
    let plan = typed.into_optimized().unwrap().into_runnable().unwrap();
    let image = Tensor::from_shape(&[1, 3, 32, 32], &planes).unwrap();
    let outputs = plan.run(tvec![image.into()]).unwrap();
    assert_eq!(outputs[0].shape(), [1, 5]);
    assert!(
        outputs[0]
            .to_plain_array_view::<f32>()
            .unwrap()
            .iter()
            .eq(&expected[0])
    );
}

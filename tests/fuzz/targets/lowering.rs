//! Quantised networks that are drawn and then bent: whatever lowers to integer layers gives the same
//! bytes on every kernel family, and reads and writes inside its buffers.
#![no_main]

#[path = "../../qdq/mod.rs"]
mod qdq;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use qdq::{Bound, Graph, Value, attribute_int, attribute_ints, attribute_text};
use signcam::int8::lower::lower;
use signcam::int8::{InputTransform, Isa, Network};
use signcam::model::file::OnnxFile;
use tract_onnx::pb::{ModelProto, NodeProto};

/// Larger networks run too slowly to find anything.
const MOST_WORK: u64 = 4_000_000;

/// Decisions, taken from the fuzzer's bytes; zeros past their end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// A number that is likely to be on some limit.
    fn number(&mut self) -> i64 {
        const ODD: [i64; 12] = [
            0,
            1,
            -1,
            2,
            3,
            4,
            16,
            64,
            65,
            1 << 31,
            1 << 62,
            i64::MIN,
        ];
        match self.byte() {
            at @ 0..128 => ODD[usize::from(at) % ODD.len()],
            small => i64::from(small) - 128,
        }
    }
}

fn drawn(choices: &mut Choices<'_>) -> ModelProto {
    let size = [8, 1, 4, 5, 16, 17, 24][choices.below(7)];
    let (mut graph, image) = Graph::new(size, choices.byte().into());
    let mut values = vec![image];
    for _ in 0..1 + choices.below(7) {
        let x = values[values.len() - 1 - choices.below(values.len().min(3))].clone();
        let bound = [Bound::Folded, Bound::None, Bound::Clip, Bound::Relu][choices.below(4)];
        let channels = 1 + choices.below(40);
        let next = match choices.below(6) {
            _ if x.size == [1, 1] && values.len() > 3 => {
                let dense = graph.raw_dense(&x, channels);
                graph.quantized(dense, 0.05, choices.byte())
            }
            0 => graph.conv(&x, channels, 1, 1 + choices.below(2), bound),
            1 => graph.conv(&x, channels, 3, 1 + choices.below(2), bound),
            2 if x.channels != 3 => graph.depthwise(&x, 1 + choices.below(2), bound),
            3 if x.channels != 3 => {
                let same = |other: &&Value| (other.channels, other.size) == (x.channels, x.size);
                let other = values.iter().find(same).unwrap_or(&x).clone();
                graph.add(&x, &other)
            }
            4 if x.channels != 3 => upsampled(&mut graph, &x),
            5 if x.channels != 3 => graph.pool(&x),
            _ => graph.conv(&x, channels, 3, 1, bound),
        };
        values.push(next);
    }
    let (count, mut outputs) = (values.len(), Vec::new());
    for value in values.iter().skip(count.saturating_sub(1 + choices.below(2))) {
        outputs.push((value, vec![1, value.channels, value.size[0], value.size[1]]));
    }
    let outputs: Vec<_> = (outputs.iter()).map(|(value, dims)| (*value, &dims[..])).collect();
    graph.finish(&outputs)
}

fn upsampled(graph: &mut Graph, x: &Value) -> Value {
    let scales = graph.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
    let attributes = vec![
        attribute_text("mode", "nearest"),
        attribute_text("coordinate_transformation_mode", "asymmetric"),
        attribute_text("nearest_mode", "floor"),
    ];
    let name = graph.node("Resize", &[&x.name, "", &scales], attributes);
    let size = x.size.map(|side| side * 2);
    let resized = Value {
        name,
        size,
        ..x.clone()
    };
    graph.quantized(resized, x.scale, 0)
}

/// Operators that the walk knows, for nodes to be put in or turned into.
const OPERATORS: [&str; 16] = [
    "Add",
    "Clip",
    "Concat",
    "Conv",
    "DequantizeLinear",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "QuantizeLinear",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Softmax",
    "Squeeze",
    "Unsqueeze",
];

fn bend(model: &mut ModelProto, choices: &mut Choices<'_>) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    match choices.below(8) {
        0 => {
            let at = choices.below(graph.initializer.len());
            let dims = &mut graph.initializer[at].dims;
            match choices.below(4) {
                0 => dims.push(choices.number()),
                1 => dims.reverse(),
                _ if dims.is_empty() => {}
                _ => {
                    let dim = choices.below(dims.len());
                    dims[dim] = choices.number();
                }
            }
        }
        1 => {
            let at = choices.below(graph.initializer.len());
            let raw = &mut graph.initializer[at].raw_data;
            for _ in 0..1 + choices.below(4) {
                let place = choices.below(256) * choices.below(256);
                let length = raw.len().max(1);
                if let Some(byte) = raw.get_mut(place % length) {
                    *byte = choices.byte();
                }
            }
        }
        2 | 3 => {
            let at = choices.below(graph.node.len());
            let attributes = &mut graph.node[at].attribute;
            if !attributes.is_empty() {
                let attribute = choices.below(attributes.len());
                let attribute = &mut attributes[attribute];
                attribute.i = choices.number();
                for value in &mut attribute.ints {
                    if choices.below(2) == 0 {
                        *value = choices.number();
                    }
                }
            }
        }
        4 => {
            let at = choices.below(graph.node.len());
            graph.node[at].op_type = OPERATORS[choices.below(OPERATORS.len())].into();
        }
        5 => {
            let (at, from) = (choices.below(graph.node.len()), choices.below(graph.node.len()));
            let other = graph.node[from].output.first().cloned().unwrap_or_default();
            let inputs = &mut graph.node[at].input;
            if !inputs.is_empty() {
                let input = choices.below(inputs.len());
                inputs[input] = other;
            }
        }
        _ => put_in(graph, choices),
    }
}

/// Puts a node between a value and those that read it.
fn put_in(graph: &mut tract_onnx::pb::GraphProto, choices: &mut Choices<'_>) {
    let at = choices.below(graph.node.len());
    let Some(value) = graph.node[at].output.first().cloned() else {
        return;
    };
    let name = format!("put_in_{}", graph.node.len());
    for later in &mut graph.node[at + 1..] {
        for input in later.input.iter_mut().filter(|input| **input == value) {
            input.clone_from(&name);
        }
    }
    for output in graph.output.iter_mut().filter(|output| output.name == value) {
        output.name.clone_from(&name);
    }
    let second = choices.below(graph.initializer.len());
    let mut input = vec![value.clone()];
    match choices.below(3) {
        0 => {}
        1 => input.push(value),
        _ => input.push(graph.initializer[second].name.clone()),
    }
    let numbers = [choices.number(), choices.number()];
    let node = NodeProto {
        name: name.clone(),
        op_type: OPERATORS[choices.below(OPERATORS.len())].into(),
        input,
        output: vec![name],
        attribute: vec![
            attribute_int("axis", choices.number()),
            attribute_int("keepdims", choices.number()),
            attribute_ints("axes", &numbers),
        ],
        ..Default::default()
    };
    graph.node.insert(at + 1, node);
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut model = drawn(&mut choices);
    for _ in 0..choices.below(5) {
        bend(&mut model, &mut choices);
    }
    let Ok(file) = OnnxFile::parse("fuzzed", &model.encode_to_vec()) else {
        return;
    };
    let Ok(plan) = lower(&file.proto) else {
        return;
    };
    let work: u64 = plan.layers.iter().map(|layer| plan.multiply_adds(layer)).sum();
    if plan.check().is_err() || work > MOST_WORK {
        return;
    }
    let transform = InputTransform {
        mean: [qdq::MEAN; 3],
        std: [qdq::STD; 3],
    };
    let picture = |network: &Network| {
        let [height, width] = network.size();
        (0..height * width * 3).map(|at| (at * 37 % 256) as u8).collect::<Vec<u8>>()
    };
    let results = |network: &mut Network| {
        network.run(&picture(network)).unwrap();
        let outputs = network.outputs().iter();
        outputs
            .map(|output| output.values().iter().map(|v| v.to_bits()).collect())
            .collect::<Vec<Vec<u32>>>()
    };
    let expected = results(&mut Network::new(&plan, &transform, Isa::Portable));
    for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
        for threads in [1, 2] {
            let mut network = Network::new(&plan, &transform, isa);
            network.set_threads(threads);
            assert!(results(&mut network) == expected, "{isa} differs");
        }
    }
});

//! What other tools write in many ways, brought to the one way that the rest of this crate reads:
//! nodes in the order in which they run, numbers in single precision, logits at the end.

use std::collections::{BTreeSet, HashMap};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::f16;

/// Puts each node after those whose results it reads, as ONNX demands and not every converter
/// does; else the order stays. Nodes that read what is never there keep their place at the end.
pub(super) fn sort_nodes(graph: &mut GraphProto) {
    let nodes = &graph.node;
    let mut given_by: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        let outputs = node.output.iter().filter(|output| !output.is_empty());
        outputs.for_each(|output| {
            given_by.entry(output).or_insert(at);
        });
    }
    // How many of its inputs each node still waits for, and who waits for each node.
    let mut waiting = vec![0usize; nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        for giver in node
            .input
            .iter()
            .filter_map(|name| given_by.get(name.as_str()))
        {
            waiting[at] += 1;
            readers[*giver].push(at);
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&at| waiting[at] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first() {
        order.push(at);
        for &reader in &readers[at] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    order.extend((0..nodes.len()).filter(|&at| waiting[at] > 0));
    if !order.is_sorted() {
        let mut nodes: Vec<_> = graph.node.drain(..).map(Some).collect();
        graph.node = order
            .into_iter()
            .filter_map(|at| nodes[at].take())
            .collect();
    }
}

/// Makes every float16 a float32, which holds each of its values exactly. The runtime computes a
/// network in the precision of its input, and the picture is given in single precision.
pub(super) fn widen(graph: &mut GraphProto) {
    graph.initializer.iter_mut().for_each(widen_tensor);
    let values = (graph.input.iter_mut())
        .chain(&mut graph.output)
        .chain(&mut graph.value_info);
    values.for_each(widen_type);
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    attributes.for_each(widen_attribute);
}

fn widen_tensor(tensor: &mut TensorProto) {
    if tensor.data_type != DataType::Float16 as i32 {
        return;
    }
    let widened = |bits: u16| f16::from_bits(bits).to_f32();
    let packed = tensor.raw_data.chunks_exact(2);
    let packed = packed.map(|pair| widened(u16::from_le_bytes([pair[0], pair[1]])));
    // Without raw bytes, each value lies in the low half of an integer.
    let listed = tensor.int32_data.iter().map(|&bits| widened(bits as u16));
    tensor.float_data = packed.chain(listed).collect();
    tensor.raw_data.clear();
    tensor.int32_data.clear();
    tensor.data_type = DataType::Float as i32;
}

fn widen_type(value: &mut ValueInfoProto) {
    let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    if let Some(TypeValue::TensorType(tensor)) = kind {
        widen_name(&mut tensor.elem_type);
    }
}

fn widen_attribute(attribute: &mut AttributeProto) {
    attribute.t.iter_mut().for_each(widen_tensor);
    attribute.tensors.iter_mut().for_each(widen_tensor);
    // What `Cast` and the operators that make tensors name as their result's type.
    if matches!(attribute.name.as_str(), "to" | "dtype")
        && attribute.i == i64::from(DataType::Float16 as i32)
    {
        attribute.i = i64::from(DataType::Float as i32);
    }
}

fn widen_name(element: &mut i32) {
    if *element == DataType::Float16 as i32 {
        *element = DataType::Float as i32;
    }
}

/// Makes a network that ends in softmax give its logits, like one that leaves softmax to its user:
/// both are read the same way from there on. A network that gives logits stays as it is.
pub(super) fn end_in_logits(graph: &mut GraphProto) {
    let Some(tail) = Tail::of(graph) else {
        return;
    };
    let mut last = tail.logits;
    for at in tail.shaping.into_iter().rev() {
        let node = &mut graph.node[at];
        if let (Some(input), Some(output)) = (node.input.first_mut(), node.output.first()) {
            *input = std::mem::replace(&mut last, output.clone());
        }
    }
    if let Some(output) = graph.output.first_mut() {
        output.name = last;
    }
    // Nothing reads them any more, but where another output does. The last come first, since
    // each may be all that reads the one before it.
    for at in tail.dropped {
        let gives = |name: &String| graph.node[at].output.contains(name);
        let read = graph.node.iter().flat_map(|node| &node.input).any(gives)
            || graph.output.iter().any(|output| gives(&output.name));
        if !read {
            graph.node[at] = NodeProto::default();
        }
    }
    graph.node.retain(|node| !node.op_type.is_empty());
}

/// What lies between a network's logits and its first output.
struct Tail {
    /// The name of the logits.
    logits: String,
    /// Nodes that only give what they read another shape, the last first.
    shaping: Vec<usize>,
    /// Nodes that logits do without, the last first.
    dropped: Vec<usize>,
}

impl Tail {
    /// `None` where the output is no softmax.
    fn of(graph: &GraphProto) -> Option<Tail> {
        let giver = |name: &str| {
            let gives = |node: &NodeProto| node.output.first().is_some_and(|first| first == name);
            graph.node.iter().position(gives)
        };
        let mut name = graph.output.first()?.name.as_str();
        let (mut shaping, mut dropped) = (Vec::new(), Vec::new());
        // Each step goes back to an earlier node; a file that runs in circles ends it, too.
        for _ in 0..graph.node.len() {
            let at = giver(name)?;
            let node = &graph.node[at];
            let input = node.input.first()?;
            match node.op_type.as_str() {
                "Softmax" => {
                    dropped.push(at);
                    let logits = input.clone();
                    return Some(Tail {
                        logits,
                        shaping,
                        dropped,
                    });
                }
                // Softmax, written out: exp(x) / sum(exp(x)).
                "Div" => {
                    let exp = giver(input).filter(|&exp| graph.node[exp].op_type == "Exp")?;
                    let sum = giver(node.input.get(1)?)?;
                    let (op, of) = (&graph.node[sum].op_type, graph.node[sum].input.first()?);
                    if op != "ReduceSum" || of != input {
                        return None;
                    }
                    dropped.extend([at, sum, exp]);
                    let logits = graph.node[exp].input.first()?.clone();
                    return Some(Tail {
                        logits,
                        shaping,
                        dropped,
                    });
                }
                // Of probabilities, a quantised network keeps what 8 bits hold; logits go beyond.
                "Identity" | "Cast" | "Dropout" | "QuantizeLinear" | "DequantizeLinear" => {
                    dropped.push(at);
                }
                "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => shaping.push(at),
                _ => return None,
            }
            name = input;
        }
        None
    }
}

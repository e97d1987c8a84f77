//! What the stock runtime computes from a file's constants while it loads the file.
//!
//! It runs every node whose inputs are all known, and looks at the size of what came out only
//! afterwards: a file of a few bytes could ask for a terabyte that way. So the sizes are bounded
//! here, without running anything.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::pb::{GraphProto, NodeProto};

/// A constant of more elements than this is not computed. The largest weight of a MobileNetV2 has
/// 1.3 million.
const MOST_ELEMENTS: u64 = 16 << 20;

/// The largest rank of a tensor that a shape is asked of.
const MOST_DIMS: u64 = 64;

/// A constant's size, at most.
#[derive(Debug, Clone)]
struct Bound {
    elements: u64,
    /// Its shape, where that is known.
    dims: Option<Vec<u64>>,
}

impl Bound {
    fn of(elements: u64) -> Self {
        Bound {
            elements,
            dims: None,
        }
    }

    /// A tensor of the file itself, whose size was checked when it was read.
    fn tensor(dims: &[i64]) -> Self {
        let dims: Vec<u64> = dims.iter().map(|&dim| dim.max(0) as u64).collect();
        Bound {
            elements: elements(&dims),
            dims: Some(dims),
        }
    }
}

fn elements(dims: &[u64]) -> u64 {
    dims.iter().fold(1, |count, &dim| count.saturating_mul(dim))
}

/// Refuses a graph whose constants may grow beyond measure, or grow in ways that are not known
/// here.
///
/// # Errors
/// Naming the node.
pub(super) fn check(graph: &GraphProto) -> Result<()> {
    let mut known: HashMap<&str, Bound> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), Bound::tensor(&tensor.dims)))
        .collect();
    for node in &graph.node {
        let inputs: Option<Vec<&Bound>> = node
            .input
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| known.get(name.as_str()))
            .collect();
        let bound = match (node.op_type.as_str(), inputs) {
            ("Constant", _) => constant(node),
            // Known even of the picture.
            ("Shape" | "Size", _) => Bound::of(MOST_DIMS),
            (_, None) => continue,
            (_, Some(inputs)) => computed(node, &inputs)
                .with_context(|| format!("its node {} ({})", node.name, node.op_type))?,
        };
        for output in &node.output {
            known.insert(output, bound.clone());
        }
    }
    Ok(())
}

fn constant(node: &NodeProto) -> Bound {
    let tensor = node.attribute.iter().find_map(|value| value.t.as_ref());
    match tensor {
        Some(tensor) => Bound::tensor(&tensor.dims),
        None => {
            let values = node.attribute.iter();
            let values = values.map(|value| value.floats.len() + value.ints.len() + 1);
            Bound::of(values.sum::<usize>() as u64)
        }
    }
}

/// How large the result of a node on constants may be.
fn computed(node: &NodeProto, inputs: &[&Bound]) -> Result<Bound> {
    let first = || inputs.first().copied().context("it has no input");
    let bound = match node.op_type.as_str() {
        "Identity" | "Cast" | "DequantizeLinear" | "QuantizeLinear" | "Dropout" | "Clip"
        | "Relu" | "Neg" | "Abs" | "Sqrt" | "Exp" | "Log" | "Reciprocal" | "Floor" | "Ceil"
        | "Round" => first()?.clone(),
        "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Flatten" | "Slice" | "Split"
        | "ReduceMean" | "ReduceSum" | "ReduceProd" | "ReduceMin" | "ReduceMax" => {
            Bound::of(first()?.elements)
        }
        "Concat" => Bound::of(
            inputs
                .iter()
                .fold(0, |sum: u64, input| sum.saturating_add(input.elements)),
        ),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" => broadcast(inputs),
        "Gather" => Bound::of(product(inputs)),
        _ => bail!("it computes with constants only, in a way that is not read here"),
    };
    ensure!(
        bound.elements <= MOST_ELEMENTS,
        "it computes a constant of up to {} elements, which is too large",
        bound.elements
    );
    Ok(bound)
}

fn product(inputs: &[&Bound]) -> u64 {
    inputs.iter().fold(1, |product: u64, input| {
        product.saturating_mul(input.elements)
    })
}

/// Aligned at the last dimension, as ONNX broadcasts.
fn broadcast(inputs: &[&Bound]) -> Bound {
    let shapes: Option<Vec<&Vec<u64>>> = inputs.iter().map(|input| input.dims.as_ref()).collect();
    let Some(shapes) = shapes else {
        return Bound::of(product(inputs));
    };
    let rank = shapes.iter().map(|dims| dims.len()).max().unwrap_or(0);
    let mut dims: Vec<u64> = (1..=rank)
        .map(|from_last| {
            let along = shapes.iter().filter_map(|dims| {
                let at = dims.len().checked_sub(from_last)?;
                dims.get(at).copied()
            });
            along.max().unwrap_or(1)
        })
        .collect();
    dims.reverse();
    Bound {
        elements: elements(&dims),
        dims: Some(dims),
    }
}

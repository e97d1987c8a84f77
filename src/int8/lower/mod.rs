//! From an ONNX graph of quantise/dequantise pairs to a [`Plan`] of integer layers.
//!
//! A QDQ graph computes in f32 between `DequantizeLinear` and `QuantizeLinear`. Walking it in order, every value is
//! kept as what it is made of, and a layer is written down where a `QuantizeLinear` ends such a stretch: then the
//! integers on both sides, and the clip between them, are known. Anything that doesn't fit stops the walk with the
//! node's name; the graph is then left to the stock runtime as a whole.

mod operators;
mod pairs;
mod shapes;
mod store;
mod value;
mod walk;

use std::collections::HashSet;
use std::rc::Rc;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use self::value::Value;
use self::walk::{Walk, label};
use super::graph::{self, Constant};
use super::plan::Plan;
use super::unsupported::{Unsupported, Why};

/// Lowers a whole model, or names the node in the way.
pub fn lower(model: &ModelProto) -> Result<Plan, Unsupported> {
    let whole = |why: &str| Unsupported {
        node: String::new(),
        op: String::new(),
        why: why.into(),
    };
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| whole("the file holds no graph"))?;
    let mut walk = Walk::start(graph).map_err(|why| whole(&why))?;
    let needed = needed(graph);
    for (node, _) in graph.node.iter().zip(needed).filter(|(_, needed)| *needed) {
        walk.visit(node).map_err(|why| Unsupported {
            node: label(node),
            op: node.op_type.clone(),
            why,
        })?;
    }
    for output in &graph.output {
        let maker = graph.node.iter().find(|n| n.output.contains(&output.name));
        walk.output(&output.name).map_err(|why| match maker {
            Some(node) => Unsupported {
                node: label(node),
                op: node.op_type.clone(),
                why,
            },
            None => whole(&format!("output {}: {why}", output.name)),
        })?;
    }
    Ok(walk.plan)
}
/// Which nodes the outputs depend on.
fn needed(graph: &GraphProto) -> Vec<bool> {
    let mut wanted: HashSet<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let mut needed = vec![false; graph.node.len()];
    for (node, needed) in graph.node.iter().zip(&mut needed).rev() {
        if node.output.iter().any(|o| wanted.contains(o.as_str())) {
            *needed = true;
            wanted.extend(node.input.iter().map(String::as_str));
        }
    }
    needed
}

impl Walk<'_> {
    fn visit(&mut self, node: &NodeProto) -> Result<(), Why> {
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            return Err(format!("an operator of domain {}", node.domain));
        }
        let value = match node.op_type.as_str() {
            "Constant" => self.constant_node(node)?,
            "Identity" | "Dropout" => self.input(node, 0)?,
            "QuantizeLinear" => self.quantize(node)?,
            "DequantizeLinear" => self.dequantize(node)?,
            "Conv" => self.conv(node)?,
            "Relu" => self.clip(node, 0.0, f32::INFINITY)?,
            "Clip" => {
                let mut bounds = [
                    graph::float(node, "min", f32::NEG_INFINITY),
                    graph::float(node, "max", f32::INFINITY),
                ];
                for (index, bound) in bounds.iter_mut().enumerate() {
                    if let Some(constant) = self.optional_constant(node, index + 1)? {
                        *bound = constant.f32()?;
                    }
                }
                self.clip(node, bounds[0], bounds[1])?
            }
            "Add" => self.add(node)?,
            "GlobalAveragePool" => self.pool(node, true)?,
            "ReduceMean" => self.reduce_mean(node)?,
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node)?,
            "Gemm" | "MatMul" => self.dense(node)?,
            "Softmax" => self.softmax(node)?,
            "Concat" => self.concat(node)?,
            "Resize" => self.resize(node)?,
            _ => return Err("no integer operator stands for it".into()),
        };
        let name = node.output.first().ok_or("it has no output")?;
        self.values.insert(name.clone(), value);
        Ok(())
    }

    fn constant_node(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let tensor = node
            .attribute
            .iter()
            .find(|a| a.name == "value")
            .and_then(|a| a.t.as_ref());
        let constant = Constant::read(tensor.ok_or("a constant of another kind than a tensor")?)?;
        Ok(Value::Constant(Rc::new(constant)))
    }
}

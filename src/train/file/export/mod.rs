//! A [`Graph`] as an ONNX file: in f32, or in int8 with the standard quantisation operators.
//!
//! The int8 form follows the "QDQ" convention that ONNX runtimes recognise: every tensor that
//! travels between layers passes a `QuantizeLinear` and a `DequantizeLinear` with its scale and
//! zero point, and between those stand the float operators. A runtime fuses each operator with
//! the pairs around it into an integer one; one that does not still computes the right thing.
//! ReLU and ReLU6 have no operator in it: the u8 range ends at zero below, and at six or lower
//! above.

mod proto;
pub mod sequence;

use anyhow::{Context, Result, ensure};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::graph::{Activation, Conv, Dense, Graph, Node, NodeId, Op};
use super::integers::{Layer, Quantization, Scale};
use proto::{Elements, int, ints, node, string, tensor, value};

/// The network in f32.
///
/// # Errors
/// When the graph has no output.
pub fn to_f32(graph: &Graph, props: &[(&str, String)]) -> Result<ModelProto> {
    let mut writer = Writer::new(graph, None)?;
    writer.layers()?;
    Ok(writer.finish("f32", props))
}

/// The network in f32, every node's result an output, in the order of the nodes (the input left
/// out).
pub(super) fn to_f32_with_all_results(graph: &Graph) -> Result<ModelProto> {
    let mut writer = Writer::new(graph, None)?;
    writer.layers()?;
    let mut model = writer.finish("f32 with every result", &[]);
    let results = graph.nodes().iter().enumerate().skip(1);
    if let Some(proto) = &mut model.graph {
        proto.output = results
            .map(|(at, node)| value(result_name(graph, NodeId(at)), &dims(node)))
            .collect();
    }
    Ok(model)
}

/// The network in int8.
///
/// # Errors
/// When the graph has no output, or the quantisation is of another graph.
pub fn to_qdq(
    graph: &Graph,
    quantization: &Quantization,
    props: &[(&str, String)],
) -> Result<ModelProto> {
    ensure!(
        quantization.scales.len() == graph.nodes().len(),
        "the scales are of another network"
    );
    let mut writer = Writer::new(graph, Some(quantization))?;
    writer.layers()?;
    Ok(writer.finish("int8", props))
}

/// Writes a graph node by node.
struct Writer<'a> {
    graph: &'a Graph,
    quantization: Option<&'a Quantization>,
    /// For each node, the name under which later ones read its result.
    names: Vec<String>,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph, quantization: Option<&'a Quantization>) -> Result<Self> {
        ensure!(!graph.outputs().is_empty(), "the network has no output");
        Ok(Writer {
            graph,
            quantization,
            names: Vec::new(),
            nodes: Vec::new(),
            weights: Vec::new(),
        })
    }

    fn layers(&mut self) -> Result<()> {
        for (at, layer) in self.graph.nodes().iter().enumerate() {
            let id = NodeId(at);
            let result = result_name(self.graph, id).to_owned();
            let inputs: Vec<String> = layer
                .inputs
                .iter()
                .map(|input| self.names[input.0].clone())
                .collect();
            let scale = self.quantization.and_then(|q| q.scales[at]);
            // A result that is quantised gets its own name only after that.
            let raw = match scale {
                Some(_) if at > 0 => layer.name.clone() + ".raw",
                _ => result.clone(),
            };
            match &layer.op {
                Op::Image => {}
                Op::Conv(conv) => self.conv(layer, conv, &inputs[0], &raw, scale.is_some())?,
                Op::Dense(dense) => {
                    let input = self.flattened(layer, &inputs[0]);
                    self.dense(layer, dense, &input, &raw, scale.is_some())?;
                }
                Op::Add => self.push("Add", &raw, &[&inputs[0], &inputs[1]], vec![]),
                Op::GlobalAveragePool => {
                    self.push("GlobalAveragePool", &raw, &[&inputs[0]], vec![])
                }
                Op::Upsample2x => {
                    let scales = layer.name.clone() + ".scales";
                    let twice = Elements::F32(&[1.0, 1.0, 2.0, 2.0]);
                    self.weights.push(tensor(&scales, &[4], twice));
                    let attributes = vec![
                        string("mode", "nearest"),
                        string("coordinate_transformation_mode", "asymmetric"),
                        string("nearest_mode", "floor"),
                    ];
                    self.push("Resize", &raw, &[&inputs[0], "", &scales], attributes);
                }
                Op::Concat => {
                    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                    self.push("Concat", &raw, &inputs, vec![int("axis", 1)]);
                }
            }
            let name = match scale {
                Some(scale) if at == 0 => self.rounded("image", &raw, "image.read", scale),
                Some(scale) => self.rounded(&layer.name, &raw, &result, scale),
                None => result,
            };
            self.names.push(name);
        }
        Ok(())
    }

    fn conv(
        &mut self,
        layer: &Node,
        conv: &Conv,
        input: &str,
        result: &str,
        clamped: bool,
    ) -> Result<()> {
        let kernel = conv.kernel;
        let dims = [
            conv.out_channels,
            conv.in_channels / conv.groups,
            kernel,
            kernel,
        ];
        let weights = self.layer_weights(layer, &conv.weight, &dims, &conv.bias)?;
        let attributes = vec![
            ints("dilations", &[1, 1]),
            int("group", conv.groups),
            ints("kernel_shape", &[kernel, kernel]),
            ints("pads", &[conv.pad; 4]),
            ints("strides", &[conv.stride; 2]),
        ];
        let activation = if clamped {
            Activation::None
        } else {
            conv.activation
        };
        self.activated(activation, result, |writer, name| {
            writer.push("Conv", name, &[input, &weights.0, &weights.1], attributes);
        });
        Ok(())
    }

    fn dense(
        &mut self,
        layer: &Node,
        dense: &Dense,
        input: &str,
        result: &str,
        clamped: bool,
    ) -> Result<()> {
        let dims = [dense.outputs, dense.inputs];
        let weights = self.layer_weights(layer, &dense.weight, &dims, &dense.bias)?;
        let attributes = vec![int("transB", 1)];
        let activation = if clamped {
            Activation::None
        } else {
            dense.activation
        };
        self.activated(activation, result, |writer, name| {
            writer.push("Gemm", name, &[input, &weights.0, &weights.1], attributes);
        });
        Ok(())
    }

    /// Weights and bias as tensors, in the precision of this file; the names to read them by.
    fn layer_weights(
        &mut self,
        layer: &Node,
        weight: &[f32],
        dims: &[usize],
        bias: &[f32],
    ) -> Result<(String, String)> {
        let (w, b) = (layer.name.clone() + ".weight", layer.name.clone() + ".bias");
        let outputs = [bias.len()];
        let Some(quantization) = self.quantization else {
            self.weights.push(tensor(&w, dims, Elements::F32(weight)));
            self.weights.push(tensor(&b, &outputs, Elements::F32(bias)));
            return Ok((w, b));
        };
        let input = quantization.scales[layer.inputs[0].0]
            .with_context(|| format!("what {} reads has no scale", layer.name))?;
        let layer = Layer::quantize(weight, bias, input.step);
        let zeros = vec![0; bias.len()];
        let weight = tensor(&format!("{w}.quantized"), dims, Elements::I8(&layer.weight));
        let zero = tensor(&format!("{w}.zero_point"), &outputs, Elements::I8(&zeros));
        self.restored(&w, weight, &layer.weight_steps, zero);
        let bias = tensor(
            &format!("{b}.quantized"),
            &outputs,
            Elements::I32(&layer.bias),
        );
        let zeros = vec![0; layer.bias.len()];
        let zero = tensor(&format!("{b}.zero_point"), &outputs, Elements::I32(&zeros));
        self.restored(&b, bias, &layer.bias_steps, zero);
        Ok((w, b))
    }

    /// A constant in integers, restored to float per output channel under this name.
    fn restored(&mut self, name: &str, integers: TensorProto, steps: &[f32], zero: TensorProto) {
        let scale = tensor(
            &format!("{name}.scale"),
            &[steps.len()],
            Elements::F32(steps),
        );
        let inputs = [&integers, &scale, &zero].map(|tensor| tensor.name.clone());
        let inputs = inputs.each_ref().map(String::as_str);
        self.push("DequantizeLinear", name, &inputs, vec![int("axis", 0)]);
        self.weights.extend([integers, scale, zero]);
    }

    /// What a linear layer reads: a vector.
    fn flattened(&mut self, layer: &Node, input: &str) -> String {
        let from = layer.inputs[0];
        if matches!(self.graph.node(from).op, Op::Dense(_)) {
            return input.to_owned();
        }
        let raw = layer.name.clone() + ".flat";
        self.push("Flatten", &raw, &[input], vec![int("axis", 1)]);
        match self.quantization.and_then(|q| q.scales[from.0]) {
            Some(scale) => self.rounded(&raw, &raw, &format!("{raw}.read"), scale),
            None => raw,
        }
    }

    /// Adds quantisation and its reverse, the latter's result under the name `result`.
    fn rounded(&mut self, name: &str, raw: &str, result: &str, scale: Scale) -> String {
        let (step, zero) = (format!("{name}.scale"), format!("{name}.zero_point"));
        let quantized = format!("{name}.quantized");
        self.weights
            .push(tensor(&step, &[], Elements::F32(&[scale.step])));
        self.weights
            .push(tensor(&zero, &[], Elements::U8(&[scale.zero_point])));
        self.push("QuantizeLinear", &quantized, &[raw, &step, &zero], vec![]);
        self.push(
            "DequantizeLinear",
            result,
            &[&quantized, &step, &zero],
            vec![],
        );
        result.to_owned()
    }

    /// A layer and its activation, the latter's result under the name `result`.
    fn activated(
        &mut self,
        activation: Activation,
        result: &str,
        layer: impl FnOnce(&mut Self, &str),
    ) {
        let linear = format!("{result}.linear");
        match activation {
            Activation::None => layer(self, result),
            Activation::Relu => {
                layer(self, &linear);
                self.push("Relu", result, &[&linear], vec![]);
            }
            Activation::Relu6 => {
                layer(self, &linear);
                let (min, max) = (format!("{result}.min"), format!("{result}.max"));
                self.weights.push(tensor(&min, &[], Elements::F32(&[0.0])));
                self.weights.push(tensor(&max, &[], Elements::F32(&[6.0])));
                self.push("Clip", result, &[&linear, &min, &max], vec![]);
            }
        }
    }

    fn push(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<tract_onnx::pb::AttributeProto>,
    ) {
        self.nodes.push(node(op_type, name, inputs, attributes));
    }

    fn finish(self, kind: &str, props: &[(&str, String)]) -> ModelProto {
        let size = self.graph.input_size();
        let outputs = self.graph.outputs().iter();
        let graph = GraphProto {
            name: env!("CARGO_PKG_NAME").into(),
            node: self.nodes,
            initializer: self.weights,
            input: vec![value("image", &[1, 3, size, size])],
            output: outputs
                .map(|(name, id)| value(name, &dims(self.graph.node(*id))))
                .collect(),
            ..GraphProto::default()
        };
        let doc = format!(
            "A network for pictures of {size} x {size} pixels, {kind}, written by {} {}. \
             metadata_props say what its outputs mean and how its input is made.",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
        );
        proto::model(graph, &doc, props)
    }
}

/// The name of a node's result: the output's where it is one.
fn result_name(graph: &Graph, id: NodeId) -> &str {
    let output = graph.outputs().iter().find(|(_, node)| *node == id);
    output.map_or(graph.node(id).name.as_str(), |(name, _)| name.as_str())
}

/// The ONNX shape of a node's result.
fn dims(node: &Node) -> Vec<usize> {
    let shape = node.shape;
    match node.op {
        Op::Dense(_) => vec![1, shape.channels],
        _ => vec![1, shape.channels, shape.height, shape.width],
    }
}

#[cfg(test)]
mod tests;

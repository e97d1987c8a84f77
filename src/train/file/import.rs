//! A network file read back, so that training can go on from it: the reverse of [`super::export`].
//!
//! Only files that this crate wrote can be read back. Layers are found by their names, and
//! [`Written::check`] compares the file's operators with those that the rebuilt network would be
//! written with: what differs in as much as one of them is another network.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, TensorProto};

use super::export::{to_f32, to_qdq};
use super::graph::Graph;
use super::integers::{Quantization, Scale};
use crate::model::file::OnnxFile;

/// The layers in a network file.
#[derive(Debug)]
pub struct Written<'a> {
    graph: &'a GraphProto,
    tensors: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Written<'a> {
    /// The layers of `file`.
    ///
    /// # Errors
    /// When it holds no graph.
    pub fn of(file: &'a OnnxFile) -> Result<Self> {
        let graph = file.proto.graph.as_ref().context("it holds no graph")?;
        let tensors = graph.initializer.iter();
        Ok(Written {
            graph,
            tensors: tensors.map(|t| (t.name.as_str(), t)).collect(),
        })
    }

    /// Whether there is a layer of this name.
    pub fn has(&self, layer: &str) -> bool {
        ["bias", "bias.quantized"]
            .iter()
            .any(|array| self.tensors.contains_key(&*format!("{layer}.{array}")))
    }

    /// A layer's weights and biases, in the order that [`super::graph`] has them; those of an int8
    /// file as the numbers that its integers stand for, exactly.
    ///
    /// # Errors
    /// When there is no such layer, or its arrays do not fit each other.
    pub fn layer(&self, name: &str) -> Result<(Vec<f32>, Vec<f32>)> {
        let read = || -> Result<_> {
            let bias = self.array(&format!("{name}.bias"))?;
            Ok((self.array(&format!("{name}.weight"))?, bias))
        };
        read().with_context(|| format!("cannot read its layer {name} back"))
    }

    fn array(&self, name: &str) -> Result<Vec<f32>> {
        if self.tensors.contains_key(name) {
            return self.floats(name);
        }
        let steps = self.floats(&format!("{name}.scale"))?;
        let integers = self.integers(&format!("{name}.quantized"))?;
        let row = integers.len() / steps.len().max(1);
        ensure!(
            row > 0 && row * steps.len() == integers.len(),
            "{} integers of {name} cannot have {} scales",
            integers.len(),
            steps.len()
        );
        let rows = integers.chunks_exact(row).zip(steps);
        Ok(rows
            .flat_map(|(row, step)| row.iter().map(move |&q| q as f32 * step))
            .collect())
    }

    fn tensor(&self, name: &str) -> Result<&TensorProto> {
        let tensor = self.tensors.get(name);
        tensor.copied().with_context(|| {
            format!("it has no {name}: only networks that this program trained can be read back")
        })
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.tensor(name)?;
        ensure!(
            tensor.data_type == DataType::Float as i32,
            "{name} is not of float"
        );
        let numbers = tensor.raw_data.as_chunks::<4>().0.iter();
        Ok(numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn integers(&self, name: &str) -> Result<Vec<i32>> {
        let tensor = self.tensor(name)?;
        let bytes = &tensor.raw_data;
        Ok(match DataType::try_from(tensor.data_type) {
            Ok(DataType::Int8) => bytes.iter().map(|&b| b.cast_signed().into()).collect(),
            Ok(DataType::Uint8) => bytes.iter().map(|&b| b.into()).collect(),
            Ok(DataType::Int32) => {
                let numbers = bytes.as_chunks::<4>().0.iter();
                numbers.map(|bytes| i32::from_le_bytes(*bytes)).collect()
            }
            _ => bail!("{name} is not of integers"),
        })
    }

    /// Checks that the file is `graph`, but for its weights: every operator with its inputs and
    /// attributes.
    ///
    /// # Errors
    /// Naming the first operator that is another.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        let expected = match self.scales(graph)? {
            None => to_f32(graph, &[]),
            Some(quantization) => to_qdq(graph, &quantization, &[]),
        }?;
        let expected = expected.graph.unwrap_or_default();
        for (at, node) in self.graph.node.iter().enumerate() {
            ensure!(
                expected.node.get(at) == Some(node),
                "its operator {} ({}) is none that this network has there: only networks that \
                 this program trained can be read back",
                node.name,
                node.op_type
            );
        }
        ensure!(
            self.graph.node.len() == expected.node.len(),
            "it ends after {} of {} operators",
            self.graph.node.len(),
            expected.node.len()
        );
        Ok(())
    }

    /// The scales of an int8 file's activations; `None` for a file in f32.
    fn scales(&self, graph: &Graph) -> Result<Option<Quantization>> {
        if !self.tensors.contains_key("image.scale") {
            return Ok(None);
        }
        let scale = |name: &str| -> Result<Option<Scale>> {
            let step = format!("{name}.scale");
            if !self.tensors.contains_key(&*step) {
                return Ok(None);
            }
            let zero_point = self.integers(&format!("{name}.zero_point"))?;
            let scale = match (&self.floats(&step)?[..], &zero_point[..]) {
                (&[step], &[zero_point]) => u8::try_from(zero_point)
                    .ok()
                    .map(|zero_point| Scale { step, zero_point }),
                _ => None,
            };
            Ok(Some(scale.with_context(|| {
                format!("the scale of its {name} is none")
            })?))
        };
        let scales = graph.nodes().iter().map(|node| scale(&node.name));
        Ok(Some(Quantization {
            scales: scales.collect::<Result<_>>()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Preprocessing;
    use crate::train::file::graph::{Graph, Op};
    use crate::train::file::integers::Layer;
    use crate::train::file::quantize::quantize;
    use crate::train::file::sketch::mobilenet_v2;
    use prost::Message;
    use tract_onnx::pb::ModelProto;

    fn file(proto: &ModelProto) -> OnnxFile {
        OnnxFile::parse("network", &proto.encode_to_vec()).unwrap()
    }

    fn graph() -> Graph {
        mobilenet_v2(32, 0.25, 5, 3).unwrap()
    }

    fn int8(graph: &Graph) -> (Quantization, OnnxFile) {
        let crops: Vec<Vec<u8>> = (0..6u8)
            .map(|at| {
                (0..32 * 32 * 3)
                    .map(|i| (i as u8).wrapping_mul(at))
                    .collect()
            })
            .collect();
        let (scales, _) = quantize(graph, &crops, &Preprocessing::new(32, 1.35)).unwrap();
        let file = file(&to_qdq(graph, &scales, &[]).unwrap());
        (scales, file)
    }

    fn layers(graph: &Graph) -> impl Iterator<Item = (&str, &[f32], &[f32], usize)> {
        graph.nodes().iter().filter_map(|node| {
            let (weight, bias) = match &node.op {
                Op::Conv(conv) => (&conv.weight, &conv.bias),
                Op::Dense(dense) => (&dense.weight, &dense.bias),
                _ => return None,
            };
            Some((node.name.as_str(), &weight[..], &bias[..], node.inputs[0].0))
        })
    }

    #[test]
    fn the_weights_of_an_f32_file_are_read_back_to_the_bit() {
        let graph = graph();
        let file = file(&to_f32(&graph, &[]).unwrap());
        let written = Written::of(&file).unwrap();
        written.check(&graph).unwrap();
        for (name, weight, bias, _) in layers(&graph) {
            let (read_weight, read_bias) = written.layer(name).unwrap();
            assert!(read_weight == weight && read_bias == bias, "{name}");
        }
        assert!(!written.has("top"));
    }

    #[test]
    fn integers_are_read_back_as_what_they_stand_for() {
        let graph = graph();
        let (scales, file) = int8(&graph);
        let written = Written::of(&file).unwrap();
        written.check(&graph).unwrap();
        for (name, weight, bias, input) in layers(&graph) {
            let step = scales.scales[input].unwrap().step;
            let layer = Layer::quantize(weight, bias, step);
            let (read_weight, read_bias) = written.layer(name).unwrap();
            let row = weight.len() / bias.len();
            for (at, value) in read_weight.iter().enumerate() {
                let step = layer.weight_steps[at / row];
                assert_eq!(*value, f32::from(layer.weight[at]) * step, "{name} {at}");
            }
            for (at, value) in read_bias.iter().enumerate() {
                assert_eq!(
                    *value,
                    layer.bias[at] as f32 * layer.bias_steps[at],
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn another_network_is_refused_by_its_first_strange_operator() {
        let graph = graph();
        let (_, int8) = int8(&graph);
        for mut file in [file(&to_f32(&graph, &[]).unwrap()), int8] {
            let nodes = &mut file.proto.graph.as_mut().unwrap().node;
            let conv = nodes
                .iter_mut()
                .find(|n| n.name.contains("depthwise"))
                .unwrap();
            conv.op_type = "Strange".into();
            let error = Written::of(&file).unwrap().check(&graph).unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.contains("Strange") && error.contains("depthwise"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_missing_layer_is_named() {
        let file = file(&to_f32(&graph(), &[]).unwrap());
        let error = Written::of(&file).unwrap().layer("letters").unwrap_err();
        assert!(format!("{error:#}").contains("letters.bias"), "{error:#}");
    }
}

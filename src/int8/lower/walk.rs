//! The walk's state, and how an operator asks for its inputs.

use std::collections::HashMap;
use std::rc::Rc;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::value::{Pending, Real, Value};
use crate::int8::graph::{self, Constant, Data};
use crate::int8::plan::{MapId, Plan};
use crate::int8::quant::Quant;
use crate::int8::unsupported::Why;

/// A graph on its way to a plan.
pub(super) struct Walk<'g> {
    initializers: HashMap<&'g str, &'g TensorProto>,
    /// What is known of each value, by its name.
    pub(super) values: HashMap<String, Value>,
    /// Height and width of the picture.
    pub(super) size: [usize; 2],
    /// What has been found so far.
    pub(super) plan: Plan,
}

impl<'g> Walk<'g> {
    pub(super) fn start(graph: &'g GraphProto) -> Result<Self, Why> {
        let initializers: HashMap<_, _> = graph
            .initializer
            .iter()
            .map(|t| (t.name.as_str(), t))
            .collect();
        let mut inputs = graph
            .input
            .iter()
            .filter(|i| !initializers.contains_key(i.name.as_str()));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err("the graph doesn't have exactly one input".into());
        };
        let shape = graph::shape(input)
            .ok_or_else(|| format!("input {} isn't an f32 tensor", input.name))?;
        let [None | Some(1), Some(3), Some(height), Some(width)] = shape[..] else {
            return Err(format!(
                "input {} isn't one RGB picture of fixed size, [1, 3, height, width]",
                input.name
            ));
        };
        Ok(Self {
            initializers,
            values: HashMap::from([(input.name.clone(), Value::Image)]),
            size: [height, width],
            plan: Plan {
                maps: Vec::new(),
                layers: Vec::new(),
                outputs: Vec::new(),
            },
        })
    }

    pub(super) fn value(&mut self, name: &str) -> Result<Value, Why> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let proto = self
            .initializers
            .get(name)
            .ok_or_else(|| format!("input {name} comes from nowhere"))?;
        let value = Value::Constant(Rc::new(Constant::read(proto)?));
        self.values.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    /// A node's input; an error where it is left out.
    pub(super) fn input(&mut self, node: &NodeProto, index: usize) -> Result<Value, Why> {
        match self.optional_input(node, index)? {
            Some(value) => Ok(value),
            None => Err(format!("input {index} is missing")),
        }
    }

    pub(super) fn optional_input(
        &mut self,
        node: &NodeProto,
        index: usize,
    ) -> Result<Option<Value>, Why> {
        match node.input.get(index) {
            Some(name) if !name.is_empty() => self.value(name).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn constant(&mut self, node: &NodeProto, index: usize) -> Result<Rc<Constant>, Why> {
        match self.input(node, index)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(format!("input {index} isn't a constant")),
        }
    }

    pub(super) fn optional_constant(
        &mut self,
        node: &NodeProto,
        index: usize,
    ) -> Result<Option<Rc<Constant>>, Why> {
        match self.optional_input(node, index)? {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(format!("input {index} isn't a constant")),
        }
    }

    pub(super) fn real(&mut self, node: &NodeProto, index: usize) -> Result<Real, Why> {
        match self.input(node, index)? {
            Value::Real(real) => Ok(real),
            _ => Err(format!("input {index} isn't a quantised value")),
        }
    }

    /// A node's input as a dequantised map.
    pub(super) fn map(
        &mut self,
        node: &NodeProto,
        index: usize,
    ) -> Result<(MapId, Vec<usize>), Why> {
        let real = self.real(node, index)?;
        match real.what {
            Pending::Map(id) if !real.clipped() => Ok((id, real.dims)),
            _ => Err(format!("input {index} isn't quantised")),
        }
    }

    /// Scale and zero point of a whole tensor; s8 is taken as u8 shifted by 128.
    pub(super) fn quant(&mut self, node: &NodeProto) -> Result<Quant, Why> {
        let scale = self.constant(node, 1)?.f32()?;
        if !(scale.is_normal() && scale > 0.0) {
            return Err(format!("a scale of {scale}"));
        }
        let zero_point = match self.optional_constant(node, 2)?.as_deref() {
            None => 0,
            Some(Constant {
                data: Data::U8(z), ..
            }) if z.len() == 1 => z[0],
            Some(Constant {
                data: Data::I8(z), ..
            }) if z.len() == 1 => (i16::from(z[0]) + 128) as u8,
            Some(_) => return Err("a zero point that isn't one 8-bit number".into()),
        };
        Ok(Quant { scale, zero_point })
    }

    /// A bias or another vector of reals, however the file keeps it.
    pub(super) fn reals(&mut self, value: Value) -> Result<Rc<Vec<f32>>, Why> {
        match value {
            Value::Reals(reals, _) => Ok(reals),
            Value::Constant(constant) => Ok(Rc::new(constant.f32s()?.to_vec())),
            Value::Weights(w)
                if w.dims.len() == 1 && (w.scale.len() == 1 || w.scale.len() == w.values.len()) =>
            {
                let scale = |i: usize| w.scale[if w.scale.len() == 1 { 0 } else { i }];
                Ok(Rc::new(
                    w.values
                        .iter()
                        .enumerate()
                        .map(|(i, &v)| f32::from(v) * scale(i))
                        .collect(),
                ))
            }
            _ => Err("a vector that isn't constant".into()),
        }
    }

    pub(super) fn bias(
        &mut self,
        node: &NodeProto,
        index: usize,
        channels: usize,
    ) -> Result<Vec<f64>, Why> {
        let Some(value) = self.optional_input(node, index)? else {
            return Ok(vec![0.0; channels]);
        };
        let bias = self.reals(value)?;
        if bias.len() != channels {
            return Err(format!(
                "a bias of {} values for {channels} channels",
                bias.len()
            ));
        }
        Ok(bias.iter().map(|&b| b.into()).collect())
    }
}

pub(super) fn label(node: &NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

//! `QuantizeLinear` and `DequantizeLinear`: where a stretch of f32 begins and ends.

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::value::{Pending, QuantisedWeights, Real, Value};
use super::walk::{Walk, label};
use crate::int8::graph::{self, Constant, Data};
use crate::int8::plan::{Map, Output, Plan, Stage};
use crate::int8::unsupported::Why;

impl Walk<'_> {
    pub(super) fn quantize(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let quant = self.quant(node)?;
        match self.input(node, 0)? {
            Value::Image => {
                if self.plan.maps.is_empty() {
                    let [height, width] = self.size;
                    self.plan.maps.push(Map {
                        height,
                        width,
                        channels: 3,
                        quant,
                    });
                }
                if self.plan.maps[Plan::IMAGE].quant != quant {
                    return Err("the picture is quantised in two ways".into());
                }
                Ok(Value::Stored(
                    Plan::IMAGE,
                    vec![1, 3, self.size[0], self.size[1]],
                ))
            }
            Value::Real(Real {
                what: Pending::Result(output),
                low,
                high,
                ..
            }) => Ok(Value::StoredResult(
                Box::new(Output {
                    low,
                    high,
                    ..*output
                }),
                quant,
            )),
            Value::Real(real) => {
                let dims = real.dims.clone();
                let id = self.store(real, quant, &label(node))?;
                Ok(Value::Stored(id, dims))
            }
            _ => Err("it quantises something else than a layer's result".into()),
        }
    }

    pub(super) fn dequantize(&mut self, node: &NodeProto) -> Result<Value, Why> {
        if graph::int(node, "block_size", 0) != 0 {
            return Err("blocked quantisation".into());
        }
        match self.input(node, 0)? {
            Value::Stored(id, dims) => {
                if self.quant(node)? != self.plan.maps[id].quant {
                    return Err(
                        "it dequantises with another scale or zero point than quantised".into(),
                    );
                }
                Ok(Value::Real(Real::new(Pending::Map(id), dims)))
            }
            Value::StoredResult(mut output, quant) => {
                if self.quant(node)? != quant {
                    return Err(
                        "it dequantises with another scale or zero point than quantised".into(),
                    );
                }
                output.stages.push(Stage::Round(quant));
                let dims = output.shape.clone();
                Ok(Value::Real(Real::new(Pending::Result(output), dims)))
            }
            Value::Constant(constant) => self.dequantize_constant(node, &constant),
            _ => Err("it dequantises something else than u8 or a constant".into()),
        }
    }

    fn dequantize_constant(&mut self, node: &NodeProto, constant: &Constant) -> Result<Value, Why> {
        let scale = self.constant(node, 1)?.f32s()?.to_vec();
        let zero_points: Vec<i32> =
            match self.optional_constant(node, 2)?.as_deref().map(|c| &c.data) {
                None => vec![0; scale.len()],
                Some(Data::U8(z)) => z.iter().map(|&z| z.into()).collect(),
                Some(Data::I8(z)) => z.iter().map(|&z| z.into()).collect(),
                Some(Data::I32(z)) => z.clone(),
                Some(_) => return Err("a zero point of an odd type".into()),
            };
        let rank = constant.dims.len() as i64;
        let axis = graph::int(node, "axis", 1);
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis })
            .map_err(|_| "an axis out of range")?;
        let along = if scale.len() == 1 {
            None
        } else {
            Some(*constant.dims.get(axis).ok_or("an axis out of range")?)
        };
        if zero_points.len() != scale.len() || along.is_some_and(|n| n != scale.len()) {
            return Err(format!(
                "{} scales and {} zero points along axis {axis}",
                scale.len(),
                zero_points.len()
            ));
        }
        let integers: Vec<i32> = match &constant.data {
            Data::I8(v) if zero_points.iter().all(|&z| z == 0) => {
                let (dims, values) = (constant.dims.clone(), v.clone());
                return Ok(Value::Weights(Rc::new(QuantisedWeights {
                    dims,
                    values,
                    scale,
                    axis,
                })));
            }
            Data::I8(v) => v.iter().map(|&v| v.into()).collect(),
            Data::U8(v) => v.iter().map(|&v| v.into()).collect(),
            Data::I32(v) => v.clone(),
            _ => return Err("a constant of an odd type".into()),
        };
        let inner: usize = constant.dims.iter().skip(axis + 1).product();
        let channel = |i: usize| {
            if along.is_some() {
                i / inner.max(1) % scale.len()
            } else {
                0
            }
        };
        let reals = integers.iter().enumerate().map(|(i, &v)| {
            let steps = i64::from(v) - i64::from(zero_points[channel(i)]);
            steps as f32 * scale[channel(i)]
        });
        Ok(Value::Reals(
            Rc::new(reals.collect()),
            constant.dims.clone(),
        ))
    }
}

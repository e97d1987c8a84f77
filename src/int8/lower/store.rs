//! Writing down layers and results, once the integers on both sides are known.

use super::value::{Pending, Real, RealWeights, Value};
use super::walk::Walk;
use crate::int8::plan::{
    Layer, LayerOp, Map, MapId, Output, OutputSource, Plan, Pool, Weights, Window,
};
use crate::int8::quant::{AddQuant, Quant, Requant};
use crate::int8::unsupported::Why;

impl Walk<'_> {
    /// Writes down the layer whose result is quantised here.
    pub(super) fn store(&mut self, real: Real, quant: Quant, name: &str) -> Result<MapId, Why> {
        let clipped = real.clipped();
        let (low, high) = (quant.quantise(real.low), quant.quantise(real.high));
        let target = (quant.zero_point, low, high);
        let maps = &self.plan.maps;
        let (inputs, out, op) = match real.what {
            Pending::Map(id) if maps[id].quant == quant && !clipped => return Ok(id),
            Pending::Map(Plan::IMAGE) => return Err("it quantises the picture again".into()),
            Pending::Map(id) => {
                let table = table(maps[id].quant, quant, real.low, real.high, 0.0);
                (vec![id], maps[id], LayerOp::Lookup(vec![table]))
            }
            Pending::Offset(id, values) => {
                let tables = values
                    .iter()
                    .map(|&v| table(maps[id].quant, quant, real.low, real.high, v))
                    .collect();
                (vec![id], maps[id], LayerOp::Lookup(tables))
            }
            Pending::Conv {
                input,
                window,
                depthwise,
                out,
                weights,
            } => {
                let source = maps[input].quant;
                let scale = weights
                    .scale
                    .iter()
                    .map(|&w| source.scale * w / quant.scale)
                    .collect();
                let bias = integer_bias(&weights, source.scale)?;
                let requant =
                    Requant::fold(&weights.values, &bias, scale, source.zero_point, target)?;
                let weights = Weights {
                    values: weights.values.clone(),
                    requant,
                };
                let op = if depthwise {
                    LayerOp::Depthwise(window, weights)
                } else {
                    LayerOp::Conv(window, weights)
                };
                (vec![input], out, op)
            }
            Pending::Add(a, b) => {
                let add = AddQuant::new([a, b].map(|id| maps[id].quant), quant, low, high);
                if add.ratios.iter().any(|&ratio| ratio > 1e4) {
                    return Err("it adds maps of far larger scale than its result's".into());
                }
                (vec![a, b], maps[a], LayerOp::Add(add))
            }
            Pending::Pool(id) => {
                let source = maps[id];
                let count = source.height * source.width;
                let scale = source.quant.scale / (quant.scale * count as f32);
                if count > 1 << 22 || scale > 1e4 {
                    return Err(format!("a mean of {count} pixels at scale {scale}"));
                }
                let pool = Pool {
                    input_zero_point: source.quant.zero_point,
                    scale,
                    zero_point: quant.zero_point,
                    low,
                    high,
                };
                (
                    vec![id],
                    Map {
                        height: 1,
                        width: 1,
                        ..source
                    },
                    LayerOp::Pool(pool),
                )
            }
            Pending::Concat(ids) => {
                let first = maps[ids[0]];
                let channels = ids.iter().map(|&id| maps[id].channels).sum();
                let tables = ids.iter().map(|&id| {
                    let same = maps[id].quant == quant && !clipped;
                    (!same)
                        .then(|| Box::new(table(maps[id].quant, quant, real.low, real.high, 0.0)))
                });
                let op = LayerOp::Concat(tables.collect());
                (ids, Map { channels, ..first }, op)
            }
            Pending::Upsample(id, factor) => {
                let source = maps[id];
                if source.quant != quant || clipped {
                    return Err("a resize that also changes scale or range".into());
                }
                let out = Map {
                    height: source.height * factor,
                    width: source.width * factor,
                    ..source
                };
                (vec![id], out, LayerOp::Upsample { factor })
            }
            Pending::Result(_) => return Err("it quantises a result".into()),
        };
        let output = self.plan.maps.len();
        self.plan.maps.push(Map { quant, ..out });
        self.plan.layers.push(Layer {
            name: name.to_owned(),
            inputs,
            output,
            op,
        });
        Ok(output)
    }

    /// An output made of the f32 values a layer gives.
    pub(super) fn result(&mut self, real: Real) -> Result<Output, Why> {
        let source = match real.what {
            Pending::Result(output) => return Ok(*output),
            Pending::Map(Plan::IMAGE) => return Err("the picture itself is a result".into()),
            Pending::Map(id) => OutputSource::Map(id),
            Pending::Conv {
                input,
                weights,
                out,
                depthwise: false,
                window: Window::POINT,
            } if out.height * out.width == 1 => {
                let source = self.plan.maps[input].quant;
                let bias = integer_bias(&weights, source.scale)?;
                let unit = vec![1.0; bias.len()];
                let folded =
                    Requant::fold(&weights.values, &bias, unit, source.zero_point, (0, 0, 255))?;
                let scale = weights.scale.iter().map(|&w| source.scale * w).collect();
                OutputSource::Dense {
                    input,
                    values: weights.values.clone(),
                    bias: folded.bias,
                    scale,
                }
            }
            _ => return Err("a result that isn't quantised".into()),
        };
        Ok(Output {
            name: String::new(),
            shape: real.dims,
            source,
            low: real.low,
            high: real.high,
            stages: Vec::new(),
        })
    }

    pub(super) fn output(&mut self, name: &str) -> Result<(), Why> {
        let Value::Real(real) = self.value(name)? else {
            return Err("an output that isn't f32".into());
        };
        let output = self.result(real)?;
        self.plan.outputs.push(Output {
            name: name.to_owned(),
            ..output
        });
        Ok(())
    }
}

/// From bytes of one quantisation to bytes of another, with a clip and an offset between.
fn table(from: Quant, to: Quant, low: f32, high: f32, offset: f32) -> [u8; 256] {
    std::array::from_fn(|q| to.quantise((from.dequantise(q as u8) + offset).clamp(low, high)))
}

/// The bias in units of the sum, rounded.
fn integer_bias(weights: &RealWeights, input_scale: f32) -> Result<Vec<i64>, Why> {
    let unit = weights.scale.iter().map(|&w| f64::from(input_scale * w));
    let bias = weights.bias.iter().zip(unit).map(|(&b, unit)| {
        if b == 0.0 {
            0.0
        } else {
            (b / unit).round_ties_even()
        }
    });
    // Far beyond 32 bits a channel can't be lowered anyway; `fold` says so.
    bias.map(|b| {
        if b.is_finite() {
            Ok(b.clamp(-1e15, 1e15) as i64)
        } else {
            Err("a bias that isn't finite".into())
        }
    })
    .collect()
}

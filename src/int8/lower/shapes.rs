//! The operators that only shape: flattening and its kin, and repeating pixels.

use tract_onnx::pb::NodeProto;

use super::value::{Pending, Real, Value};
use super::walk::Walk;
use crate::int8::graph;
use crate::int8::plan::Plan;
use crate::int8::unsupported::Why;

impl Walk<'_> {
    /// Flatten and its kin: only where nothing moves in memory.
    pub(super) fn reshape(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let mut value = self.input(node, 0)?;
        let dims = match &mut value {
            Value::Stored(_, dims) | Value::Real(Real { dims, .. }) => dims,
            _ => return Err("its input isn't quantised".into()),
        };
        let from = dims.clone();
        let total: usize = from.iter().product();
        let mut to = match node.op_type.as_str() {
            "Flatten" => match graph::int(node, "axis", 1) {
                1 => vec![1, total],
                axis => return Err(format!("axis {axis}")),
            },
            "Reshape" => {
                let shape = self.constant(node, 1)?;
                let shape = shape.i64s()?;
                let zero_copies = graph::int(node, "allowzero", 0) == 0;
                let mut to = Vec::with_capacity(shape.len());
                for (i, &d) in shape.iter().enumerate() {
                    to.push(match d {
                        0 if zero_copies => {
                            *from.get(i).ok_or("a shape longer than its input's")?
                        }
                        -1 => usize::MAX,
                        d => usize::try_from(d).map_err(|_| "a negative shape")?,
                    });
                }
                let known = to.iter().filter(|&&d| d != usize::MAX);
                let known = known.fold(1, |known: usize, &d| known.saturating_mul(d));
                for d in to.iter_mut().filter(|d| **d == usize::MAX) {
                    *d = total / known.max(1);
                }
                to
            }
            "Squeeze" => {
                let axes = self.axes(node, from.len())?;
                let keep = |i: usize| {
                    if axes.is_empty() {
                        from[i] != 1 || i == 0
                    } else {
                        !axes.contains(&i)
                    }
                };
                (0..from.len())
                    .filter(|&i| keep(i))
                    .map(|i| from[i])
                    .collect()
            }
            _ => {
                let added = self.axes(node, from.len() + 2)?;
                let mut old = from.iter();
                let place = |i| {
                    if added.contains(&i) {
                        Some(1)
                    } else {
                        old.next().copied()
                    }
                };
                (0..from.len() + added.len()).map_while(place).collect()
            }
        };
        let pixels: usize = from.iter().skip(2).product();
        let same_channels = to.first() == Some(&1)
            && to.get(1) == from.get(1)
            && to.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) == Some(total);
        if to != from && !(same_channels && pixels == 1) {
            return Err(format!("from shape {from:?} to {to:?}"));
        }
        match &mut value {
            Value::Stored(_, dims) | Value::Real(Real { dims, .. }) => {
                std::mem::swap(dims, &mut to)
            }
            _ => {}
        }
        Ok(value)
    }

    /// The axes of Squeeze and Unsqueeze, as an input or an attribute.
    fn axes(&mut self, node: &NodeProto, rank: usize) -> Result<Vec<usize>, Why> {
        let axes = match self.optional_constant(node, 1)? {
            Some(axes) => axes.i64s()?.to_vec(),
            None => graph::ints(node, "axes").unwrap_or_default().to_vec(),
        };
        let absolute = |&a: &i64| usize::try_from(if a < 0 { a + rank as i64 } else { a });
        axes.iter()
            .map(absolute)
            .collect::<Result<_, _>>()
            .map_err(|_| "an axis out of range".into())
    }

    pub(super) fn resize(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let (id, dims) = self.map(node, 0)?;
        let [1, channels, height, width] = dims[..] else {
            return Err(format!("of shape {dims:?}"));
        };
        let sizes = match (
            self.optional_constant(node, 2)?,
            self.optional_constant(node, 3)?,
        ) {
            (Some(scales), _) if !scales.f32s()?.is_empty() => scales
                .f32s()?
                .iter()
                .zip(&dims)
                .map(|(s, &d)| (s * d as f32) as usize)
                .collect::<Vec<_>>(),
            (_, Some(sizes)) => sizes
                .i64s()?
                .iter()
                .map(|&s| usize::try_from(s).unwrap_or(0))
                .collect(),
            _ => return Err("neither scales nor sizes".into()),
        };
        let factor = sizes.get(2).map_or(0, |h| h / height.max(1));
        let repeated = [
            1,
            channels,
            height.saturating_mul(factor),
            width.saturating_mul(factor),
        ];
        // With a factor of two these pairs all repeat each pixel; with other factors only the first is sure to.
        let transform = graph::text(node, "coordinate_transformation_mode", "half_pixel");
        let rounding = graph::text(node, "nearest_mode", "round_prefer_floor");
        let repeats = match (transform, rounding) {
            ("asymmetric", "floor") => factor >= 1,
            ("asymmetric" | "half_pixel" | "pytorch_half_pixel", "round_prefer_floor") => {
                factor == 2
            }
            _ => false,
        };
        let nearest = graph::text(node, "mode", "nearest") == "nearest";
        if !nearest || !repeats || sizes != repeated || id == Plan::IMAGE {
            return Err(format!(
                "from shape {dims:?} to {sizes:?}, {transform}, {rounding}"
            ));
        }
        Ok(Value::Real(Real::new(
            Pending::Upsample(id, factor),
            repeated.to_vec(),
        )))
    }
}

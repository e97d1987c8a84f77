//! The operators that compute: each becomes a layer once its result is quantised.

use std::rc::Rc;

use tract_onnx::pb::NodeProto;

use super::value::{Pending, Real, RealWeights, Value};
use super::walk::Walk;
use crate::int8::graph;
use crate::int8::plan::{Map, Plan, Stage, Window};
use crate::int8::unsupported::Why;

impl Walk<'_> {
    pub(super) fn conv(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let (input, _) = self.map(node, 0)?;
        let Value::Weights(w) = self.input(node, 1)? else {
            return Err("its weights aren't symmetric s8 constants".into());
        };
        let map = self.plan.maps[input];
        let [out, group_in, kh, kw] = w.dims[..] else {
            return Err(format!("weights of shape {:?}", w.dims));
        };
        let groups = graph::int(node, "group", 1);
        if graph::ints(node, "dilations").is_some_and(|d| d.iter().any(|&d| d != 1)) {
            return Err("dilation".into());
        }
        if w.values.is_empty() {
            return Err("no weights".into());
        }
        let depthwise = groups != 1;
        if depthwise {
            if usize::try_from(groups) != Ok(map.channels) || group_in != 1 || out != map.channels {
                return Err(format!(
                    "{groups} groups of {} to {out} channels",
                    map.channels
                ));
            }
            if [kh, kw] != [3, 3] {
                return Err(format!("a depthwise kernel of {kh}x{kw}"));
            }
            if input == Plan::IMAGE {
                return Err("a depthwise convolution of the picture itself".into());
            }
        } else if group_in != map.channels {
            return Err(format!(
                "weights for {group_in} channels, {} come in",
                map.channels
            ));
        }
        let (window, height, width) = window(node, [kh, kw], [map.height, map.width])?;
        // From [output][input][row][column] to [output][row][column][input].
        let mut values = Vec::with_capacity(w.values.len());
        for kernel in w.values.chunks_exact(group_in * kh * kw) {
            for position in 0..kh * kw {
                values.extend((0..group_in).map(|c| kernel[c * kh * kw + position]));
            }
        }
        let weights = Rc::new(RealWeights {
            values,
            bias: self.bias(node, 2, out)?,
            scale: w.scales(0, out)?,
        });
        let out = Map {
            height,
            width,
            channels: out,
            ..map
        };
        let dims = vec![1, out.channels, height, width];
        Ok(Value::Real(Real::new(
            Pending::Conv {
                input,
                window,
                depthwise,
                out,
                weights,
            },
            dims,
        )))
    }

    pub(super) fn clip(&mut self, node: &NodeProto, low: f32, high: f32) -> Result<Value, Why> {
        let mut real = self.real(node, 0)?;
        if low.is_nan() || high.is_nan() || low > high {
            return Err(format!("it clips to {low}..{high}"));
        }
        real.low = real.low.max(low).min(high);
        real.high = real.high.min(high).max(low);
        if matches!(&real.what, Pending::Result(output) if !output.stages.is_empty()) {
            return Err("it clips a result".into());
        }
        Ok(Value::Real(real))
    }

    pub(super) fn add(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let (a, b) = match (self.input(node, 0)?, self.input(node, 1)?) {
            (Value::Real(a), Value::Real(b)) => (a, b),
            (Value::Real(a), vector) | (vector, Value::Real(a)) => {
                return self.add_vector(a, vector);
            }
            _ => return Err("its inputs aren't quantised".into()),
        };
        match (&a.what, &b.what) {
            (&Pending::Map(x), &Pending::Map(y)) if !a.clipped() && !b.clipped() => {
                let (mx, my) = (self.plan.maps[x], self.plan.maps[y]);
                if a.dims != b.dims
                    || (mx.height, mx.width, mx.channels) != (my.height, my.width, my.channels)
                {
                    return Err(format!(
                        "it adds maps of shapes {:?} and {:?}",
                        a.dims, b.dims
                    ));
                }
                if x == Plan::IMAGE || y == Plan::IMAGE {
                    return Err("it adds the picture itself".into());
                }
                Ok(Value::Real(Real::new(Pending::Add(x, y), a.dims)))
            }
            _ => Err("its inputs aren't quantised".into()),
        }
    }

    /// A bias that follows a matrix product, or a constant added to each channel of a map.
    fn add_vector(&mut self, real: Real, vector: Value) -> Result<Value, Why> {
        let dims = match &vector {
            Value::Constant(c) => c.dims.clone(),
            Value::Reals(_, dims) => dims.clone(),
            Value::Weights(w) => w.dims.clone(),
            _ => return Err("its inputs aren't quantised".into()),
        };
        let values = self.reals(vector)?;
        let channels = *real
            .dims
            .get(1)
            .ok_or("it adds to a value without channels")?;
        // Right-aligned, as ONNX broadcasts: the channels are dimension 1 of the value.
        let from_right = real.dims.len() - 1;
        let fits = values.len() == channels
            && dims.len() >= from_right
            && dims
                .iter()
                .enumerate()
                .all(|(i, &d)| d == 1 || i + from_right == dims.len());
        if !fits || real.clipped() {
            return Err(format!(
                "it adds a constant of shape {dims:?} to {:?}",
                real.dims
            ));
        }
        let what = match real.what {
            Pending::Conv {
                input,
                window,
                depthwise,
                out,
                weights,
            } => {
                let bias = weights
                    .bias
                    .iter()
                    .zip(values.iter())
                    .map(|(&b, &v)| b + f64::from(v))
                    .collect();
                let (values, scale) = (weights.values.clone(), weights.scale.clone());
                Pending::Conv {
                    input,
                    window,
                    depthwise,
                    out,
                    weights: Rc::new(RealWeights {
                        values,
                        bias,
                        scale,
                    }),
                }
            }
            Pending::Map(id) if id != Plan::IMAGE => Pending::Offset(id, values),
            _ => return Err("it adds a constant to something else than a layer's result".into()),
        };
        Ok(Value::Real(Real::new(what, real.dims)))
    }

    pub(super) fn pool(&mut self, node: &NodeProto, keep_dims: bool) -> Result<Value, Why> {
        let (input, dims) = self.map(node, 0)?;
        let [1, channels, _, _] = dims[..] else {
            return Err(format!("a mean over shape {dims:?}"));
        };
        if input == Plan::IMAGE {
            return Err("a mean over the picture itself".into());
        }
        let dims = if keep_dims {
            vec![1, channels, 1, 1]
        } else {
            vec![1, channels]
        };
        Ok(Value::Real(Real::new(Pending::Pool(input), dims)))
    }

    pub(super) fn reduce_mean(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let axes = match self.optional_constant(node, 1)? {
            Some(axes) => axes.i64s()?.to_vec(),
            None => graph::ints(node, "axes").unwrap_or_default().to_vec(),
        };
        let mut axes: Vec<i64> = axes
            .iter()
            .map(|&a| if a < 0 { a + 4 } else { a })
            .collect();
        axes.sort_unstable();
        if axes != [2, 3] {
            return Err(format!("a mean over axes {axes:?}"));
        }
        self.pool(node, graph::int(node, "keepdims", 1) != 0)
    }

    pub(super) fn dense(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let (input, dims) = self.map(node, 0)?;
        let Value::Weights(w) = self.input(node, 1)? else {
            return Err("its weights aren't symmetric s8 constants".into());
        };
        let gemm = node.op_type == "Gemm";
        let plain =
            graph::float(node, "alpha", 1.0) == 1.0 && graph::float(node, "beta", 1.0) == 1.0;
        if graph::int(node, "transA", 0) != 0 || (gemm && !plain) {
            return Err("alpha, beta or transA".into());
        }
        let transposed = gemm && graph::int(node, "transB", 0) != 0;
        let map = self.plan.maps[input];
        let ([rows, columns], [1, channels]) = (&w.dims[..], &dims[..]) else {
            return Err(format!("a product of shapes {dims:?} and {:?}", w.dims));
        };
        let (inputs, out) = if transposed {
            (*columns, *rows)
        } else {
            (*rows, *columns)
        };
        if inputs != *channels || out == 0 || map.height * map.width != 1 {
            return Err(format!("a product of shapes {dims:?} and {:?}", w.dims));
        }
        let values = if transposed {
            w.values.clone()
        } else {
            (0..out)
                .flat_map(|n| w.values.iter().skip(n).step_by(out).copied())
                .collect()
        };
        let scale = w.scales(if transposed { 0 } else { 1 }, out)?;
        let weights = Rc::new(RealWeights {
            values,
            bias: self.bias(node, if gemm { 2 } else { usize::MAX }, out)?,
            scale,
        });
        let what = Pending::Conv {
            input,
            window: Window::POINT,
            depthwise: false,
            out: Map {
                channels: out,
                ..map
            },
            weights,
        };
        Ok(Value::Real(Real::new(what, vec![1, out])))
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let real = self.real(node, 0)?;
        let axis = graph::int(node, "axis", -1);
        if real.dims.len() != 2 || !matches!(axis, -1 | 1) {
            return Err(format!("over axis {axis} of shape {:?}", real.dims));
        }
        let dims = real.dims.clone();
        let mut output = self.result(real)?;
        output.stages.push(Stage::Softmax);
        Ok(Value::Real(Real::new(
            Pending::Result(Box::new(output)),
            dims,
        )))
    }

    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Value, Why> {
        let axis = graph::int(node, "axis", 1);
        let mut ids = Vec::with_capacity(node.input.len());
        let mut dims: Vec<usize> = Vec::new();
        for index in 0..node.input.len() {
            let (id, d) = self.map(node, index)?;
            if id == Plan::IMAGE
                || d.len() != 4
                || !matches!(axis, 1 | -3)
                || (index > 0 && d[2..] != dims[2..])
            {
                return Err(format!("along axis {axis} of shape {d:?}"));
            }
            let channels = d[1] + dims.get(1).unwrap_or(&0);
            dims = vec![1, channels, d[2], d[3]];
            ids.push(id);
        }
        if ids.is_empty() {
            return Err("no inputs".into());
        }
        Ok(Value::Real(Real::new(Pending::Concat(ids), dims)))
    }
}

/// A convolution's geometry and its output's height and width.
fn window(
    node: &NodeProto,
    kernel: [usize; 2],
    size: [usize; 2],
) -> Result<(Window, usize, usize), Why> {
    let strides = graph::ints(node, "strides").unwrap_or(&[1, 1]);
    let pads = graph::ints(node, "pads").unwrap_or(&[0; 4]);
    let auto = graph::text(node, "auto_pad", "NOTSET");
    let (&[sh, sw], &[top, left, bottom, right]) = (strides, pads) else {
        return Err(format!("strides {strides:?} and pads {pads:?}"));
    };
    let fits = |v: i64, least: i64| {
        (least..=64)
            .contains(&v)
            .then_some(v as usize)
            .ok_or("odd strides or pads")
    };
    let stride = [fits(sh, 1)?, fits(sw, 1)?];
    let pads = [
        [fits(top, 0)?, fits(bottom, 0)?],
        [fits(left, 0)?, fits(right, 0)?],
    ];
    let (mut before, mut out) = ([0; 2], [0; 2]);
    for axis in 0..2 {
        let (n, k, s) = (size[axis], kernel[axis], stride[axis]);
        match auto {
            "" | "NOTSET" | "VALID" => {
                let [start, end] = if auto == "VALID" { [0, 0] } else { pads[axis] };
                before[axis] = start;
                out[axis] = (n + start + end)
                    .checked_sub(k)
                    .ok_or("a kernel larger than its input")?
                    / s
                    + 1;
            }
            "SAME_UPPER" | "SAME_LOWER" => {
                out[axis] = n.div_ceil(s);
                let total = ((out[axis] - 1) * s + k).saturating_sub(n);
                before[axis] = if auto == "SAME_UPPER" {
                    total / 2
                } else {
                    total.div_ceil(2)
                };
            }
            _ => return Err(format!("auto_pad {auto}")),
        }
        if before[axis] >= k {
            return Err("padding as wide as the kernel".into());
        }
    }
    Ok((
        Window {
            kernel,
            stride,
            before,
        },
        out[0],
        out[1],
    ))
}

//! From an ONNX graph of quantise/dequantise pairs to a [`Plan`] of integer layers.
//!
//! A QDQ graph computes in f32 between `DequantizeLinear` and `QuantizeLinear`. Walking it in order, every value is
//! kept as what it is made of, and a layer is written down where a `QuantizeLinear` ends such a stretch: then the
//! integers on both sides, and the clip between them, are known. Anything that doesn't fit stops the walk with the
//! node's name; the graph is then left to the stock runtime as a whole.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::graph::{self, Constant, Data};
use super::plan::{
    Layer, LayerOp, Map, MapId, Output, OutputSource, Plan, Pool, Stage, Weights, Window,
};
use super::quant::{AddQuant, Quant, Requant};

/// Why something can't be lowered.
pub type Why = String;

/// The node that keeps a graph from being lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The node's name, or its first output's where it has none; empty where no one node is to blame.
    pub node: String,
    /// The ONNX operator.
    pub op: String,
    /// What about it can't be lowered.
    pub why: Why,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.node.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "{} ({}): {}", self.node, self.op, self.why)
        }
    }
}

impl std::error::Error for Unsupported {}

/// Weights as a file keeps them: s8 and one scale for each channel along `axis`, or one for all.
#[derive(Debug)]
struct QuantisedWeights {
    dims: Vec<usize>,
    values: Vec<i8>,
    scale: Vec<f32>,
    axis: usize,
}

impl QuantisedWeights {
    /// The scales of `channels` output channels that lie along `axis`.
    fn scales(&self, axis: usize, channels: usize) -> Result<Vec<f32>, Why> {
        match self.scale.len() {
            1 => Ok(vec![self.scale[0]; channels]),
            n if n == channels && self.axis == axis => Ok(self.scale.clone()),
            n => Err(format!(
                "{n} weight scales along axis {} for {channels} output channels",
                self.axis
            )),
        }
    }
}

/// A layer's f32 result before it is quantised.
#[derive(Debug, Clone)]
enum Pending {
    /// A map, dequantised.
    Map(MapId),
    /// A map plus a constant for each channel.
    Offset(MapId, Rc<Vec<f32>>),
    Conv {
        input: MapId,
        window: Window,
        depthwise: bool,
        out: Map,
        weights: Rc<RealWeights>,
    },
    Add(MapId, MapId),
    Pool(MapId),
    Concat(Vec<MapId>),
    Upsample(MapId, usize),
    /// Results past the last layer.
    Result(Box<Output>),
}

/// A convolution's integers with what is needed to scale them once the output's scale is known.
#[derive(Debug)]
struct RealWeights {
    /// `[output channel][row][column][input channel]`.
    values: Vec<i8>,
    /// One real value per output channel.
    bias: Vec<f64>,
    /// Scale of the weights, one per output channel.
    scale: Vec<f32>,
}

/// A value of the graph, as far as the walk knows it.
#[derive(Debug, Clone)]
enum Value {
    /// The graph's input.
    Image,
    Constant(Rc<Constant>),
    /// Dequantised s8 constants.
    Weights(Rc<QuantisedWeights>),
    /// Dequantised constants of any other type.
    Reals(Rc<Vec<f32>>, Vec<usize>),
    /// u8 (or s8, shifted by 128) as a `QuantizeLinear` wrote it.
    Stored(MapId, Vec<usize>),
    /// An output's values, rounded to u8.
    StoredResult(Box<Output>, Quant),
    Real(Real),
}

/// An f32 value with the clip applied to it so far.
#[derive(Debug, Clone)]
struct Real {
    what: Pending,
    /// The ONNX shape, batch included.
    dims: Vec<usize>,
    low: f32,
    high: f32,
}

impl Real {
    fn new(what: Pending, dims: Vec<usize>) -> Self {
        Self {
            what,
            dims,
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        }
    }

    fn clipped(&self) -> bool {
        self.low > f32::NEG_INFINITY || self.high < f32::INFINITY
    }
}

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

fn label(node: &NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
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

struct Walk<'g> {
    initializers: HashMap<&'g str, &'g tract_onnx::pb::TensorProto>,
    values: HashMap<String, Value>,
    /// Height and width of the picture.
    size: [usize; 2],
    plan: Plan,
}

impl<'g> Walk<'g> {
    fn start(graph: &'g GraphProto) -> Result<Self, Why> {
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

    fn value(&mut self, name: &str) -> Result<Value, Why> {
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
    fn input(&mut self, node: &NodeProto, index: usize) -> Result<Value, Why> {
        match self.optional_input(node, index)? {
            Some(value) => Ok(value),
            None => Err(format!("input {index} is missing")),
        }
    }

    fn optional_input(&mut self, node: &NodeProto, index: usize) -> Result<Option<Value>, Why> {
        match node.input.get(index) {
            Some(name) if !name.is_empty() => self.value(name).map(Some),
            _ => Ok(None),
        }
    }

    fn constant(&mut self, node: &NodeProto, index: usize) -> Result<Rc<Constant>, Why> {
        match self.input(node, index)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(format!("input {index} isn't a constant")),
        }
    }

    fn optional_constant(
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

    fn real(&mut self, node: &NodeProto, index: usize) -> Result<Real, Why> {
        match self.input(node, index)? {
            Value::Real(real) => Ok(real),
            _ => Err(format!("input {index} isn't a quantised value")),
        }
    }

    /// A node's input as a dequantised map.
    fn map(&mut self, node: &NodeProto, index: usize) -> Result<(MapId, Vec<usize>), Why> {
        let real = self.real(node, index)?;
        match real.what {
            Pending::Map(id) if !real.clipped() => Ok((id, real.dims)),
            _ => Err(format!("input {index} isn't quantised")),
        }
    }

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

    /// Scale and zero point of a whole tensor; s8 is taken as u8 shifted by 128.
    fn quant(&mut self, node: &NodeProto) -> Result<Quant, Why> {
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

    fn quantize(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn dequantize(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    /// A bias or another vector of reals, however the file keeps it.
    fn reals(&mut self, value: Value) -> Result<Rc<Vec<f32>>, Why> {
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

    fn bias(&mut self, node: &NodeProto, index: usize, channels: usize) -> Result<Vec<f64>, Why> {
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

    fn conv(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn clip(&mut self, node: &NodeProto, low: f32, high: f32) -> Result<Value, Why> {
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

    fn add(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn pool(&mut self, node: &NodeProto, keep_dims: bool) -> Result<Value, Why> {
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

    fn reduce_mean(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    /// Flatten and its kin: only where nothing moves in memory.
    fn reshape(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn dense(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn softmax(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn concat(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    fn resize(&mut self, node: &NodeProto) -> Result<Value, Why> {
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

    /// Writes down the layer whose result is quantised here.
    fn store(&mut self, real: Real, quant: Quant, name: &str) -> Result<MapId, Why> {
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
    fn result(&mut self, real: Real) -> Result<Output, Why> {
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

    fn output(&mut self, name: &str) -> Result<(), Why> {
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

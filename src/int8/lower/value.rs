//! What the walk knows of a graph's values, until a layer is made of them.

use std::rc::Rc;

use crate::int8::graph::Constant;
use crate::int8::plan::{Map, MapId, Output, Window};
use crate::int8::quant::Quant;
use crate::int8::unsupported::Why;

/// Weights as a file keeps them: s8 and one scale for each channel along `axis`, or one for all.
#[derive(Debug)]
pub(super) struct QuantisedWeights {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<i8>,
    pub(super) scale: Vec<f32>,
    pub(super) axis: usize,
}

impl QuantisedWeights {
    /// The scales of `channels` output channels that lie along `axis`.
    pub(super) fn scales(&self, axis: usize, channels: usize) -> Result<Vec<f32>, Why> {
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
pub(super) enum Pending {
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
pub(super) struct RealWeights {
    /// `[output channel][row][column][input channel]`.
    pub(super) values: Vec<i8>,
    /// One real value per output channel.
    pub(super) bias: Vec<f64>,
    /// Scale of the weights, one per output channel.
    pub(super) scale: Vec<f32>,
}

/// A value of the graph, as far as the walk knows it.
#[derive(Debug, Clone)]
pub(super) enum Value {
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
pub(super) struct Real {
    pub(super) what: Pending,
    /// The ONNX shape, batch included.
    pub(super) dims: Vec<usize>,
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Real {
    pub(super) fn new(what: Pending, dims: Vec<usize>) -> Self {
        Self {
            what,
            dims,
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        }
    }

    pub(super) fn clipped(&self) -> bool {
        self.low > f32::NEG_INFINITY || self.high < f32::INFINITY
    }
}

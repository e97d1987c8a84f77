//! What a network computes, layer by layer: what lowering finds in a file, before any kernel family packs weights.

use super::quant::{AddQuant, Quant, Requant};

/// Index of a u8 map in [`Plan::maps`]. The quantised picture itself is [`Plan::IMAGE`].
pub type MapId = usize;

/// A u8 map in NHWC order, batch 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// What its bytes stand for.
    pub quant: Quant,
}

/// One step of a network.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The ONNX node it was made from.
    pub name: String,
    /// The maps it reads.
    pub inputs: Vec<MapId>,
    /// The map it writes.
    pub output: MapId,
    /// What it does.
    pub op: LayerOp,
}

/// What a layer does.
#[derive(Debug, Clone)]
pub enum LayerOp {
    /// Convolution over all channels; 1x1 is the pointwise case.
    Conv(Window, Weights),
    /// 3x3 convolution of each channel by itself.
    Depthwise(Window, Weights),
    /// Sum of two maps of one shape.
    Add(AddQuant),
    /// Mean over all pixels.
    Pool(Pool),
    /// Every byte through a table of 256, one table for all channels or one for each.
    Lookup(Vec<[u8; 256]>),
    /// Maps side by side in the channels; where an input's quantisation differs, its bytes go through a table.
    Concat(Vec<Option<Box<[u8; 256]>>>),
    /// Every pixel repeated `factor` times in both directions.
    Upsample {
        /// How many times.
        factor: usize,
    },
}

/// A convolution's geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps down and across.
    pub stride: [usize; 2],
    /// Padding above and to the left; what is needed below and to the right follows from the output's size.
    pub before: [usize; 2],
}

impl Window {
    /// A 1x1 convolution without stride: every pixel by itself.
    pub const POINT: Self = Self {
        kernel: [1, 1],
        stride: [1, 1],
        before: [0, 0],
    };
}

/// A convolution's integers.
#[derive(Debug, Clone)]
pub struct Weights {
    /// s8 weights, `[output channel][kernel row][kernel column][input channel]` (one input channel for depthwise).
    pub values: Vec<i8>,
    /// From sums to bytes.
    pub requant: Requant,
}

/// Mean over pixels: `clamp(round((Σ q - count * input_zero_point) as f32 * scale) + zero_point, low, high)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// The input's zero point.
    pub input_zero_point: u8,
    /// `input scale / (output scale * count)`.
    pub scale: f32,
    /// The output's zero point.
    pub zero_point: u8,
    /// Smallest output.
    pub low: u8,
    /// Largest output.
    pub high: u8,
}

/// An f32 result of the network.
#[derive(Debug, Clone)]
pub struct Output {
    /// The ONNX output's name.
    pub name: String,
    /// Its shape as the file has it.
    pub shape: Vec<usize>,
    /// Where its values come from.
    pub source: OutputSource,
    /// The smallest value, where the file clips it.
    pub low: f32,
    /// The largest value, where the file clips it.
    pub high: f32,
    /// What happens to the values then, in order.
    pub stages: Vec<Stage>,
}

/// Where an output's values come from.
#[derive(Debug, Clone)]
pub enum OutputSource {
    /// A map, dequantised, in NCHW order.
    Map(MapId),
    /// A dense layer whose sums become f32 without a detour through u8.
    Dense {
        /// The map of one pixel it reads.
        input: MapId,
        /// s8 weights, `[output][input channel]`.
        values: Vec<i8>,
        /// Bias in units of the sum, the input's zero point folded in.
        bias: Vec<i32>,
        /// The real value of one unit of the sum, per output.
        scale: Vec<f32>,
    },
}

/// A step on f32 results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    /// Softmax over all values.
    Softmax,
    /// To u8 and back, as a quantised graph rounds it.
    Round(Quant),
}

/// A whole network.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All maps; the first is the picture.
    pub maps: Vec<Map>,
    /// The layers, in an order in which they can run.
    pub layers: Vec<Layer>,
    /// The results.
    pub outputs: Vec<Output>,
}

impl Plan {
    /// The quantised picture: three channels, no padding between pixels.
    pub const IMAGE: MapId = 0;

    /// Multiply-adds of one layer.
    pub fn multiply_adds(&self, layer: &Layer) -> u64 {
        let out = &self.maps[layer.output];
        let pixels = (out.height * out.width) as u64;
        match &layer.op {
            LayerOp::Conv(_, w) | LayerOp::Depthwise(_, w) => pixels * w.values.len() as u64,
            _ => 0,
        }
    }
}

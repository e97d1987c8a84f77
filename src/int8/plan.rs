//! What a network computes, layer by layer: what lowering finds in a file, before any kernel family packs weights.

use anyhow::{Context, Result, ensure};

use super::kernels::padded;
use super::quant::{AddQuant, Quant, Requant};

/// A map of more bytes than this is refused; a MobileNetV2's largest has 25 MB at 1024 pixels.
const MOST_MAP: usize = 64 << 20;

/// A network whose maps and packed weights have more bytes than this together is refused.
const MOST_MEMORY: usize = 1 << 30;

/// A network of more multiply-adds than this is refused: it would take seconds for a picture. A
/// MobileNetV2 has 6.3 thousand million at 1024 pixels.
const MOST_WORK: u64 = 100_000_000_000;

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

    /// Refuses a plan that would take absurd amounts of memory or time, before it takes any.
    ///
    /// # Errors
    /// With what is too large.
    pub fn check(&self) -> Result<()> {
        let mut memory = 0usize;
        for map in &self.maps {
            memory = memory.saturating_add(check_map(map.height, map.width, map.channels)?);
        }
        let mut work = 0u64;
        for layer in &self.layers {
            work = work.saturating_add(self.multiply_adds(layer));
            let (LayerOp::Conv(window, _) | LayerOp::Depthwise(window, _)) = &layer.op else {
                continue;
            };
            let input = layer.inputs.first().and_then(|&id| self.maps.get(id));
            let (Some(input), Some(output)) = (input, self.maps.get(layer.output)) else {
                continue;
            };
            // What it reads, its padding included.
            let along = |at: usize, size: usize| {
                (size.saturating_mul(window.stride[at])).saturating_add(window.kernel[at])
            };
            let reads = check_map(
                along(0, output.height),
                along(1, output.width),
                input.channels,
            );
            reads.with_context(|| format!("its layer {} is padded absurdly", layer.name))?;
            let weights = [window.kernel[0], window.kernel[1], padded(output.channels)]
                .iter()
                .fold(padded(input.channels), |bytes, &count| {
                    bytes.saturating_mul(count)
                });
            memory = memory.saturating_add(weights);
        }
        ensure!(
            memory <= MOST_MEMORY,
            "it would take {} MiB of memory, more than {}",
            memory >> 20,
            MOST_MEMORY >> 20
        );
        ensure!(
            work <= MOST_WORK,
            "it would take {} thousand million multiply-adds for a picture, more than {}",
            work / 1_000_000_000,
            MOST_WORK / 1_000_000_000
        );
        Ok(())
    }

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

/// The bytes of a map.
fn check_map(height: usize, width: usize, channels: usize) -> Result<usize> {
    let bytes = channels
        .checked_next_multiple_of(padded(1))
        .and_then(|bytes| bytes.checked_mul(height)?.checked_mul(width))
        .filter(|bytes| (1..=MOST_MAP).contains(bytes));
    bytes.with_context(|| {
        format!("a map of {height} x {width} x {channels} in it is empty or too large")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each map upsampled to the next.
    fn plan(maps: &[[usize; 3]]) -> Plan {
        let quant = Quant {
            scale: 0.1,
            zero_point: 3,
        };
        let layer = |at: usize| Layer {
            name: format!("layer_{at}"),
            inputs: vec![at],
            output: at + 1,
            op: LayerOp::Upsample { factor: 1 },
        };
        Plan {
            maps: (maps.iter())
                .map(|&[height, width, channels]| Map {
                    height,
                    width,
                    channels,
                    quant,
                })
                .collect(),
            layers: (0..maps.len() - 1).map(layer).collect(),
            outputs: Vec::new(),
        }
    }

    #[track_caller]
    fn assert_refused(plan: &Plan, why: &str) {
        let error = format!("{:#}", plan.check().unwrap_err());
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_network_that_would_take_too_much_memory_or_time_is_refused() {
        assert!(plan(&[[1024, 1024, 3], [512, 512, 96]]).check().is_ok());
        // One channel takes as much room as sixteen.
        assert_refused(&plan(&[[8, 8, 3], [4096, 4096, 1]]), "4096 x 4096 x 1");
        assert_refused(
            &plan(&[[8, 8, 3], [1 << 40, 1 << 40, 1 << 40]]),
            "too large",
        );
        assert_refused(&plan(&[[8, 8, 3], [8, 0, 16]]), "empty");
        assert_refused(&plan(&[[512, 512, 96]; 60]), "MiB of memory");

        let mut slow = plan(&[[512, 512, 64], [512, 512, 64]]);
        let window = Window {
            kernel: [3, 3],
            stride: [1, 1],
            before: [1, 1],
        };
        let weights = Weights {
            values: vec![1; 64 * 9 * 64 * 40],
            requant: Requant {
                bias: Vec::new(),
                scale: Vec::new(),
                zero_point: 0,
                low: 0,
                high: 255,
            },
        };
        slow.layers[0].op = LayerOp::Conv(window, weights);
        assert_refused(&slow, "multiply-adds");
    }
}

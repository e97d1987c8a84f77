//! Depthwise convolutions: the loops over rows and blocks of channels.
//!
//! The innermost loops interleave four neighbouring input rows, so that one instruction adds up the rows of a kernel
//! column. With stride 1 the same four rows serve two output rows: phase 0 uses the first three, phase 1 the last.

use super::tiled::{Bounds, channel, ordered};
use super::{Buffer, DepthwiseShape, Store};

/// What a family brings to [`Depthwise`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Channels in a vector of sums.
    pub lanes: usize,
    /// Vectors in a block of channels.
    pub vectors: usize,
    /// How many of the four rows' weights are next to each other, and how many bytes each takes: four of one byte, or
    /// pairs of two.
    pub beside: usize,
    pub width: usize,
    /// The kernels: for one row and for two, each not plain and plain ([`Bounds::plain`]).
    pub kernels: [[Kernel; 2]; 2],
}

/// Computes one or two output rows for one block of channels.
///
/// Its contract: the processor has the family's instructions. For each line and each input column of the shape,
/// `channels` bytes are readable, as they are at `pad`; for each of its rows and each output column, they are
/// writable at the target. Weights, biases and scales are those of one block.
pub(super) type Kernel = unsafe fn(&DepthwiseShape, &Lines);

/// Runs `$body` for every output column `$x`, with the three input `$columns` that the kernel meets there:
/// `$column(x, j)` gives the one of tap `j`, and where the stride allows it, it is asked for but once. A closure's call
/// might stay outside of the code with the family's instructions.
macro_rules! for_columns {
    ($shape:ident, $column:ident, |$x:ident, $columns:ident| $body:block) => {{
        let mut $columns = [$column(0, 0), $column(0, 1), $column(0, 2)];
        for $x in 0..$shape.output[1] {
            if $x > 0 {
                $columns = match $shape.stride[1] {
                    1 => [$columns[1], $columns[2], $column($x, 2)],
                    2 => [$columns[2], $column($x, 1), $column($x, 2)],
                    _ => [$column($x, 0), $column($x, 1), $column($x, 2)],
                };
            }
            $body
        }
    }};
}
pub(super) use for_columns;

/// A row of pixels: `step` bytes from one to the next, 0 for padding.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub start: *const u8,
    pub step: usize,
}

/// Four input rows and what becomes of them, for one block of channels.
pub(super) struct Lines {
    pub lines: [Line; 4],
    pub pad: *const u8,
    /// Channels there are, at most a block.
    #[cfg_attr(
        target_arch = "aarch64",
        expect(dead_code, reason = "only AVX-512 takes less than a block")
    )]
    pub channels: usize,
    pub weights: *const u8,
    pub bias: *const i32,
    pub scale: *const f32,
    pub bounds: Bounds,
    pub target: *mut u8,
    pub target_row: usize,
    pub target_step: usize,
}

/// Some channels and the kernels for them.
#[derive(Debug, Clone, Copy)]
struct Block {
    family: Family,
    /// The first of its channels, and how many there are: at most what the family takes at once.
    channel: usize,
    channels: usize,
    /// Where its weights, and its biases and scales begin.
    weights: usize,
    values: usize,
}

/// Depthwise weights, for each block `[phase][column][rows / beside][vector][channel][rows % beside]`.
#[derive(Debug, Clone)]
pub struct Depthwise {
    blocks: Vec<Block>,
    weights: Buffer,
    bias: Vec<i32>,
    scale: Vec<f32>,
    bounds: Bounds,
    /// One pixel of padding.
    pad: Buffer,
    channels: usize,
}

impl Depthwise {
    /// Takes weights as `[channel][row][column]` and families for blocks of channels, largest first: each block goes
    /// to the smallest that takes all channels left, or else to the largest.
    pub(super) fn pack(families: &[Family], weights: &[i8], pad: u8, store: &Store) -> Self {
        let channels = store.channels();
        let mut blocks = Vec::new();
        let (mut packed, mut bias, mut scale) = (Vec::new(), Vec::new(), Vec::new());
        let mut channel = 0;
        while channel < channels {
            let left = channels - channel;
            let enough = families.iter().rfind(|family| family.channels() >= left);
            let family = *enough.unwrap_or(&families[0]);
            let block = Block {
                family,
                channel,
                channels: left.min(family.channels()),
                weights: packed.len(),
                values: bias.len(),
            };
            let end = channel + block.channels;
            let resized = |values: &[f32]| {
                let mut values = values[channel..end].to_vec();
                values.resize(family.channels(), 0.0);
                ordered(&values, &[family.vectors], family.lanes)
            };
            scale.extend(resized(&store.scale));
            let mut values = store.bias[channel..end].to_vec();
            values.resize(family.channels(), 0);
            bias.extend(ordered(&values, &[family.vectors], family.lanes));
            packed.resize(block.weights + 2 * family.phase(), 0);
            family.pack(weights, channel, &mut packed[block.weights..]);
            blocks.push(block);
            channel = end;
        }
        let mut buffer = Buffer::zeroed(packed.len());
        buffer.bytes_mut().copy_from_slice(&packed);
        let mut padding = Buffer::zeroed(channels);
        padding.bytes_mut().fill(pad);
        Self {
            blocks,
            weights: buffer,
            bias,
            scale,
            bounds: Bounds::of(store),
            pad: padding,
            channels,
        }
    }

    /// Computes the rows from `first` on that fill `target`.
    ///
    /// # Safety
    ///
    /// The processor has the family's instructions. `source` is the whole input map of `shape` in this convolution's
    /// channels, `target` whole rows of the output.
    pub unsafe fn run(
        &self,
        shape: &DepthwiseShape,
        source: &[u8],
        target: &mut [u8],
        first: usize,
    ) {
        let row = shape.output[1] * self.channels;
        let rows = target.len() / row;
        let mut y = 0;
        while y < rows {
            let two = shape.stride[0] == 1 && y + 1 < rows;
            let mut lines: [Line; 4] = std::array::from_fn(|i| match shape.row(first + y, i) {
                Some(r) => {
                    let bytes = shape.input[1] * self.channels;
                    Line {
                        start: source[r * bytes..][..bytes].as_ptr(),
                        step: self.channels,
                    }
                }
                None => Line {
                    start: self.pad.bytes().as_ptr(),
                    step: 0,
                },
            });
            if !two {
                lines[3] = lines[2];
            }
            for block in &self.blocks {
                let kernels = &block.family.kernels[usize::from(two)];
                let kernel = kernels[usize::from(self.bounds.plain())];
                let job = Lines {
                    lines: lines.map(|line| Line {
                        start: line.start.wrapping_add(block.channel),
                        ..line
                    }),
                    pad: self.pad.bytes().as_ptr(),
                    channels: block.channels,
                    weights: self.weights.bytes()[block.weights..].as_ptr(),
                    bias: self.bias[block.values..].as_ptr(),
                    scale: self.scale[block.values..].as_ptr(),
                    bounds: self.bounds,
                    target: target[y * row + block.channel..].as_mut_ptr(),
                    target_row: row,
                    target_step: self.channels,
                };
                // SAFETY: the caller vouches for the instructions; each line is a whole input row, or padding read
                // with step 0, from this block's first channel on; the target has one or two rows from there on.
                unsafe { kernel(shape, &job) };
            }
            y += 1 + usize::from(two);
        }
    }
}

impl Family {
    /// Channels of a block.
    const fn channels(&self) -> usize {
        self.lanes * self.vectors
    }

    /// Bytes of the weights of one block and phase.
    pub const fn phase(&self) -> usize {
        3 * 4 * self.channels() * self.width
    }

    /// Writes the weights of the block that begins with `first`, from `[channel][row][column]`.
    fn pack(&self, weights: &[i8], first: usize, packed: &mut [u8]) {
        let Self {
            lanes,
            vectors,
            beside,
            width,
            ..
        } = *self;
        let vector = lanes * beside * width;
        for n in 0..2 * 3 * 4 * self.channels() {
            // The parts of the index, last first.
            let (n, row) = (n / 4, n % 4);
            let (n, i) = (n / lanes, n % lanes);
            let (n, v) = (n / vectors, n % vectors);
            let (phase, column) = (n / 3, n % 3);
            let channel = first + channel(lanes, vectors, v, i);
            let Some(kernel_row) = row.checked_sub(phase).filter(|&r| r < 3) else {
                continue;
            };
            let Some(&w) = weights.get(channel * 9 + kernel_row * 3 + column) else {
                continue;
            };
            let at = phase * self.phase()
                + ((column * (4 / beside) + row / beside) * vectors + v) * vector
                + (i * beside + row % beside) * width;
            packed[at..at + width].copy_from_slice(&i16::from(w).to_le_bytes()[..width]);
        }
    }
}

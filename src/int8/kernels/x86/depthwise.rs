//! Depthwise convolutions: the loops over rows and blocks of channels.
//!
//! The innermost loops interleave four neighbouring input rows, so that one instruction adds up the rows of a kernel
//! column. With stride 1 the same four rows serve two output rows: phase 0 uses the first three, phase 1 the last.

use super::{Bounds, Store, channel, ordered};
use crate::int8::kernels::{Buffer, DepthwiseShape};

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
    pub channels: usize,
    pub weights: *const u8,
    pub bias: *const i32,
    pub scale: *const f32,
    pub bounds: Bounds,
    pub target: *mut u8,
    pub target_row: usize,
    pub target_step: usize,
}

/// Depthwise weights, `[block][phase][column][rows / beside][vector][channel][rows % beside]`.
#[derive(Debug, Clone)]
pub struct Depthwise {
    family: Family,
    weights: Buffer,
    bias: Vec<i32>,
    scale: Vec<f32>,
    bounds: Bounds,
    /// One pixel of padding.
    pad: Buffer,
    channels: usize,
}

impl Depthwise {
    /// Takes weights as `[channel][row][column]`.
    pub(super) fn pack(family: Family, weights: &[i8], pad: u8, store: &Store) -> Self {
        let Family {
            lanes,
            vectors,
            beside,
            width,
            ..
        } = family;
        let channels = store.channels();
        let block = lanes * vectors;
        let blocks = channels.div_ceil(block);
        let vector = lanes * beside * width;
        let mut packed = Buffer::zeroed(blocks * 2 * family.phase());
        let bytes = packed.bytes_mut();
        for n in 0..blocks * 2 * 3 * 4 * block {
            // The parts of the index, last first.
            let (n, row) = (n / 4, n % 4);
            let (n, i) = (n / lanes, n % lanes);
            let (n, v) = (n / vectors, n % vectors);
            let (n, column) = (n / 3, n % 3);
            let (n, phase) = (n / 2, n % 2);
            let channel = n * block + channel(vectors, v, i);
            let Some(kernel_row) = row.checked_sub(phase).filter(|&r| r < 3) else {
                continue;
            };
            let Some(&w) = weights.get(channel * 9 + kernel_row * 3 + column) else {
                continue;
            };
            let at = (n * 2 + phase) * family.phase()
                + ((column * (4 / beside) + row / beside) * vectors + v) * vector
                + (i * beside + row % beside) * width;
            bytes[at..at + width].copy_from_slice(&i16::from(w).to_le_bytes()[..width]);
        }
        let groups = vec![vectors; blocks];
        let (mut bias, mut scale) = (store.bias.clone(), store.scale.clone());
        bias.resize(blocks * block, 0);
        scale.resize(blocks * block, 0.0);
        let mut padding = Buffer::zeroed(blocks * block);
        padding.bytes_mut().fill(pad);
        Self {
            family,
            weights: packed,
            bias: ordered(&bias, &groups, lanes),
            scale: ordered(&scale, &groups, lanes),
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
        let block = self.family.lanes * self.family.vectors;
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
            let kernel = self.family.kernels[usize::from(two)][usize::from(self.bounds.plain())];
            for (i, channel) in (0..self.channels).step_by(block).enumerate() {
                let job = Lines {
                    lines: lines.map(|line| Line {
                        start: line.start.wrapping_add(channel),
                        ..line
                    }),
                    pad: self.pad.bytes()[channel..].as_ptr(),
                    channels: (self.channels - channel).min(block),
                    weights: self.weights.bytes()[i * 2 * self.family.phase()..].as_ptr(),
                    bias: self.bias[channel..].as_ptr(),
                    scale: self.scale[channel..].as_ptr(),
                    bounds: self.bounds,
                    target: target[y * row + channel..].as_mut_ptr(),
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
    /// Bytes of the weights of one block and phase.
    pub const fn phase(&self) -> usize {
        3 * 4 * self.lanes * self.vectors * self.width
    }
}

//! The kernels: safe structures around families of loops that all give identical bytes.
//!
//! All `unsafe` code of the quantised operators is below this module. Every structure checks here, at the boundary,
//! that what a family is going to read and write lies inside the slices it is given.
//!
//! A map is kept as height x width pixels of [`padded`] channels; the bytes past the last channel hold whatever the
//! layer that wrote them made of zero weights, and weights that meet them are zero.

#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod buffer;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod depthwise;
mod lanes;
mod pool;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod tiled;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use buffer::Buffer;
pub use pool::Pool;

use super::isa::Isa;
use super::quant::{AddQuant, Requant};

/// Channels are stored in blocks of this many, so that no store needs a tail.
const BLOCK: usize = 16;

/// Bytes from one pixel of a map to the next.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(BLOCK)
}

/// A [`Requant`] with its channels padded to whole blocks: the padding has no bias and scale 0.
#[derive(Debug, Clone)]
struct Store {
    /// Output channels without the padding.
    used: usize,
    bias: Vec<i32>,
    scale: Vec<f32>,
    zero_point: u8,
    low: u8,
    high: u8,
}

impl Store {
    fn new(requant: &Requant) -> Self {
        let channels = padded(requant.bias.len());
        let mut bias = requant.bias.clone();
        let mut scale = requant.scale.clone();
        bias.resize(channels, 0);
        scale.resize(channels, 0.0);
        Self {
            used: requant.bias.len(),
            bias,
            scale,
            zero_point: requant.zero_point,
            low: requant.low,
            high: requant.high,
        }
    }

    fn channels(&self) -> usize {
        self.bias.len()
    }
}

/// Where a convolution's output pixels begin to read.
#[derive(Debug, Clone)]
pub enum Starts {
    /// Output pixel `p` at byte `p * step`.
    Step(usize),
    /// Output pixel `p` at byte `table[p]`.
    Table(Vec<u32>),
}

impl Starts {
    #[inline(always)]
    fn start(&self, pixel: usize) -> usize {
        match self {
            Self::Step(step) => pixel * step,
            Self::Table(table) => table[pixel] as usize,
        }
    }
}

/// What a [`Conv`] reads for each output pixel: `taps.len()` runs of `run` bytes, each `taps[i]` bytes past the start.
#[derive(Debug, Clone)]
pub struct Reads {
    /// Output pixels.
    pub pixels: usize,
    /// Where each pixel begins to read.
    pub starts: Starts,
    /// Offsets of the runs.
    pub taps: Vec<usize>,
    /// Bytes in a run; a multiple of four.
    pub run: usize,
}

impl Reads {
    /// One past the last byte that is read.
    fn end(&self) -> usize {
        let last = match &self.starts {
            Starts::Step(step) => self.pixels.saturating_sub(1) * step,
            Starts::Table(table) => table.iter().copied().max().unwrap_or(0) as usize,
        };
        last + self.taps.iter().copied().max().unwrap_or(0) + self.run
    }
}

/// A convolution over all channels, packed for one family.
#[derive(Debug, Clone)]
pub struct Conv {
    reads: Reads,
    channels: usize,
    packed: PackedConv,
}

#[derive(Debug, Clone)]
enum PackedConv {
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    Tiled(tiled::Conv),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::avx2::Conv),
    Portable(portable::Conv),
}

impl Conv {
    /// Packs weights, `[output channel][tap][byte of the run]`.
    ///
    /// # Panics
    ///
    /// Where the lengths of weights, reads and requantisation don't fit each other.
    pub fn new(isa: Isa, reads: Reads, weights: &[i8], requant: &Requant) -> Self {
        assert!(isa.available());
        assert!(reads.run.is_multiple_of(4), "runs of {} bytes", reads.run);
        assert_eq!(
            weights.len(),
            requant.bias.len() * reads.taps.len() * reads.run
        );
        if let Starts::Table(table) = &reads.starts {
            assert_eq!(table.len(), reads.pixels);
        }
        let store = Store::new(requant);
        let channels = store.channels();
        let packed = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => PackedConv::Tiled(x86::avx512::conv(&reads, weights, &store)),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => PackedConv::Tiled(x86::avxvnni::conv(&reads, weights, &store)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => match x86::avx2::Conv::pack(weights, &store) {
                Some(conv) => PackedConv::Avx2(conv),
                None => PackedConv::Portable(portable::Conv::pack(weights, store)),
            },
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => PackedConv::Tiled(aarch64::i8mm::conv(&reads, weights, &store)),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => PackedConv::Tiled(aarch64::dot::conv(&reads, weights, &store)),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => match aarch64::neon::conv(&reads, weights, &store) {
                Some(conv) => PackedConv::Tiled(conv),
                None => PackedConv::Portable(portable::Conv::pack(weights, store)),
            },
            _ => PackedConv::Portable(portable::Conv::pack(weights, store)),
        };
        Self {
            reads,
            channels,
            packed,
        }
    }

    /// Bytes from one output pixel to the next.
    pub fn target_step(&self) -> usize {
        self.channels
    }

    /// Computes the output pixels from `first` on that fill `target`.
    ///
    /// # Panics
    ///
    /// Where `source` ends before the last byte that is read, or `target` isn't whole pixels of this convolution.
    pub fn run(&self, source: &[u8], target: &mut [u8], first: usize) {
        assert!(
            source.len() >= self.reads.end(),
            "{} bytes where {} are read",
            source.len(),
            self.reads.end()
        );
        assert!(target.len().is_multiple_of(self.channels));
        assert!(first + target.len() / self.channels <= self.reads.pixels);
        match &self.packed {
            // SAFETY: `new` took the family only where the processor has it; the lengths are checked above.
            #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
            PackedConv::Tiled(conv) => unsafe { conv.run(&self.reads, source, target, first) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            PackedConv::Avx2(conv) => unsafe { conv.run(&self.reads, source, target, first) },
            PackedConv::Portable(conv) => conv.run(&self.reads, source, target, first),
        }
    }
}

/// A 3x3 depthwise convolution's geometry.
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseShape {
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Steps down and across.
    pub stride: [usize; 2],
    /// Padding above and to the left, at most 2.
    pub before: [usize; 2],
}

impl DepthwiseShape {
    /// The input row that kernel row `i` of output row `y` meets, where there is one.
    #[inline(always)]
    fn row(&self, y: usize, i: usize) -> Option<usize> {
        (y * self.stride[0] + i)
            .checked_sub(self.before[0])
            .filter(|&r| r < self.input[0])
    }

    /// The input column that kernel column `j` of output column `x` meets, where there is one.
    #[inline(always)]
    fn column(&self, x: usize, j: usize) -> Option<usize> {
        (x * self.stride[1] + j)
            .checked_sub(self.before[1])
            .filter(|&c| c < self.input[1])
    }
}

/// A 3x3 convolution of each channel by itself, packed for one family.
#[derive(Debug, Clone)]
pub struct Depthwise {
    shape: DepthwiseShape,
    channels: usize,
    packed: PackedDepthwise,
}

#[derive(Debug, Clone)]
enum PackedDepthwise {
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    Lines(depthwise::Depthwise),
    Portable(portable::Depthwise),
}

impl Depthwise {
    /// Packs weights, `[channel][row][column]`. `pad` is the input's zero point.
    ///
    /// # Panics
    ///
    /// Where there aren't nine weights for each channel.
    pub fn new(
        isa: Isa,
        shape: DepthwiseShape,
        weights: &[i8],
        pad: u8,
        requant: &Requant,
    ) -> Self {
        assert!(isa.available());
        assert_eq!(weights.len(), requant.bias.len() * 9);
        let store = Store::new(requant);
        let channels = store.channels();
        let packed = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => PackedDepthwise::Lines(x86::avx512::depthwise(weights, pad, &store)),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => PackedDepthwise::Lines(x86::avxvnni::depthwise(weights, pad, &store)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => PackedDepthwise::Lines(x86::avx2::depthwise(weights, pad, &store)),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => PackedDepthwise::Lines(aarch64::i8mm::depthwise(weights, pad, &store)),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => PackedDepthwise::Lines(aarch64::dot::depthwise(weights, pad, &store)),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => PackedDepthwise::Lines(aarch64::neon::depthwise(weights, pad, &store)),
            _ => PackedDepthwise::Portable(portable::Depthwise::pack(weights, pad, store)),
        };
        Self {
            shape,
            channels,
            packed,
        }
    }

    /// Bytes of one output row.
    pub fn target_row(&self) -> usize {
        self.shape.output[1] * self.channels
    }

    /// Computes the output rows from `first` on that fill `target`.
    ///
    /// # Panics
    ///
    /// Where `source` isn't the whole input map or `target` isn't whole rows of the output.
    pub fn run(&self, source: &[u8], target: &mut [u8], first: usize) {
        let [height, width] = self.shape.input;
        assert!(source.len() >= height * width * self.channels);
        assert!(target.len().is_multiple_of(self.target_row().max(1)));
        assert!(first + target.len() / self.target_row().max(1) <= self.shape.output[0]);
        match &self.packed {
            // SAFETY: as in `Conv::run`.
            #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
            PackedDepthwise::Lines(depthwise) => unsafe {
                depthwise.run(&self.shape, source, target, first);
            },
            PackedDepthwise::Portable(depthwise) => {
                depthwise.run(&self.shape, source, target, first)
            }
        }
    }
}

/// Adds two maps byte by byte.
///
/// # Panics
///
/// Where the three slices differ in length.
pub fn add(isa: Isa, quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    assert!(isa.available());
    assert!(a.len() == target.len() && b.len() == target.len());
    match isa {
        // SAFETY: the family is there, and the lengths are checked above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => unsafe { x86::avx512::add(quant, a, b, target) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni | Isa::Avx2 => unsafe { x86::avx2::add(quant, a, b, target) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::NeonI8mm | Isa::NeonDot | Isa::Neon => unsafe {
            aarch64::neon::add(quant, a, b, target)
        },
        _ => portable::add_anywhere(quant, a, b, target),
    }
}

/// Adds up each channel over all pixels of `source`.
///
/// # Panics
///
/// Where `source` isn't whole pixels of `sums.len()` channels.
pub fn sum_pixels(isa: Isa, source: &[u8], sums: &mut [i32]) {
    assert!(isa.available());
    assert!(!sums.is_empty() && source.len().is_multiple_of(sums.len()));
    match isa {
        // SAFETY: the family is there, and the lengths are checked above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => unsafe { x86::avx512::sum_pixels(source, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni | Isa::Avx2 => unsafe { x86::avx2::sum_pixels(source, sums) },
        _ => portable::sum_pixels(source, sums),
    }
}

/// Products of one vector with the rows of a matrix: `sums[n] = Σ source[k] * weights[n][k]`.
///
/// # Panics
///
/// Where `weights` isn't `sums.len()` rows of `source.len()`.
pub fn dense(isa: Isa, source: &[u8], weights: &[i8], sums: &mut [i32]) {
    assert!(isa.available());
    assert_eq!(weights.len(), source.len() * sums.len());
    match isa {
        // SAFETY: the family is there, and the lengths are checked above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => unsafe { x86::avx512::dense(source, weights, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => unsafe { x86::avxvnni::dense(source, weights, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::avx2::dense(source, weights, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::NeonI8mm => unsafe { aarch64::i8mm::dense(source, weights, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => unsafe { aarch64::dot::dense(source, weights, sums) },
        _ => portable::dense(source, weights, sums),
    }
}

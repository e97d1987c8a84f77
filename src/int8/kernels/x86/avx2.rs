//! Kernels for AVX2: `vpmaddwd` on 256-bit registers, 16 multiply-adds an instruction.
//!
//! `vpmaddubsw` would do 32, but saturates where two products pass 16 bits, which would change results. So bytes are
//! widened to 16 bits: weights when they are packed, pixels once for all their channels.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::ymm;
use crate::int8::kernels::depthwise::{self, Depthwise, Lines, for_columns};
use crate::int8::kernels::tiled::{Bounds, channel, ordered};
use crate::int8::kernels::{AddQuant, Buffer, DepthwiseShape, Reads, Store, portable};

/// Channels in a vector of sums.
const LANES: usize = 8;

/// Output channels of a tile.
const TILE: usize = 2 * LANES;

/// Most pixels in a tile.
const MOST: usize = 6;

/// Room for a tile's widened pixels.
const WIDE: usize = MOST * 2048;

/// Widened pixels, on a cache line's boundary.
#[repr(align(64))]
struct Wide([MaybeUninit<i16>; WIDE]);

/// A convolution's weights as 16-bit numbers, `[16 channels][two bytes of a run][vector][channel][byte]`.
#[derive(Debug, Clone)]
pub struct Conv {
    weights: Buffer,
    bias: Vec<i32>,
    scale: Vec<f32>,
    bounds: Bounds,
}

/// A tile of 16 channels of pixels that are widened already.
struct Group {
    weights: *const i16,
    bias: *const i32,
    scale: *const f32,
    bounds: Bounds,
    /// Numbers in a pixel; even.
    row: usize,
    target_step: usize,
}

type Tile = unsafe fn(&Group, *const i16, *mut u8);

fn tiles(plain: bool) -> &'static [Tile; MOST] {
    match plain {
        false => &[
            tile::<1, false>,
            tile::<2, false>,
            tile::<3, false>,
            tile::<4, false>,
            tile::<5, false>,
            tile::<6, false>,
        ],
        true => &[
            tile::<1, true>,
            tile::<2, true>,
            tile::<3, true>,
            tile::<4, true>,
            tile::<5, true>,
            tile::<6, true>,
        ],
    }
}

impl Conv {
    /// Takes weights as `[output channel][byte of all runs]`; `None` where a single pixel is too large for a tile.
    pub fn pack(weights: &[i8], store: &Store) -> Option<Self> {
        let channels = store.channels();
        let row = weights.len() / store.used;
        if row > WIDE {
            return None;
        }
        let mut packed = Buffer::zeroed(channels * row * 2);
        let numbers = packed.bytes_mut().as_chunks_mut::<2>().0;
        let mut at = 0;
        for first in (0..channels).step_by(TILE) {
            for k in (0..row).step_by(2) {
                for v in 0..2 {
                    for i in 0..LANES {
                        let n = first + channel(LANES, 2, v, i);
                        for byte in k..k + 2 {
                            let w = weights.get(n * row + byte).copied().unwrap_or(0);
                            numbers[at] = i16::from(w).to_le_bytes();
                            at += 1;
                        }
                    }
                }
            }
        }
        let groups = vec![2; channels / TILE];
        Some(Self {
            weights: packed,
            bias: ordered(&store.bias, &groups, LANES),
            scale: ordered(&store.scale, &groups, LANES),
            bounds: Bounds::of(store),
        })
    }

    /// Computes the pixels from `first` on that fill `target`.
    ///
    /// # Safety
    ///
    /// The processor has AVX2. `target` is whole pixels of this convolution's channels; the weights were packed for
    /// these `reads`.
    #[target_feature(enable = "avx2")]
    pub unsafe fn run(&self, reads: &Reads, source: &[u8], target: &mut [u8], first: usize) {
        let step = self.bias.len();
        let row = reads.taps.len() * reads.run;
        let tiles = tiles(self.bounds.plain());
        let most = (WIDE / row).min(MOST);
        let pixels = target.len() / step;
        let count = pixels.div_ceil(most);
        let mut wide = Wide([const { MaybeUninit::uninit() }; WIDE]);
        let wide = &mut wide.0;
        let mut pixel = 0;
        for index in 0..count {
            let size = (pixels - pixel) / (count - index);
            for (p, wide) in wide.chunks_exact_mut(row).take(size).enumerate() {
                let start = reads.starts.start(first + pixel + p);
                // SAFETY: the caller vouches for AVX2.
                unsafe { widen(reads, &source[start..], wide) };
            }
            for channel in (0..step).step_by(TILE) {
                let group = Group {
                    weights: self.weights.bytes()[channel * row * 2..].as_ptr().cast(),
                    bias: self.bias[channel..].as_ptr(),
                    scale: self.scale[channel..].as_ptr(),
                    bounds: self.bounds,
                    row,
                    target_step: step,
                };
                let target = &mut target[pixel * step + channel..];
                // SAFETY: `size` rows of `wide` were just written; each of `size` pixels has 16 channels of its `step`
                // bytes at `target`; the group's pointers come from slices that hold what belongs to 16 channels.
                unsafe { tiles[size - 1](&group, wide.as_ptr().cast(), target.as_mut_ptr()) };
            }
            pixel += size;
        }
    }
}

/// All runs of one pixel, one after the other, to 16-bit numbers.
///
/// # Safety
///
/// The processor has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn widen(reads: &Reads, source: &[u8], wide: &mut [MaybeUninit<i16>]) {
    for (&tap, wide) in reads.taps.iter().zip(wide.chunks_exact_mut(reads.run)) {
        let run = &source[tap..][..reads.run];
        let mut k = 0;
        // SAFETY: `run` and `wide` are both `reads.run` long, and 16, 8 or 4 elements of each
        // are touched only where as many are left: runs are multiples of four.
        unsafe {
            while k + 16 <= reads.run {
                let bytes = _mm_loadu_si128(run.as_ptr().add(k).cast());
                let numbers = _mm256_cvtepu8_epi16(bytes);
                _mm256_storeu_si256(wide.as_mut_ptr().add(k).cast(), numbers);
                k += 16;
            }
            if k + 8 <= reads.run {
                let numbers = _mm_cvtepu8_epi16(_mm_loadl_epi64(run.as_ptr().add(k).cast()));
                _mm_storeu_si128(wide.as_mut_ptr().add(k).cast(), numbers);
                k += 8;
            }
            if k + 4 <= reads.run {
                let bytes = run.as_ptr().add(k).cast::<i32>().read_unaligned();
                let numbers = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(bytes));
                _mm_storel_epi64(wide.as_mut_ptr().add(k).cast(), numbers);
                k += 4;
            }
        }
        debug_assert_eq!(k, reads.run, "runs are multiples of four");
    }
}

/// `MR` pixels of 16 channels.
///
/// # Safety
///
/// The processor has AVX2. `wide` holds `MR` rows; the group's weights are those of 16 channels and this row, its
/// biases and scales 16 each; `target` is valid for 16 bytes at each of `MR` multiples of the step.
#[target_feature(enable = "avx2")]
unsafe fn tile<const MR: usize, const PLAIN: bool>(
    group: &Group,
    wide: *const i16,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `m < MR`, `k < row`.
    unsafe {
        let bias = [
            _mm256_loadu_si256(group.bias.cast()),
            _mm256_loadu_si256(group.bias.add(8).cast()),
        ];
        let mut sums = [bias; MR];
        let mut weights = group.weights;
        for k in (0..group.row).step_by(2) {
            let w = [
                _mm256_loadu_si256(weights.cast()),
                _mm256_loadu_si256(weights.add(16).cast()),
            ];
            weights = weights.add(32);
            for (m, sums) in sums.iter_mut().enumerate() {
                let two =
                    _mm256_set1_epi32(wide.add(m * group.row + k).cast::<i32>().read_unaligned());
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(two, w[0]));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(two, w[1]));
            }
        }
        ymm::store::<MR, PLAIN>(sums, group.scale, group.bounds, target, group.target_step);
    }
}

/// Packs a depthwise convolution's weights, `[channel][row][column]`.
pub fn depthwise(weights: &[i8], pad: u8, store: &Store) -> Depthwise {
    Depthwise::pack(&[DEPTHWISE], weights, pad, store)
}

const DEPTHWISE: depthwise::Family = depthwise::Family {
    lanes: LANES,
    vectors: 2,
    beside: 2,
    width: 2,
    kernels: [
        [lines::<1, false>, lines::<1, true>],
        [lines::<2, false>, lines::<2, true>],
    ],
};

/// `ROWS` output rows of 16 channels from four input rows.
///
/// # Safety
///
/// That of [`depthwise::Kernel`].
#[target_feature(enable = "avx2")]
unsafe fn lines<const ROWS: usize, const PLAIN: bool>(shape: &DepthwiseShape, job: &Lines) {
    // SAFETY: columns are checked against the input's width, `x` against the output's; the rest is the caller's word.
    unsafe {
        // A column of two pairs of input rows, each as two vectors.
        let column = |x: usize, j: usize| -> [[__m256i; 2]; 2] {
            let place = shape.column(x, j);
            let row = |i: usize| {
                let at = place.map_or(job.pad, |c| job.lines[i].start.add(c * job.lines[i].step));
                _mm256_cvtepu8_epi16(_mm_loadu_si128(at.cast()))
            };
            let rows = [row(0), row(1), row(2), row(3)];
            [
                [
                    _mm256_unpacklo_epi16(rows[0], rows[1]),
                    _mm256_unpackhi_epi16(rows[0], rows[1]),
                ],
                [
                    _mm256_unpacklo_epi16(rows[2], rows[3]),
                    _mm256_unpackhi_epi16(rows[2], rows[3]),
                ],
            ]
        };
        for_columns!(shape, column, |x, columns| {
            let bias = [
                _mm256_loadu_si256(job.bias.cast()),
                _mm256_loadu_si256(job.bias.add(8).cast()),
            ];
            let mut sums = [bias; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (j, column) in columns.iter().enumerate() {
                    for (pair, vectors) in column.iter().enumerate() {
                        for (v, sums) in sums.iter_mut().enumerate() {
                            let w = job
                                .weights
                                .add(row * DEPTHWISE.phase() + ((j * 2 + pair) * 2 + v) * 32);
                            let product =
                                _mm256_madd_epi16(vectors[v], _mm256_loadu_si256(w.cast()));
                            *sums = _mm256_add_epi32(*sums, product);
                        }
                    }
                }
            }
            let target = job.target.add(x * job.target_step);
            ymm::store::<ROWS, PLAIN>(sums, job.scale, job.bounds, target, job.target_row);
        });
    }
}

/// Adds two maps.
///
/// # Safety
///
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn add(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    portable::add(quant, a, b, target);
}

/// Adds up each channel over all pixels.
///
/// # Safety
///
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn sum_pixels(source: &[u8], sums: &mut [i32]) {
    portable::sum_pixels(source, sums);
}

/// Products of a vector with the rows of a matrix.
///
/// # Safety
///
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    portable::dense(source, weights, sums);
}

//! Kernels for AVX-512 VNNI: `vpdpbusd` on 512-bit registers, 64 multiply-adds an instruction.

use std::arch::x86_64::*;

use super::ymm::{packed_block as packed_half, scaled as scaled_half};
use crate::int8::kernels::depthwise::{self, Depthwise, Lines, for_columns};
use crate::int8::kernels::tiled::{self, Bounds, Conv, Group, Pixels, Tile};
use crate::int8::kernels::{AddQuant, DepthwiseShape, Reads, Store, portable};

/// Channels in a vector of sums.
const LANES: usize = 16;

/// Packs a convolution's weights, `[output channel][byte of all runs]`.
pub fn conv(reads: &Reads, weights: &[i8], store: &Store) -> Conv {
    Conv::pack(
        tiled::Family {
            lanes: LANES,
            step: 4,
            groups: &[4, 2, 1],
            tiles,
        },
        reads,
        weights,
        store,
    )
}

/// Packs a depthwise convolution's weights, `[channel][row][column]`.
pub fn depthwise(weights: &[i8], pad: u8, store: &Store) -> Depthwise {
    Depthwise::pack(&[DEPTHWISE, DEPTHWISE_HALF], weights, pad, store)
}

const DEPTHWISE: depthwise::Family = depthwise::Family {
    lanes: LANES,
    vectors: 4,
    beside: 4,
    width: 1,
    kernels: [
        [lines::<1, false>, lines::<1, true>],
        [lines::<2, false>, lines::<2, true>],
    ],
};

/// For what is left of the channels after blocks of 64: the same on 256-bit registers.
const DEPTHWISE_HALF: depthwise::Family = depthwise::Family {
    lanes: 8,
    kernels: [
        [lines_half::<1, false>, lines_half::<1, true>],
        [lines_half::<2, false>, lines_half::<2, true>],
    ],
    ..DEPTHWISE
};

/// The tiles of `vectors` vectors and 1, 2, 3... pixels, as many as the registers hold sums for.
macro_rules! tiles {
    ($vectors:literal, $plain:literal: $($pixels:literal)*) => {
        &[$(tile::<$pixels, $vectors, $plain>),*]
    };
}

fn tiles(vectors: usize, plain: bool) -> &'static [Tile] {
    match (vectors, plain) {
        (4, false) => tiles!(4, false: 1 2 3 4 5 6),
        (4, true) => tiles!(4, true: 1 2 3 4 5 6),
        (2, false) => tiles!(2, false: 1 2 3 4 5 6 7 8 9 10 11 12),
        (2, true) => tiles!(2, true: 1 2 3 4 5 6 7 8 9 10 11 12),
        (_, false) => tiles!(1, false: 1 2 3 4 5 6 7 8 9 10 11 12),
        (_, true) => tiles!(1, true: 1 2 3 4 5 6 7 8 9 10 11 12),
    }
}

/// From sums to rounded steps, before zero point and clamp.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn scaled(sums: __m512i, scale: __m512) -> __m512i {
    _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale))
}

/// Four vectors of steps to 64 bytes: zero point, saturation, clamp.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn packed<const PLAIN: bool>(q: [__m512i; 4], bounds: Bounds) -> __m512i {
    let (ab, cd) = (
        _mm512_packs_epi32(q[0], q[1]),
        _mm512_packs_epi32(q[2], q[3]),
    );
    if PLAIN {
        return _mm512_packus_epi16(ab, cd);
    }
    let zero_point = _mm512_set1_epi16(i16::from(bounds.zero_point));
    let bytes = _mm512_packus_epi16(
        _mm512_adds_epi16(ab, zero_point),
        _mm512_adds_epi16(cd, zero_point),
    );
    let bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(bounds.low as i8));
    _mm512_min_epu8(bytes, _mm512_set1_epi8(bounds.high as i8))
}

/// `MR` pixels of `NR` vectors of channels.
///
/// # Safety
///
/// The processor has the features. Each of the first `MR` pointers of `pixels` is valid for `run` bytes from each tap
/// on; `group.weights` for `taps * run / 4 * NR * 64` bytes, `bias` and `scale` for `NR * 16` values; `target` for
/// `NR * 16` bytes at each of `MR` multiples of `target_step`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const MR: usize, const NR: usize, const PLAIN: bool>(
    group: &Group,
    pixels: &Pixels,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `v < NR`, `m < MR`, `k < run`.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); NR]; MR];
        for v in 0..NR {
            let bias = _mm512_loadu_si512(group.bias.add(v * LANES).cast());
            for row in &mut sums {
                row[v] = bias;
            }
        }
        let mut weights = group.weights;
        for &tap in group.taps {
            let at: [*const u8; MR] = std::array::from_fn(|m| pixels[m].add(tap));
            for k in (0..group.run).step_by(4) {
                let w: [__m512i; NR] =
                    std::array::from_fn(|v| _mm512_loadu_si512(weights.add(v * 64).cast()));
                weights = weights.add(NR * 64);
                for m in 0..MR {
                    let four = _mm512_set1_epi32(at[m].add(k).cast::<i32>().read_unaligned());
                    for v in 0..NR {
                        sums[m][v] = _mm512_dpbusd_epi32(sums[m][v], four, w[v]);
                    }
                }
            }
        }
        let scale: [__m512; NR] =
            std::array::from_fn(|v| _mm512_loadu_ps(group.scale.add(v * LANES)));
        let step = group.target_step;
        match NR {
            4 => {
                for (m, sums) in sums.iter().enumerate() {
                    let q = std::array::from_fn(|v| scaled(sums[v], scale[v]));
                    _mm512_storeu_si512(
                        target.add(m * step).cast(),
                        packed::<PLAIN>(q, group.bounds),
                    );
                }
            }
            2 => {
                // Two pixels share the packs: each lane gets eight bytes of either.
                for m in (0..MR).step_by(2) {
                    let other = (m + 1).min(MR - 1);
                    let q = [sums[m][0], sums[m][1], sums[other][0], sums[other][1]];
                    let q = std::array::from_fn(|v| scaled(q[v], scale[v % 2]));
                    let bytes = packed::<PLAIN>(q, group.bounds);
                    let bytes =
                        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes);
                    _mm256_storeu_si256(target.add(m * step).cast(), _mm512_castsi512_si256(bytes));
                    if other > m {
                        _mm256_storeu_si256(
                            target.add(other * step).cast(),
                            _mm512_extracti64x4_epi64::<1>(bytes),
                        );
                    }
                }
            }
            _ => {
                // Four pixels share the packs: each lane gets four bytes of each.
                for m in (0..MR).step_by(4) {
                    let q = std::array::from_fn(|i| scaled(sums[(m + i).min(MR - 1)][0], scale[0]));
                    let order =
                        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
                    let bytes = _mm512_permutexvar_epi32(order, packed::<PLAIN>(q, group.bounds));
                    let lanes = [
                        _mm512_castsi512_si128(bytes),
                        _mm512_extracti32x4_epi32::<1>(bytes),
                        _mm512_extracti32x4_epi32::<2>(bytes),
                        _mm512_extracti32x4_epi32::<3>(bytes),
                    ];
                    for (i, lane) in lanes.into_iter().enumerate().take(MR - m) {
                        _mm_storeu_si128(target.add((m + i) * step).cast(), lane);
                    }
                }
            }
        }
    }
}

/// Defines a depthwise kernel: `ROWS` output rows of up to a block of channels from four input lines.
macro_rules! lines {
    (
        $name:ident of $family:ident: $vector:ident under $mask:ident,
        load $load_masked:ident, $load:ident, $load_scale:ident,
        interleave $low_bytes:ident, $high_bytes:ident, $low_pairs:ident, $high_pairs:ident,
        multiply $dot:ident, $scaled:ident,
        store $packed:ident, $store_masked:ident
    ) => {
        /// # Safety
        ///
        /// The processor has the features. For each line and each input column, the bytes under the mask are readable,
        /// as they are at `pad`; for each of `ROWS` rows and each output column, they are writable at `target`.
        /// Weights, biases and scales are those of a block of channels.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn $name<const ROWS: usize, const PLAIN: bool>(shape: &DepthwiseShape, job: &Lines) {
            const BYTES: usize = size_of::<$vector>();
            const LANES: usize = $family.lanes;
            // SAFETY: columns are checked against the input's width, `x` against the output's; the rest is the
            // caller's word.
            unsafe {
                let mask = $mask::MAX >> (BYTES - job.channels);
                // A column of four input bytes for each channel, as four vectors in the order of the packs.
                let column = |x: usize, j: usize| -> [$vector; 4] {
                    let bytes: [$vector; 4] = match shape.column(x, j) {
                        Some(c) => std::array::from_fn(|i| {
                            let line = job.lines[i];
                            $load_masked(mask, line.start.add(c * line.step).cast())
                        }),
                        None => [$load_masked(mask, job.pad.cast()); 4],
                    };
                    let (a, b) = (
                        $low_bytes(bytes[0], bytes[1]),
                        $high_bytes(bytes[0], bytes[1]),
                    );
                    let (c, d) = (
                        $low_bytes(bytes[2], bytes[3]),
                        $high_bytes(bytes[2], bytes[3]),
                    );
                    [
                        $low_pairs(a, c),
                        $high_pairs(a, c),
                        $low_pairs(b, d),
                        $high_pairs(b, d),
                    ]
                };
                for_columns!(shape, column, |x, columns| {
                    for row in 0..ROWS {
                        let q: [$vector; 4] = std::array::from_fn(|v| {
                            let mut sums = $load(job.bias.add(v * LANES).cast());
                            for (j, column) in columns.iter().enumerate() {
                                let at = row * $family.phase() + (j * 4 + v) * BYTES;
                                sums = $dot(sums, column[v], $load(job.weights.add(at).cast()));
                            }
                            $scaled(sums, $load_scale(job.scale.add(v * LANES)))
                        });
                        let target = job.target.add(row * job.target_row + x * job.target_step);
                        $store_masked(target.cast(), mask, $packed::<PLAIN>(q, job.bounds));
                    }
                });
            }
        }
    };
}

lines! {
    lines of DEPTHWISE: __m512i under u64,
    load _mm512_maskz_loadu_epi8, _mm512_loadu_si512, _mm512_loadu_ps,
    interleave _mm512_unpacklo_epi8, _mm512_unpackhi_epi8, _mm512_unpacklo_epi16, _mm512_unpackhi_epi16,
    multiply _mm512_dpbusd_epi32, scaled,
    store packed, _mm512_mask_storeu_epi8
}

lines! {
    lines_half of DEPTHWISE_HALF: __m256i under u32,
    load _mm256_maskz_loadu_epi8, _mm256_loadu_si256, _mm256_loadu_ps,
    interleave _mm256_unpacklo_epi8, _mm256_unpackhi_epi8, _mm256_unpacklo_epi16, _mm256_unpackhi_epi16,
    multiply _mm256_dpbusd_epi32, scaled_half,
    store packed_half, _mm256_mask_storeu_epi8
}

/// Adds two maps.
///
/// # Safety
///
/// The processor has FMA and AVX-512 F, BW and VL.
#[target_feature(enable = "fma,avx512f,avx512bw,avx512vl")]
pub unsafe fn add(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    portable::add(quant, a, b, target);
}

/// Adds up each channel over all pixels.
///
/// # Safety
///
/// The processor has AVX-512 F, BW and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn sum_pixels(source: &[u8], sums: &mut [i32]) {
    portable::sum_pixels(source, sums);
}

/// Products of a vector with the rows of a matrix.
///
/// # Safety
///
/// The processor has AVX-512 F, BW, VL and VNNI; `weights` is `sums.len()` rows of `source.len()`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    let length = source.len();
    for (n, sums) in sums.chunks_mut(4).enumerate() {
        let mut totals = [_mm512_setzero_si512(); 4];
        for k in (0..length).step_by(64) {
            let mask = u64::MAX >> (64 - (length - k).min(64));
            // SAFETY: the mask covers what is left of the vector and of each row; rows past the last repeat the last.
            unsafe {
                let a = _mm512_maskz_loadu_epi8(mask, source.as_ptr().add(k).cast());
                for (i, total) in totals.iter_mut().enumerate() {
                    let row = n * 4 + i.min(sums.len() - 1);
                    let w = _mm512_maskz_loadu_epi8(mask, weights.as_ptr().add(row * length + k));
                    *total = _mm512_dpbusd_epi32(*total, a, w);
                }
            }
        }
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = _mm512_reduce_add_epi32(total);
        }
    }
}

//! Kernels for AVX-VNNI: `vpdpbusd` on 256-bit registers, 32 multiply-adds an instruction.

use std::arch::x86_64::*;

use super::ymm;
use crate::int8::kernels::depthwise::{self, Depthwise, Lines, for_columns};
use crate::int8::kernels::tiled::{self, Conv, Group, Pixels, Tile};
use crate::int8::kernels::{DepthwiseShape, Reads, Store, portable};

/// Channels in a vector of sums.
const LANES: usize = 8;

/// Packs a convolution's weights, `[output channel][byte of all runs]`.
pub fn conv(reads: &Reads, weights: &[i8], store: &Store) -> Conv {
    Conv::pack(
        tiled::Family {
            lanes: LANES,
            step: 4,
            groups: &[2],
            tiles,
        },
        reads,
        weights,
        store,
    )
}

/// Packs a depthwise convolution's weights, `[channel][row][column]`.
pub fn depthwise(weights: &[i8], pad: u8, store: &Store) -> Depthwise {
    Depthwise::pack(&[DEPTHWISE], weights, pad, store)
}

const DEPTHWISE: depthwise::Family = depthwise::Family {
    lanes: LANES,
    vectors: 2,
    beside: 4,
    width: 1,
    kernels: [
        [lines::<1, false>, lines::<1, true>],
        [lines::<2, false>, lines::<2, true>],
    ],
};

fn tiles(_vectors: usize, plain: bool) -> &'static [Tile] {
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

/// `MR` pixels of 16 channels.
///
/// # Safety
///
/// That of [`Tile`].
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn tile<const MR: usize, const PLAIN: bool>(
    group: &Group,
    pixels: &Pixels,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `m < MR`, `k < run`.
    unsafe {
        let bias = [
            _mm256_loadu_si256(group.bias.cast()),
            _mm256_loadu_si256(group.bias.add(8).cast()),
        ];
        let mut sums = [bias; MR];
        let mut weights = group.weights;
        for &tap in group.taps {
            for k in (tap..tap + group.run).step_by(4) {
                let w = [
                    _mm256_loadu_si256(weights.cast()),
                    _mm256_loadu_si256(weights.add(32).cast()),
                ];
                weights = weights.add(64);
                for (sums, at) in sums.iter_mut().zip(pixels) {
                    let four = _mm256_set1_epi32(at.add(k).cast::<i32>().read_unaligned());
                    sums[0] = _mm256_dpbusd_avx_epi32(sums[0], four, w[0]);
                    sums[1] = _mm256_dpbusd_avx_epi32(sums[1], four, w[1]);
                }
            }
        }
        ymm::store::<MR, PLAIN>(sums, group.scale, group.bounds, target, group.target_step);
    }
}

/// `ROWS` output rows of 16 channels from four input rows.
///
/// # Safety
///
/// That of [`depthwise::Kernel`].
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn lines<const ROWS: usize, const PLAIN: bool>(shape: &DepthwiseShape, job: &Lines) {
    // SAFETY: columns are checked against the input's width, `x` against the output's; the rest is the caller's word.
    unsafe {
        // A column of four input bytes for each of 16 channels.
        let column = |x: usize, j: usize| -> [__m256i; 2] {
            let place = shape.column(x, j);
            let row = |i: usize| {
                let at = place.map_or(job.pad, |c| job.lines[i].start.add(c * job.lines[i].step));
                _mm256_cvtepu8_epi16(_mm_loadu_si128(at.cast()))
            };
            let ab = _mm256_or_si256(row(0), _mm256_slli_epi16::<8>(row(1)));
            let cd = _mm256_or_si256(row(2), _mm256_slli_epi16::<8>(row(3)));
            [_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd)]
        };
        for_columns!(shape, column, |x, columns| {
            let bias = [
                _mm256_loadu_si256(job.bias.cast()),
                _mm256_loadu_si256(job.bias.add(8).cast()),
            ];
            let mut sums = [bias; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (j, column) in columns.iter().enumerate() {
                    for (v, sums) in sums.iter_mut().enumerate() {
                        let w = job.weights.add(row * DEPTHWISE.phase() + (j * 2 + v) * 32);
                        *sums =
                            _mm256_dpbusd_avx_epi32(*sums, column[v], _mm256_loadu_si256(w.cast()));
                    }
                }
            }
            let target = job.target.add(x * job.target_step);
            ymm::store::<ROWS, PLAIN>(sums, job.scale, job.bounds, target, job.target_row);
        });
    }
}

/// Products of a vector with the rows of a matrix.
///
/// # Safety
///
/// The processor has AVX2 and AVX-VNNI; `weights` is `sums.len()` rows of `source.len()`.
#[target_feature(enable = "avx2,avxvnni")]
pub unsafe fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    let (whole, rest) = source.as_chunks::<32>();
    for (n, sum) in sums.iter_mut().enumerate() {
        let row = &weights[n * source.len()..][..source.len()];
        let (chunks, tail) = row.as_chunks::<32>();
        let mut total = _mm256_setzero_si256();
        for (a, w) in whole.iter().zip(chunks) {
            // SAFETY: both are 32 bytes.
            let (a, w) = unsafe {
                (
                    _mm256_loadu_si256(a.as_ptr().cast()),
                    _mm256_loadu_si256(w.as_ptr().cast()),
                )
            };
            total = _mm256_dpbusd_avx_epi32(total, a, w);
        }
        let mut left = [0];
        portable::dense(rest, tail, &mut left);
        *sum = ymm::total(total) + left[0];
    }
}

//! Kernels for the dot product of bytes: `sdot`, 16 multiply-adds an instruction.

use std::arch::aarch64::*;
use std::arch::asm;

use super::lines::{TWO_ROWS, lines};
use super::{moved, store};
use crate::int8::kernels::depthwise::{self, Depthwise, Lines, for_columns};
use crate::int8::kernels::tiled::{self, Conv, Group, Pixels, Tile};
use crate::int8::kernels::{DepthwiseShape, Reads, Store, portable};

/// Packs a convolution's weights, `[output channel][byte of all runs]`.
pub fn conv(reads: &Reads, weights: &[i8], store: &Store) -> Conv {
    Conv::pack(
        tiled::Family {
            lanes: 4,
            step: 4,
            groups: &[4],
            tiles,
        },
        reads,
        weights,
        &moved(weights, store),
    )
}

/// Packs a depthwise convolution's weights, `[channel][row][column]`.
pub fn depthwise(weights: &[i8], pad: u8, store: &Store) -> Depthwise {
    Depthwise::pack(&[DEPTHWISE], weights, pad, &moved(weights, store))
}

const DEPTHWISE: depthwise::Family = depthwise::Family {
    kernels: [
        [lines::<1, false>, lines::<1, true>],
        [lines::<2, false>, lines::<2, true>],
    ],
    ..TWO_ROWS
};

fn tiles(_vectors: usize, plain: bool) -> &'static [Tile] {
    match plain {
        false => &[
            tile::<1, false>,
            tile::<2, false>,
            tile::<3, false>,
            tile::<4, false>,
            tile::<5, false>,
        ],
        true => &[
            tile::<1, true>,
            tile::<2, true>,
            tile::<3, true>,
            tile::<4, true>,
            tile::<5, true>,
        ],
    }
}

/// Adds four products to each of four sums.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sums: int32x4_t, weights: int8x16_t, bytes: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is the feature's, and changes this register alone.
    unsafe {
        asm!(
            "sdot {:v}.4s, {:v}.16b, {:v}.16b",
            inout(vreg) sums, in(vreg) weights, in(vreg) bytes,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds the products with the bytes of lane `LANE` to each of four sums.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_lane<const LANE: usize>(
    mut sums: int32x4_t,
    weights: int8x16_t,
    bytes: int8x16_t,
) -> int32x4_t {
    // SAFETY: as in `dot`.
    unsafe {
        asm!(
            "sdot {:v}.4s, {:v}.16b, {:v}.4b[{}]",
            inout(vreg) sums, in(vreg) weights, in(vreg) bytes, const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Bytes moved by -128.
#[inline]
#[target_feature(enable = "neon")]
fn signed(bytes: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)))
}

/// `MR` pixels of 16 channels.
///
/// # Safety
///
/// That of [`Tile`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile<const MR: usize, const PLAIN: bool>(
    group: &Group,
    pixels: &Pixels,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `v < 4`, `m < MR`, `k < run`.
    unsafe {
        let bias: [int32x4_t; 4] = std::array::from_fn(|v| vld1q_s32(group.bias.add(v * 4)));
        let mut sums = [bias; MR];
        let mut weights = group.weights.cast::<i8>();
        for &tap in group.taps {
            let mut at: [*const u8; MR] = std::array::from_fn(|m| pixels[m].add(tap));
            for _ in 0..group.run / 16 {
                let bytes: [int8x16_t; MR] = std::array::from_fn(|m| signed(vld1q_u8(at[m])));
                at = at.map(|at| at.add(16));
                macro_rules! four {
                    ($lane:literal) => {
                        let w: [int8x16_t; 4] =
                            std::array::from_fn(|v| vld1q_s8(weights.add(($lane * 4 + v) * 16)));
                        for m in 0..MR {
                            for v in 0..4 {
                                sums[m][v] = dot_lane::<$lane>(sums[m][v], w[v], bytes[m]);
                            }
                        }
                    };
                }
                four!(0);
                four!(1);
                four!(2);
                four!(3);
                weights = weights.add(256);
            }
            for _ in 0..group.run % 16 / 4 {
                let w: [int8x16_t; 4] = std::array::from_fn(|v| vld1q_s8(weights.add(v * 16)));
                for m in 0..MR {
                    let four = vdupq_n_u32(at[m].cast::<u32>().read_unaligned());
                    let four = signed(vreinterpretq_u8_u32(four));
                    for v in 0..4 {
                        sums[m][v] = dot(sums[m][v], w[v], four);
                    }
                }
                at = at.map(|at| at.add(4));
                weights = weights.add(64);
            }
        }
        store::store::<MR, PLAIN>(&sums, group.scale, group.bounds, target, group.target_step);
    }
}

/// Rows a and c, b and d, of eight channels each, to four bytes a channel.
#[inline]
#[target_feature(enable = "neon")]
fn interleaved(ac: int8x16_t, bd: int8x16_t) -> [int8x16_t; 2] {
    let (ab, cd) = (vzip1q_s8(ac, bd), vzip2q_s8(ac, bd));
    let (ab, cd) = (vreinterpretq_s16_s8(ab), vreinterpretq_s16_s8(cd));
    [
        vreinterpretq_s8_s16(vzip1q_s16(ab, cd)),
        vreinterpretq_s8_s16(vzip2q_s16(ab, cd)),
    ]
}

lines!("neon,dotprod", dot, |bytes| signed(bytes));

/// Products of a vector with the rows of a matrix.
///
/// # Safety
///
/// The processor has the dot product; `weights` is `sums.len()` rows of `source.len()`.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    let (whole, rest) = source.as_chunks::<16>();
    for (n, sum) in sums.iter_mut().enumerate() {
        let row = &weights[n * source.len()..][..source.len()];
        let (chunks, tail) = row.as_chunks::<16>();
        let mut total = vdupq_n_s32(0);
        let mut moved = vdupq_n_s32(0);
        for (a, w) in whole.iter().zip(chunks) {
            // SAFETY: both are 16 bytes.
            let (a, w) = unsafe { (vld1q_u8(a.as_ptr()), vld1q_s8(w.as_ptr())) };
            total = dot(total, w, signed(a));
            moved = dot(moved, w, vdupq_n_s8(1));
        }
        let mut left = [0];
        portable::dense(rest, tail, &mut left);
        *sum = vaddvq_s32(total) + 128 * vaddvq_s32(moved) + left[0];
    }
}

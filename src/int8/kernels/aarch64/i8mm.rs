//! Kernels for I8MM: `usmmla`, 32 multiply-adds an instruction, and `usdot`, 16, of bytes without a sign and with.

use std::arch::aarch64::*;
use std::arch::asm;

use super::lines::{TWO_ROWS, lines};
use super::store;
use crate::int8::kernels::depthwise::{self, Depthwise, Lines, for_columns};
use crate::int8::kernels::tiled::{self, Conv, Group, Pixels, Tile};
use crate::int8::kernels::{DepthwiseShape, Reads, Store, portable};

/// Pairs of channels in a group.
const PAIRS: usize = 8;

/// Packs a convolution's weights, `[output channel][byte of all runs]`.
pub fn conv(reads: &Reads, weights: &[i8], store: &Store) -> Conv {
    Conv::pack(
        tiled::Family {
            lanes: 2,
            step: 8,
            groups: &[PAIRS],
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
    kernels: [
        [lines::<1, false>, lines::<1, true>],
        [lines::<2, false>, lines::<2, true>],
    ],
    ..TWO_ROWS
};

fn tiles(_vectors: usize, plain: bool) -> &'static [Tile] {
    match plain {
        false => &[
            tile::<1, 1, false>,
            tile::<2, 1, false>,
            tile::<3, 2, false>,
            tile::<4, 2, false>,
        ],
        true => &[
            tile::<1, 1, true>,
            tile::<2, 1, true>,
            tile::<3, 2, true>,
            tile::<4, 2, true>,
        ],
    }
}

/// Adds four products to each of four sums.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn dot(mut sums: int32x4_t, weights: int8x16_t, bytes: uint8x16_t) -> int32x4_t {
    // SAFETY: the instruction is the feature's, and changes this register alone.
    unsafe {
        asm!(
            "usdot {:v}.4s, {:v}.16b, {:v}.16b",
            inout(vreg) sums, in(vreg) bytes, in(vreg) weights,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Adds to the sums of two pixels for two channels, `[pixel][channel]`, the products of eight bytes each.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn multiply(mut sums: int32x4_t, pixels: uint8x16_t, channels: int8x16_t) -> int32x4_t {
    // SAFETY: as in `dot`.
    unsafe {
        asm!(
            "usmmla {:v}.4s, {:v}.16b, {:v}.16b",
            inout(vreg) sums, in(vreg) pixels, in(vreg) channels,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// Eight bytes of two pixels each, one behind the other, from their first and from their second eight.
#[inline]
#[target_feature(enable = "neon")]
fn zipped(a: uint8x16_t, b: uint8x16_t) -> [uint8x16_t; 2] {
    // Not with `map`: the compiler doesn't put its closures in their place here.
    let (a, b) = (vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b));
    [
        vreinterpretq_u8_u64(vzip1q_u64(a, b)),
        vreinterpretq_u8_u64(vzip2q_u64(a, b)),
    ]
}

/// `MR` pixels of 16 channels, as `PR` pairs of pixels: the last is beside itself where there is an odd one.
///
/// # Safety
///
/// That of [`Tile`].
#[target_feature(enable = "neon,i8mm")]
unsafe fn tile<const MR: usize, const PR: usize, const PLAIN: bool>(
    group: &Group,
    pixels: &Pixels,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `v < PAIRS`, `m < MR`, `k < run`.
    unsafe {
        let bias: [int32x4_t; PAIRS] = std::array::from_fn(|v| {
            let two = vld1_s32(group.bias.add(v * 2));
            vcombine_s32(two, two)
        });
        let mut sums = [bias; PR];
        let mut weights = group.weights.cast::<i8>();
        macro_rules! step {
            ($bytes:ident) => {
                for v in 0..PAIRS {
                    let w = vld1q_s8(weights.add(v * 16));
                    for p in 0..PR {
                        sums[p][v] = multiply(sums[p][v], $bytes[p], w);
                    }
                }
                weights = weights.add(PAIRS * 16);
            };
        }
        for &tap in group.taps {
            let mut at: [[*const u8; 2]; PR] =
                std::array::from_fn(|p| [0, 1].map(|i| pixels[(p * 2 + i).min(MR - 1)].add(tap)));
            for _ in 0..group.run / 16 {
                let mut first = [vdupq_n_u8(0); PR];
                let mut second = first;
                for p in 0..PR {
                    [first[p], second[p]] = zipped(vld1q_u8(at[p][0]), vld1q_u8(at[p][1]));
                    at[p] = [at[p][0].add(16), at[p][1].add(16)];
                }
                step!(first);
                step!(second);
            }
            if group.run % 16 >= 8 {
                let bytes = at.map(|[a, b]| vcombine_u8(vld1_u8(a), vld1_u8(b)));
                at = at.map(|two| two.map(|at| at.add(8)));
                step!(bytes);
            }
            if group.run % 8 >= 4 {
                let four = |at: *const u8| vcreate_u8(u64::from(at.cast::<u32>().read_unaligned()));
                let bytes = at.map(|[a, b]| vcombine_u8(four(a), four(b)));
                step!(bytes);
            }
        }
        let sums: [[int32x4_t; 4]; MR] = std::array::from_fn(|m| {
            std::array::from_fn(|v| {
                let pairs = &sums[m / 2];
                let a = vreinterpretq_s64_s32(pairs[v * 2]);
                let b = vreinterpretq_s64_s32(pairs[v * 2 + 1]);
                vreinterpretq_s32_s64(match m % 2 {
                    0 => vzip1q_s64(a, b),
                    _ => vzip2q_s64(a, b),
                })
            })
        });
        store::store::<MR, PLAIN>(&sums, group.scale, group.bounds, target, group.target_step);
    }
}

/// Rows a and c, b and d, of eight channels each, to four bytes a channel.
#[inline]
#[target_feature(enable = "neon")]
fn interleaved(ac: uint8x16_t, bd: uint8x16_t) -> [uint8x16_t; 2] {
    let (ab, cd) = (vzip1q_u8(ac, bd), vzip2q_u8(ac, bd));
    let (ab, cd) = (vreinterpretq_u16_u8(ab), vreinterpretq_u16_u8(cd));
    [
        vreinterpretq_u8_u16(vzip1q_u16(ab, cd)),
        vreinterpretq_u8_u16(vzip2q_u16(ab, cd)),
    ]
}

lines!("neon,i8mm", dot, |bytes| bytes);

/// Products of a vector with the rows of a matrix.
///
/// # Safety
///
/// The processor has I8MM; `weights` is `sums.len()` rows of `source.len()`.
#[target_feature(enable = "neon,i8mm")]
pub unsafe fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    let (whole, rest) = source.as_chunks::<16>();
    for (n, sum) in sums.iter_mut().enumerate() {
        let row = &weights[n * source.len()..][..source.len()];
        let (chunks, tail) = row.as_chunks::<16>();
        let mut total = vdupq_n_s32(0);
        for (a, w) in whole.iter().zip(chunks) {
            // SAFETY: both are 16 bytes.
            let (a, w) = unsafe { (vld1q_u8(a.as_ptr()), vld1q_s8(w.as_ptr())) };
            total = dot(total, w, a);
        }
        let mut left = [0];
        portable::dense(rest, tail, &mut left);
        *sum = vaddvq_s32(total) + left[0];
    }
}

//! Kernels for any 64-bit ARM: `smull`, `smlal2` and `sadalp`, 16 multiply-adds in three instructions.
//!
//! Two products of signed bytes fit 16 bits, unless all four bytes are -128: no weight may be.

use std::arch::aarch64::*;

use super::{moved, store};
use crate::int8::kernels::depthwise::{self, Depthwise, Lines, for_columns};
use crate::int8::kernels::tiled::{self, Conv, Group, Pixels, Tile};
use crate::int8::kernels::{AddQuant, DepthwiseShape, Reads, Store, portable};

/// Channels whose sums a tile holds at once.
const BESIDE: usize = 4;

/// Channels in a group.
const CHANNELS: usize = 16;

/// Packs a convolution's weights, `[output channel][byte of all runs]`; `None` where one is -128.
pub fn conv(reads: &Reads, weights: &[i8], store: &Store) -> Option<Conv> {
    if weights.contains(&i8::MIN) {
        return None;
    }
    Some(Conv::pack(
        tiled::Family {
            lanes: 1,
            step: 16,
            groups: &[CHANNELS],
            tiles,
        },
        reads,
        weights,
        &moved(weights, store),
    ))
}

/// Packs a depthwise convolution's weights, `[channel][row][column]`.
pub fn depthwise(weights: &[i8], pad: u8, store: &Store) -> Depthwise {
    Depthwise::pack(&[DEPTHWISE], weights, pad, store)
}

const DEPTHWISE: depthwise::Family = depthwise::Family {
    lanes: 8,
    vectors: 1,
    beside: 1,
    width: 2,
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
        ],
        true => &[
            tile::<1, true>,
            tile::<2, true>,
            tile::<3, true>,
            tile::<4, true>,
        ],
    }
}

/// Bytes moved by -128.
#[inline]
#[target_feature(enable = "neon")]
fn signed(bytes: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)))
}

/// `MR` pixels of 16 channels, four at a time.
///
/// # Safety
///
/// That of [`Tile`]; no weight is -128.
#[target_feature(enable = "neon")]
unsafe fn tile<const MR: usize, const PLAIN: bool>(
    group: &Group,
    pixels: &Pixels,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `m < MR`, `k < run`.
    unsafe {
        for first in (0..CHANNELS).step_by(BESIDE) {
            let mut sums = [[vdupq_n_s32(0); BESIDE]; MR];
            let mut weights = group.weights.add(first * 16).cast::<i8>();
            for &tap in group.taps {
                let mut at: [*const u8; MR] = std::array::from_fn(|m| pixels[m].add(tap));
                for _ in 0..group.run / 16 {
                    let bytes: [int8x16_t; MR] = std::array::from_fn(|m| signed(vld1q_u8(at[m])));
                    at = at.map(|at| at.add(16));
                    for v in 0..BESIDE {
                        let w = vld1q_s8(weights.add(v * 16));
                        for m in 0..MR {
                            let two = vmull_s8(vget_low_s8(bytes[m]), vget_low_s8(w));
                            let two = vmlal_high_s8(two, bytes[m], w);
                            sums[m][v] = vpadalq_s16(sums[m][v], two);
                        }
                    }
                    weights = weights.add(CHANNELS * 16);
                }
                let left = group.run % 16;
                if left > 0 {
                    let bytes: [int8x16_t; MR] = at.map(|at| signed(some(at, left)));
                    for v in 0..BESIDE {
                        let w = vld1q_s8(weights.add(v * 16));
                        for m in 0..MR {
                            let mut two = vmull_s8(vget_low_s8(bytes[m]), vget_low_s8(w));
                            if left > 8 {
                                two = vmlal_high_s8(two, bytes[m], w);
                            }
                            sums[m][v] = vpadalq_s16(sums[m][v], two);
                        }
                    }
                    weights = weights.add(CHANNELS * 16);
                }
            }
            let bias = vld1q_s32(group.bias.add(first));
            let scale = vld1q_f32(group.scale.add(first));
            let q = |m: usize| {
                let [a, b, c, d] = sums[m.min(MR - 1)];
                let total = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
                store::scaled(vaddq_s32(total, bias), scale)
            };
            let bytes = store::packed::<PLAIN>([q(0), q(1), q(2), q(3)], group.bounds);
            let words = vreinterpretq_u32_u8(bytes);
            let target = target.add(first);
            let step = group.target_step;
            vst1q_lane_u32::<0>(target.cast(), words);
            if MR > 1 {
                vst1q_lane_u32::<1>(target.add(step).cast(), words);
            }
            if MR > 2 {
                vst1q_lane_u32::<2>(target.add(2 * step).cast(), words);
            }
            if MR > 3 {
                vst1q_lane_u32::<3>(target.add(3 * step).cast(), words);
            }
        }
    }
}

/// The `len` bytes from `at` on, 4, 8 or 12, and zeros.
///
/// # Safety
///
/// They are readable.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn some(at: *const u8, len: usize) -> uint8x16_t {
    // SAFETY: eight bytes are read only where there are as many, and four where there are four more.
    unsafe {
        let four = |at: *const u8| vcreate_u8(u64::from(at.cast::<u32>().read_unaligned()));
        match len {
            4 => vcombine_u8(four(at), vdup_n_u8(0)),
            8 => vcombine_u8(vld1_u8(at), vdup_n_u8(0)),
            _ => vcombine_u8(vld1_u8(at), four(at.add(8))),
        }
    }
}

/// `ROWS` output rows of eight channels from four input rows.
///
/// # Safety
///
/// That of [`depthwise::Kernel`].
#[target_feature(enable = "neon")]
unsafe fn lines<const ROWS: usize, const PLAIN: bool>(shape: &DepthwiseShape, job: &Lines) {
    // SAFETY: columns are checked against the input's width, `x` against the output's; the rest is the caller's word.
    unsafe {
        // A column of four input rows of eight numbers each.
        let column = |x: usize, j: usize| -> [int16x8_t; 4] {
            let place = shape.column(x, j);
            std::array::from_fn(|i| {
                let line = &job.lines[i];
                let at = place.map_or(job.pad, |c| line.start.add(c * line.step));
                vreinterpretq_s16_u16(vmovl_u8(vld1_u8(at)))
            })
        };
        // The first output row's; the second's are the same, a row below.
        let weights: [[int16x8_t; 3]; 3] = std::array::from_fn(|j| {
            std::array::from_fn(|i| vld1q_s16(job.weights.add((j * 4 + i) * 16).cast()))
        });
        let bias = [vld1q_s32(job.bias), vld1q_s32(job.bias.add(4))];
        let scale = [vld1q_f32(job.scale), vld1q_f32(job.scale.add(4))];
        for_columns!(shape, column, |x, columns| {
            let mut sums = [bias; ROWS];
            for (row, sums) in sums.iter_mut().enumerate() {
                for (column, weights) in columns.iter().zip(&weights) {
                    for (&numbers, &w) in column[row..].iter().zip(weights) {
                        sums[0] = vmlal_s16(sums[0], vget_low_s16(numbers), vget_low_s16(w));
                        sums[1] = vmlal_high_s16(sums[1], numbers, w);
                    }
                }
            }
            let target = job.target.add(x * job.target_step);
            store::rows::<ROWS, PLAIN>(sums, scale, job.bounds, target, job.target_row);
        });
    }
}

/// Adds two maps.
///
/// # Safety
///
/// The processor has NEON; the three slices are of one length.
#[target_feature(enable = "neon")]
pub unsafe fn add(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let (target, rest) = target.as_chunks_mut::<16>();
    let offset = vdupq_n_f32(quant.offset);
    for ((target, a), b) in target.iter_mut().zip(a).zip(b) {
        // SAFETY: all three are 16 bytes.
        let (a, b) = unsafe { (floats(vld1q_u8(a.as_ptr())), floats(vld1q_u8(b.as_ptr()))) };
        let q: [uint32x4_t; 4] = std::array::from_fn(|v| {
            let sum = vfmaq_n_f32(offset, a[v], quant.ratios[0]);
            vcvtnq_u32_f32(vfmaq_n_f32(sum, b[v], quant.ratios[1]))
        });
        let low = vqmovn_high_u32(vqmovn_u32(q[0]), q[1]);
        let high = vqmovn_high_u32(vqmovn_u32(q[2]), q[3]);
        let bytes = vqmovn_high_u16(vqmovn_u16(low), high);
        let bytes = vmaxq_u8(bytes, vdupq_n_u8(quant.low));
        let bytes = vminq_u8(bytes, vdupq_n_u8(quant.high));
        // SAFETY: as above.
        unsafe { vst1q_u8(target.as_mut_ptr(), bytes) };
    }
    portable::add(quant, a_rest, b_rest, rest);
}

/// Sixteen bytes as numbers.
#[inline]
#[target_feature(enable = "neon")]
fn floats(bytes: uint8x16_t) -> [float32x4_t; 4] {
    let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
    [
        vmovl_u16(vget_low_u16(low)),
        vmovl_high_u16(low),
        vmovl_u16(vget_low_u16(high)),
        vmovl_high_u16(high),
    ]
    .map(|v| vcvtq_f32_u32(v))
}

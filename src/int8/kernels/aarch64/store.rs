//! What the families share: from sums to bytes.

use std::arch::aarch64::*;

use crate::int8::kernels::tiled::Bounds;

/// From sums to rounded steps, before zero point and clamp.
#[inline]
#[target_feature(enable = "neon")]
pub fn scaled(sums: int32x4_t, scale: float32x4_t) -> int32x4_t {
    vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums), scale))
}

/// Sixteen steps to bytes: zero point, saturation, clamp.
#[inline]
#[target_feature(enable = "neon")]
pub fn packed<const PLAIN: bool>(q: [int32x4_t; 4], bounds: Bounds) -> uint8x16_t {
    let low = vqmovn_high_s32(vqmovn_s32(q[0]), q[1]);
    let high = vqmovn_high_s32(vqmovn_s32(q[2]), q[3]);
    if PLAIN {
        return vqmovun_high_s16(vqmovun_s16(low), high);
    }
    let zero_point = vdupq_n_s16(bounds.zero_point.into());
    let low = vqmovun_s16(vqaddq_s16(low, zero_point));
    let bytes = vqmovun_high_s16(low, vqaddq_s16(high, zero_point));
    let bytes = vmaxq_u8(bytes, vdupq_n_u8(bounds.low));
    vminq_u8(bytes, vdupq_n_u8(bounds.high))
}

/// The store of a tile of 16 channels: `MR` pixels' sums to bytes at multiples of `step` from `target` on.
///
/// # Safety
///
/// The processor has NEON. `scale` is valid for 16 values, `target` for 16 bytes at each of `MR` multiples of `step`.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn store<const MR: usize, const PLAIN: bool>(
    sums: &[[int32x4_t; 4]; MR],
    scale: *const f32,
    bounds: Bounds,
    target: *mut u8,
    step: usize,
) {
    // SAFETY: 16 scales are read, and 16 bytes written at `m * step` for `m < MR`.
    unsafe {
        let scale: [float32x4_t; 4] = std::array::from_fn(|v| vld1q_f32(scale.add(v * 4)));
        for (m, sums) in sums.iter().enumerate() {
            let q = std::array::from_fn(|v| scaled(sums[v], scale[v]));
            vst1q_u8(target.add(m * step), packed::<PLAIN>(q, bounds));
        }
    }
}

/// The store of `ROWS` pixels of eight channels: their sums to bytes at multiples of `step` from `target` on.
///
/// # Safety
///
/// The processor has NEON. `ROWS` is one or two, and `target` valid for eight bytes at each of as many multiples.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn rows<const ROWS: usize, const PLAIN: bool>(
    sums: [[int32x4_t; 2]; ROWS],
    scale: [float32x4_t; 2],
    bounds: Bounds,
    target: *mut u8,
    step: usize,
) {
    let q = |row: usize, v: usize| scaled(sums[row][v], scale[v]);
    let last = ROWS - 1;
    let bytes = packed::<PLAIN>([q(0, 0), q(0, 1), q(last, 0), q(last, 1)], bounds);
    // SAFETY: the caller's word: eight bytes at the first pixel, and at the second where there is one.
    unsafe {
        vst1_u8(target, vget_low_u8(bytes));
        if ROWS == 2 {
            vst1_u8(target.add(step), vget_high_u8(bytes));
        }
    }
}

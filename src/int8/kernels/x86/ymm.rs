//! Stores of the families on 256-bit registers.

use std::arch::x86_64::*;

use crate::int8::kernels::tiled::Bounds;

/// From sums to rounded steps, before zero point and clamp.
#[inline]
#[target_feature(enable = "avx2")]
pub fn scaled(sums: __m256i, scale: __m256) -> __m256i {
    _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), scale))
}

/// One pixel of 32 channels, as four vectors of steps in the order of [`channel`](crate::int8::kernels::tiled::channel), to 32 bytes. Zero point,
/// saturation, clamp.
#[inline]
#[target_feature(enable = "avx2")]
pub fn packed_block<const PLAIN: bool>(q: [__m256i; 4], bounds: Bounds) -> __m256i {
    let halves = [
        _mm256_packs_epi32(q[0], q[1]),
        _mm256_packs_epi32(q[2], q[3]),
    ];
    if PLAIN {
        return _mm256_packus_epi16(halves[0], halves[1]);
    }
    let zero_point = _mm256_set1_epi16(i16::from(bounds.zero_point));
    let halves = [
        _mm256_adds_epi16(halves[0], zero_point),
        _mm256_adds_epi16(halves[1], zero_point),
    ];
    let bytes = _mm256_packus_epi16(halves[0], halves[1]);
    let bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(bounds.low as i8));
    _mm256_min_epu8(bytes, _mm256_set1_epi8(bounds.high as i8))
}

/// Two pixels of 16 channels, each as two vectors of steps in the order of [`channel`](crate::int8::kernels::tiled::channel), to 16 bytes each: the
/// first in the lower half. Zero point, saturation, clamp.
#[inline]
#[target_feature(enable = "avx2")]
pub fn packed<const PLAIN: bool>(
    first: [__m256i; 2],
    second: [__m256i; 2],
    bounds: Bounds,
) -> __m256i {
    let first = _mm256_packs_epi32(first[0], first[1]);
    let second = _mm256_packs_epi32(second[0], second[1]);
    if PLAIN {
        return _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(first, second));
    }
    let zero_point = _mm256_set1_epi16(i16::from(bounds.zero_point));
    let first = _mm256_adds_epi16(first, zero_point);
    let second = _mm256_adds_epi16(second, zero_point);
    let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(first, second));
    let bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(bounds.low as i8));
    _mm256_min_epu8(bytes, _mm256_set1_epi8(bounds.high as i8))
}

/// The store of a tile of 16 channels: `MR` pixels' sums to bytes at multiples of `step` from `target` on.
///
/// # Safety
///
/// The processor has AVX2. `scale` is valid for 16 values, `target` for 16 bytes at each of `MR` multiples of `step`.
#[inline]
#[target_feature(enable = "avx2")]
pub unsafe fn store<const MR: usize, const PLAIN: bool>(
    sums: [[__m256i; 2]; MR],
    scale: *const f32,
    bounds: Bounds,
    target: *mut u8,
    step: usize,
) {
    // SAFETY: 16 scales are read, and 16 bytes written at `m * step` for `m < MR`.
    unsafe {
        let scale = [_mm256_loadu_ps(scale), _mm256_loadu_ps(scale.add(8))];
        for m in (0..MR).step_by(2) {
            let other = (m + 1).min(MR - 1);
            let first = [scaled(sums[m][0], scale[0]), scaled(sums[m][1], scale[1])];
            let second = [
                scaled(sums[other][0], scale[0]),
                scaled(sums[other][1], scale[1]),
            ];
            let bytes = packed::<PLAIN>(first, second, bounds);
            _mm_storeu_si128(target.add(m * step).cast(), _mm256_castsi256_si128(bytes));
            if other > m {
                _mm_storeu_si128(
                    target.add(other * step).cast(),
                    _mm256_extracti128_si256::<1>(bytes),
                );
            }
        }
    }
}

/// The sum of a vector's eight elements.
#[inline]
#[target_feature(enable = "avx2")]
pub fn total(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(
        quarter,
        _mm_shuffle_epi32::<0b10_11_00_01>(quarter),
    ))
}

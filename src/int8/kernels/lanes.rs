//! Four 32-bit sums side by side, for the portable kernels.

/// Four sums.
#[derive(Debug, Clone, Copy)]
pub struct Lanes(Inner);

#[cfg(not(target_arch = "x86_64"))]
type Inner = [i32; 4];

/// SSE2 is a part of x86-64 itself. Its `pmaddwd` does just what [`Lanes::add_products`] says, but compilers don't
/// find that out by themselves.
#[cfg(target_arch = "x86_64")]
type Inner = std::arch::x86_64::__m128i;

#[cfg(target_arch = "x86_64")]
impl Lanes {
    #[inline(always)]
    pub fn new(sums: [i32; 4]) -> Self {
        // SAFETY: both are 16 bytes of which every pattern is valid.
        Self(unsafe { std::mem::transmute::<[i32; 4], Inner>(sums) })
    }

    #[inline(always)]
    pub fn sums(self) -> [i32; 4] {
        // SAFETY: as in `new`.
        unsafe { std::mem::transmute::<Inner, [i32; 4]>(self.0) }
    }

    /// Adds two products to each sum: lane `i` gets `pair[0] * weights[2 * i] + pair[1] * weights[2 * i + 1]`.
    #[inline(always)]
    pub fn add_products(&mut self, pair: [i16; 2], weights: &[i16; 8]) {
        use std::arch::x86_64::{_mm_add_epi32, _mm_loadu_si128, _mm_madd_epi16, _mm_set1_epi32};
        let pair = i32::from(pair[0] as u16) | i32::from(pair[1]) << 16;
        // SAFETY: SSE2 is there, and the reference is to 16 bytes.
        self.0 = unsafe {
            let weights = _mm_loadu_si128(weights.as_ptr().cast());
            _mm_add_epi32(self.0, _mm_madd_epi16(_mm_set1_epi32(pair), weights))
        };
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Lanes {
    #[inline(always)]
    pub fn new(sums: [i32; 4]) -> Self {
        Self(sums)
    }

    #[inline(always)]
    pub fn sums(self) -> [i32; 4] {
        self.0
    }

    /// Adds two products to each sum: lane `i` gets `pair[0] * weights[2 * i] + pair[1] * weights[2 * i + 1]`.
    #[inline(always)]
    pub fn add_products(&mut self, pair: [i16; 2], weights: &[i16; 8]) {
        add_products(&mut self.0, pair, weights);
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn add_products(sums: &mut [i32; 4], pair: [i16; 2], weights: &[i16; 8]) {
    let [a, b] = pair.map(i32::from);
    for (sum, w) in sums.iter_mut().zip(weights.as_chunks::<2>().0) {
        *sum += a * i32::from(w[0]) + b * i32::from(w[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn products_are_added_as_plain_rust_would(
            sums: [i16; 4], pair in [-255i16..256, -255i16..256], weights in prop::array::uniform8(-128i16..128),
        ) {
            let sums = sums.map(i32::from);
            let mut expected = sums;
            add_products(&mut expected, pair, &weights);
            let mut lanes = Lanes::new(sums);
            lanes.add_products(pair, &weights);
            prop_assert_eq!(lanes.sums(), expected);
        }
    }
}

//! Reproducible chance, without a library: the demo must look the same in every release.

/// Numbers that depend on nothing but the seed.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The same seed gives the same numbers.
    pub fn seeded(seed: u64) -> Self {
        Chance { state: seed }
    }

    /// 64 bits, by SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    /// generators", 2014).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub fn share(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// Uniform from `least` to `most`.
    pub fn within(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.share()
    }

    /// Around zero, mostly within `spread` (its standard deviation), never beyond three times it.
    pub fn around(&mut self, spread: f32) -> f32 {
        // A sum of twelve uniform numbers has variance 1.
        let sum: f32 = (0..12).map(|_| self.share()).sum();
        (sum - 6.0).clamp(-3.0, 3.0) * spread
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f32) -> bool {
        self.share() < probability
    }

    /// One of `choices`, of which there is at least one.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[(self.bits() % choices.len() as u64) as usize]
    }
}

//! Tracks of hands, and chance.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::recognize::observation::Observation;
use crate::recognize::sequence::features::RATE;

/// A hand over time, and what it spells, as places among the letters.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// Frame after frame.
    pub frames: Vec<Observation>,
    /// The letters in order.
    pub letters: Vec<usize>,
}

/// Steps in so many seconds.
pub(super) fn steps_in(seconds: f32) -> usize {
    (seconds * RATE).round() as usize
}

pub(super) fn pick<'a, T>(from: &'a [T], rng: &mut StdRng) -> Option<&'a T> {
    match from.is_empty() {
        true => None,
        false => from.get(rng.random_range(0..from.len())),
    }
}

/// A number from a normal distribution around 0.
pub(super) fn normal(rng: &mut StdRng, deviation: f32) -> f32 {
    // Box and Muller's.
    let (a, b): (f32, f32) = (rng.random(), rng.random());
    let length = (-2.0 * (1.0 - a).max(f32::MIN_POSITIVE).ln()).sqrt();
    deviation * length * (std::f32::consts::TAU * b).cos()
}

/// A smooth random walk around 0.
pub(super) struct Slow {
    value: f32,
    deviation: f32,
}

impl Slow {
    pub fn new(deviation: f32) -> Slow {
        Slow {
            value: 0.0,
            deviation,
        }
    }

    pub fn next(&mut self, rng: &mut StdRng) -> f32 {
        // It forgets within a quarter of a second.
        let keep = (-4.0 / RATE).exp();
        self.value = keep * self.value + normal(rng, self.deviation * (1.0 - keep * keep).sqrt());
        self.value
    }
}

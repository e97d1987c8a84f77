//! What one frame says by itself, before anything is made of it over time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::frame::Rect;
use crate::base::joints::Joints;

/// What the networks made of one frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The frame's media time.
    pub time: Duration,
    /// The frame's width divided by its height.
    pub aspect: f32,
    /// Whether a hand was read: it was found in this frame, or an instant before.
    pub is_read: bool,
    /// The hand's box where it was found in this very frame, not steadied.
    pub hand: Option<Rect>,
    /// The hand's joints in fractions of the frame, where the letter network gives them.
    pub joints: Option<Joints>,
    /// A probability for each label, in the model's order; all of `nothing` where no hand was read.
    pub probabilities: Vec<f32>,
}

impl Observation {
    /// Takes what the letter network said of the hand.
    pub fn set_probabilities(&mut self, probabilities: impl Iterator<Item = f32>) {
        self.probabilities.clear();
        self.probabilities.extend(probabilities);
    }

    /// Takes note that there was no hand to read: of `labels` labels it is the one at `nothing`.
    pub(super) fn set_nothing(&mut self, labels: usize, nothing: Option<usize>) {
        self.probabilities.clear();
        self.probabilities.resize(labels, 0.0);
        if let Some(probability) = nothing.and_then(|at| self.probabilities.get_mut(at)) {
            *probability = 1.0;
        }
    }
}

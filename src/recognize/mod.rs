//! Frame in, [`Reading`] out.

pub mod crop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::frame::Rect;

/// What was read from one frame.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The frame's sequence number.
    pub seq: u64,
    /// The frame's capture time.
    pub captured: Instant,
    /// The frame's media time.
    pub time: Duration,
    /// The letter shown, or `None` where no letter is signed or none is certain enough.
    pub letter: Option<Arc<str>>,
    /// Probability of the most probable class, 0 to 1.
    pub confidence: f32,
    /// The most probable classes with their probabilities, best first; `nothing` may be among them.
    pub top: Vec<(Arc<str>, f32)>,
    /// The hand's box, which hugs the hand; `None` where no hand was found.
    pub hand: Option<Rect>,
    /// What each step took.
    pub times: ReadingTimes,
}

/// What the steps of one reading took.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadingTimes {
    /// Finding or following the hand.
    pub find: Duration,
    /// Cropping and resizing.
    pub preprocess: Duration,
    /// The letter network.
    pub infer: Duration,
}

//! Follows the hand from frame to frame.

use std::time::Duration;

use anyhow::Result;

use super::finder::{Finder, Found};
use crate::base::frame::{Frame, Rect};

/// A hand that is followed is kept down to this share of the score that a new one needs.
const KEEP: f32 = 0.5;

/// A hand that is not found any more is taken to be where it was for so long: an instant of motion
/// blur does not lose it.
const PATIENCE: Duration = Duration::from_millis(150);

/// The box moves towards where the hand is found by 63 % in this time. What trembles is the
/// finder, mostly.
const SMOOTHING: Duration = Duration::from_millis(50);

/// A box that overlaps the last one by less than this (intersection over union) is taken as it is.
const JUMP: f32 = 0.5;

/// Frames further apart than this show another scene.
const GAP: Duration = Duration::from_millis(500);

/// Finds the hand in each frame and keeps its box steady.
#[derive(Debug, Clone)]
pub struct Tracker {
    finder: Finder,
    track: Track,
    /// Where the hand was found in the last frame.
    seen: Option<Rect>,
    /// Whether frames follow each other, or each shows a scene of its own.
    follows: bool,
}

/// A box over time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Track {
    hand: Option<Rect>,
    /// How long it was not found.
    missing: Duration,
    /// The last frame's media time.
    time: Option<Duration>,
}

impl Tracker {
    /// Follows the hand that `finder` finds.
    pub fn new(finder: Finder) -> Self {
        Tracker {
            finder,
            track: Track::default(),
            seen: None,
            follows: true,
        }
    }

    /// Finds the hand in each frame anew: for pictures that do not follow each other.
    pub fn of_stills(finder: Finder) -> Self {
        Tracker {
            follows: false,
            ..Tracker::new(finder)
        }
    }

    /// Where the hand was found in the last frame, its box not steadied: for judging movement.
    pub fn seen(&self) -> Option<Rect> {
        self.seen
    }

    /// The hand in a frame, its box kept steady; `None` where none is found.
    ///
    /// # Errors
    /// When the network fails.
    pub fn follow(&mut self, frame: &Frame) -> Result<Option<Found>> {
        if !self.follows {
            self.track = Track::default();
        }
        let elapsed = self.track.elapsed(frame.time);
        let (width, height) = (frame.width, frame.height);
        let found = self
            .finder
            .find(&frame.pixels, width, height, self.track.hand)?;
        let threshold = self.finder.threshold();
        let threshold = match self.track.hand {
            Some(_) => threshold * KEEP,
            None => threshold,
        };
        let hand = (found.score >= threshold).then_some(found.hand);
        self.seen = hand;
        self.track.update(hand, elapsed);
        Ok(self.track.hand.map(|hand| Found { hand, ..found }))
    }
}

impl Track {
    /// The time since the last frame. After a gap, or a jump back, nothing is followed.
    fn elapsed(&mut self, time: Duration) -> Duration {
        let elapsed = self.time.map(|last| time.checked_sub(last));
        self.time = Some(time);
        match elapsed {
            Some(Some(elapsed)) if elapsed <= GAP => elapsed,
            _ => {
                self.hand = None;
                Duration::ZERO
            }
        }
    }

    fn update(&mut self, found: Option<Rect>, elapsed: Duration) {
        let Some(found) = found else {
            self.missing += elapsed;
            if self.missing > PATIENCE || self.hand.is_none() {
                self.hand = None;
            }
            return;
        };
        self.missing = Duration::ZERO;
        self.hand = Some(match self.hand {
            Some(last) if last.iou(&found) >= JUMP => {
                let share = 1.0 - (-elapsed.as_secs_f32() / SMOOTHING.as_secs_f32()).exp();
                let between = |from: f32, to: f32| from + share * (to - from);
                Rect {
                    x0: between(last.x0, found.x0),
                    y0: between(last.y0, found.y0),
                    x1: between(last.x1, found.x1),
                    y1: between(last.y1, found.y1),
                }
            }
            _ => found,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    fn hand(x0: f32) -> Rect {
        Rect {
            x0,
            y0: 0.3,
            x1: x0 + 0.2,
            y1: 0.6,
        }
    }

    #[test]
    fn a_trembling_box_is_steadied_and_a_far_one_taken_at_once() {
        let mut track = Track::default();
        track.update(Some(hand(0.3)), Duration::ZERO);
        track.update(Some(hand(0.32)), FRAME);
        let x0 = track.hand.unwrap().x0;
        assert!((0.305..0.315).contains(&x0), "{x0}");
        for _ in 0..10 {
            track.update(Some(hand(0.32)), FRAME);
        }
        assert!((track.hand.unwrap().x0 - 0.32).abs() < 1e-3);
        track.update(Some(hand(0.7)), FRAME);
        assert_eq!(track.hand, Some(hand(0.7)));
    }

    #[test]
    fn a_hand_missed_in_a_frame_stays_and_one_gone_for_longer_is_lost() {
        let mut track = Track::default();
        track.update(Some(hand(0.3)), Duration::ZERO);
        track.update(None, FRAME);
        assert_eq!(track.hand, Some(hand(0.3)));
        for _ in 0..4 {
            track.update(None, FRAME);
        }
        assert_eq!(track.hand, None);
    }

    #[test]
    fn after_a_gap_and_after_a_jump_back_nothing_is_followed() {
        for later in [Duration::from_secs(9), Duration::from_millis(10)] {
            let mut track = Track::default();
            track.elapsed(Duration::from_secs(1));
            track.update(Some(hand(0.3)), Duration::ZERO);
            assert_eq!(track.elapsed(later), Duration::ZERO);
            assert_eq!(track.hand, None);
        }
    }
}

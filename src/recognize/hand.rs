//! Follows the hand from frame to frame.

use anyhow::Result;

use super::finder::{Finder, Found};
use super::track::{Read, Track};
use crate::base::frame::{Frame, Rect};

/// A hand that is followed is kept down to this share of the score that a new one needs.
const KEEP: f32 = 0.5;

/// Finds the hand, follows it while its joints say where it goes, and keeps its box steady.
#[derive(Debug, Clone)]
pub struct Tracker {
    finder: Finder,
    track: Track,
    /// Whether frames follow each other, or each shows a scene of its own.
    follows: bool,
}

impl Tracker {
    /// Follows the hand that `finder` finds.
    pub fn new(finder: Finder) -> Self {
        Tracker {
            finder,
            track: Track::default(),
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

    /// Where the hand was seen in the last frame, its box not steadied: for judging movement.
    pub fn seen(&self) -> Option<Rect> {
        self.track.seen()
    }

    /// The hand's box, kept steady, as far as it is known by now.
    pub fn hand(&self) -> Option<Rect> {
        self.track.hand()
    }

    /// Where the hand's letter is to be read in a frame; `None` where no hand is found.
    ///
    /// # Errors
    /// When the network fails.
    pub fn follow(&mut self, frame: &Frame) -> Result<Option<Found>> {
        if !self.follows {
            self.track = Track::default();
        }
        self.track.advance(frame.time);
        if self.track.must_look() {
            let (pixels, width, height) = (&frame.pixels, frame.width, frame.height);
            let followed = self.track.hand();
            let threshold = self.finder.threshold() * followed.map_or(1.0, |_| KEEP);
            let near = match self.track.near() {
                Some(hand) => self.finder.find_near(pixels, width, height, hand)?,
                None => None,
            };
            if let Some(found) = near {
                self.track.look_near(found, found.score < threshold);
            } else {
                let found = self.finder.find(pixels, width, height, followed)?;
                self.track.look(found, found.score < threshold);
            }
        }
        Ok(self.track.found())
    }

    /// Takes what was read in that place: the hull of the hand's joints, and how probable the
    /// likeliest letter is, `None` for no letter. Not to be called where joints are not known.
    /// `aspect` is the frame's width over its height.
    pub fn read(&mut self, hull: Rect, letter: Option<f32>, aspect: f32) {
        self.track.read(&Read { hull, letter }, aspect);
    }
}

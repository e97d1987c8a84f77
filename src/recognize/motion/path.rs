//! A hand's path, with what its shape was like.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::frame::Rect;

/// Paths are looked at in steps of this length, whatever the frame rate.
pub const STEP: Duration = Duration::from_millis(40);

/// How far back a path reaches.
const REACH: Duration = Duration::from_millis(1800);

/// How likely a handshape is the one that a letter is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shape {
    /// The letter's own.
    pub own: f32,
    /// Its own, or what that is read as while it moves.
    pub moved: f32,
}

/// How many letters are drawn.
pub const DRAWN: usize = 2;

/// A [`Shape`] for each drawn letter.
pub type Shapes = [Shape; DRAWN];

/// A place on a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right as the camera sees it, in hands.
    pub x: f32,
    /// Down, in hands.
    pub y: f32,
    /// What its shape was like.
    pub shapes: Shapes,
}

/// A frame's part of a path.
#[derive(Debug, Clone, Copy)]
struct Sample {
    time: Duration,
    /// The tip's place, in picture heights.
    x: f32,
    y: f32,
    /// The box's larger side, in picture heights.
    size: f32,
    shapes: Shapes,
}

/// Where the fingertip went: a raised finger ends at the middle of its box's upper edge, nearly.
#[derive(Debug, Clone)]
pub struct Path {
    samples: VecDeque<Sample>,
    sizes: Vec<f32>,
    /// The hand's size: the median of its boxes' larger sides, in picture heights.
    size: f32,
}

impl Default for Path {
    fn default() -> Self {
        Path {
            samples: VecDeque::new(),
            sizes: Vec::new(),
            size: 1.0,
        }
    }
}

impl Path {
    /// Time since the hand was last seen; `None` where it was not, or later.
    pub fn elapsed(&self, time: Duration) -> Option<Duration> {
        time.checked_sub(self.samples.back()?.time)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    /// Adds a hand's box in a picture of the proportions `aspect`, later than the last one.
    pub fn push(&mut self, time: Duration, hand: Rect, aspect: f32, shapes: Shapes) {
        let sample = Sample {
            time,
            x: (hand.x0 + hand.x1) / 2.0 * aspect,
            y: hand.y0,
            size: (hand.width() * aspect).max(hand.height()),
            shapes,
        };
        let sound = [sample.x, sample.y, sample.size]
            .iter()
            .all(|value| value.is_finite());
        if !sound || sample.size <= 0.0 {
            return;
        }
        self.samples.push_back(sample);
        let oldest = time.saturating_sub(REACH + STEP * 8);
        while self
            .samples
            .front()
            .is_some_and(|sample| sample.time < oldest)
        {
            self.samples.pop_front();
        }
        self.sizes.clear();
        self.sizes
            .extend(self.samples.iter().map(|sample| sample.size));
        let middle = self.sizes.len() / 2;
        self.size = *self.sizes.select_nth_unstable_by(middle, f32::total_cmp).1;
    }

    /// The path in even steps that end at `now`, as far back as it reaches, but not beyond `from`.
    pub fn even(&self, now: Duration, from: Duration, points: &mut Vec<Point>) {
        points.clear();
        let Some(first) = self.samples.front() else {
            return;
        };
        let from = from.max(first.time).max(now.saturating_sub(REACH));
        let steps = now.saturating_sub(from).as_nanos() / STEP.as_nanos();
        let mut at = 0;
        for step in (0..=steps as u32).rev() {
            let time = now.saturating_sub(STEP * step);
            while self
                .samples
                .get(at + 1)
                .is_some_and(|next| next.time <= time)
            {
                at += 1;
            }
            points.extend(self.between(at, time));
        }
    }

    /// The place now and an instant ago.
    pub fn apart(&self, instant: Duration) -> Option<(Point, Point)> {
        let newest = self.samples.len().checked_sub(1)?;
        let now = self.samples.get(newest)?.time;
        let then = now.checked_sub(instant)?;
        let at = self
            .samples
            .iter()
            .rposition(|sample| sample.time <= then)?;
        Some((self.between(newest, now)?, self.between(at, then)?))
    }

    /// The place at a moment between a sample and the next one.
    fn between(&self, at: usize, time: Duration) -> Option<Point> {
        let a = self.samples.get(at)?;
        let b = self.samples.get(at + 1).unwrap_or(a);
        let span = b.time.saturating_sub(a.time).as_secs_f32();
        let share = match span > 0.0 {
            true => (time.saturating_sub(a.time).as_secs_f32() / span).clamp(0.0, 1.0),
            false => 0.0,
        };
        let mix = |a: f32, b: f32| a + share * (b - a);
        let mut shapes = a.shapes;
        for (shape, later) in shapes.iter_mut().zip(b.shapes) {
            shape.own = mix(shape.own, later.own);
            shape.moved = mix(shape.moved, later.moved);
        }
        Some(Point {
            x: mix(a.x, b.x) / self.size,
            y: mix(a.y, b.y) / self.size,
            shapes,
        })
    }
}

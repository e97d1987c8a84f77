//! Letters that are drawn in the air: J and Z.
//!
//! In a single picture a J is an I and a Z a D, nearly: the movement is the letter. So what the
//! letter network makes of J is added to its I, what it makes of Z to its D, and the hand's path
//! over the last second and a half decides: an I that goes down and hooks sideways is a J, a raised
//! index finger that goes across, back down and across again is a Z. The hook and the first stroke
//! may go to either side, so that left and right hands are read alike.
//!
//! A letter is signed twice by sliding the hand aside or bouncing it; that is seen here, too.
//!
//! No other part of the recognizer knows letters by name; a model without these classes is read as
//! it is. Time comes with the frames: nothing here looks at a clock.

mod letters;
mod path;
mod strokes;

use std::sync::Arc;
use std::time::Duration;

use crate::base::frame::Rect;
use letters::DRAWN;
pub use letters::{begins, is_drawn};
use path::{Path, Point, Shape, Shapes};
use strokes::Stroke;

/// What the hand's movement says about the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Movement {
    /// Nothing: the letter is read from the hand's shape.
    #[default]
    None,
    /// The hand moves, and may be drawing a letter.
    UnderWay,
    /// With this frame the letter was drawn.
    Drawn {
        /// Media time at which the movement began.
        since: Duration,
    },
    /// The hand slid aside or bounced, and rests again: the letter is meant twice.
    Repeated,
}

/// How drawn letters are told from other movements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// The handshape must have this probability, on average over the movement.
    pub shape: f32,
    /// A hand that moves further than this in [`Drawing::instant`] may be drawing; in hands, as the
    /// larger side of its box.
    pub moving: f32,
    /// What is an instant for a hand.
    pub instant: Duration,
    /// A drawn letter stays until its handshape was not seen for so long.
    pub release: Duration,
    /// A drawn letter stays while the hand rests no further than this from where it came to rest
    /// first, in hands.
    pub rest: f32,
    /// Frames further apart than this do not belong to one movement.
    pub gap: Duration,
}

impl Drawing {
    /// For a camera.
    pub const DEFAULT: Drawing = Drawing {
        shape: 0.4,
        moving: 0.12,
        instant: Duration::from_millis(160),
        release: Duration::from_millis(250),
        rest: 0.35,
        gap: Duration::from_millis(350),
    };
}

/// One frame of a hand.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The frame's media time.
    pub time: Duration,
    /// The hand's box where it was found in this very frame.
    pub hand: Option<Rect>,
    /// The frame's width divided by its height.
    pub aspect: f32,
    /// What the letter network makes of the hand, as it is: a probability for each label.
    pub probabilities: &'a [f32],
}

/// The drawn letters of a model, and what the hand has done lately.
#[derive(Debug, Clone, Default)]
pub struct Motion {
    letters: Vec<Letter>,
    path: Path,
    /// The last frame's media time.
    time: Option<Duration>,
    /// Strokes do not reach back beyond this media time: there ended the last one.
    fresh: Duration,
    drawn: Option<Drawn>,
    even: Vec<Point>,
}

/// A drawn letter among a model's labels.
#[derive(Debug, Clone)]
struct Letter {
    drawn: usize,
    still: usize,
    others: Vec<usize>,
    stroke: Stroke,
}

/// A letter that was drawn and is still shown.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    /// Its place among [`Motion::letters`].
    at: usize,
    /// Where the hand came to rest, in hands.
    rest: Option<[f32; 2]>,
    /// For how long its handshape was not seen.
    gone: Duration,
}

impl Letter {
    /// How likely the handshape is the letter's own, and how likely it is that or another one that
    /// it is read as while it moves.
    fn likelihood(&self, probabilities: &[f32]) -> Shape {
        let sum = |places: &[usize]| -> f32 {
            let places = places.iter();
            places.filter_map(|&at| probabilities.get(at)).sum()
        };
        let own = sum(&[self.drawn, self.still]);
        let moved = own + sum(&self.others);
        Shape { own, moved }
    }
}

impl Motion {
    /// For a model with these labels.
    pub fn new(labels: &[Arc<str>]) -> Self {
        let place = |name: &str| labels.iter().position(|label| &**label == name);
        let letters = DRAWN.iter().filter_map(|(drawn, still, others, stroke)| {
            Some(Letter {
                drawn: place(drawn)?,
                still: place(still)?,
                others: others.iter().filter_map(|name| place(name)).collect(),
                stroke: *stroke,
            })
        });
        Motion {
            letters: letters.collect(),
            ..Motion::default()
        }
    }

    /// Counts handshapes of drawn letters as those of the still letters they look like.
    pub fn pool(&self, probabilities: &mut [f32]) {
        for letter in &self.letters {
            let drawn = probabilities.get_mut(letter.drawn).map(std::mem::take);
            if let Some(still) = probabilities.get_mut(letter.still) {
                *still += drawn.unwrap_or_default();
            }
        }
    }

    /// Takes a frame in, later than the last one.
    pub fn update(&mut self, seen: &Seen, drawing: &Drawing) -> Movement {
        let elapsed = self.time.and_then(|last| seen.time.checked_sub(last));
        let elapsed = elapsed.unwrap_or(Duration::MAX);
        self.time = Some(seen.time);
        if elapsed > drawing.gap {
            self.drawn = None;
            self.fresh = Duration::ZERO;
        }
        if self
            .path
            .elapsed(seen.time)
            .is_none_or(|unseen| unseen > drawing.gap)
        {
            self.path.clear();
        }
        let mut shapes = Shapes::default();
        for (shape, letter) in shapes.iter_mut().zip(&self.letters) {
            *shape = letter.likelihood(seen.probabilities);
        }
        if let Some(hand) = seen.hand {
            self.path.push(seen.time, hand, seen.aspect, shapes);
        }
        self.forget(elapsed, seen.hand.map(|_| shapes), drawing);
        if seen.hand.is_none() {
            return Movement::None;
        }
        let mut even = std::mem::take(&mut self.even);
        self.path.even(seen.time, self.fresh, &mut even);
        let movement = self.recognize(&even, seen.time, drawing);
        self.even = even;
        movement
    }

    /// Gives the probabilities of its handshape to the letter that was drawn and is still shown.
    pub fn settle(&self, probabilities: &mut [f32]) -> Option<usize> {
        let letter = self.letters.get(self.drawn?.at)?;
        let still = probabilities.get_mut(letter.still).map(std::mem::take);
        *probabilities.get_mut(letter.drawn)? += still.unwrap_or_default();
        Some(letter.drawn)
    }

    fn recognize(&mut self, even: &[Point], time: Duration, drawing: &Drawing) -> Movement {
        for (at, letter) in self.letters.iter().enumerate() {
            let start = letter.stroke.find(even, at, drawing.shape);
            if let Some(start) = start {
                let since = time.saturating_sub(path::STEP * (even.len() - 1 - start) as u32);
                self.fresh = time;
                self.drawn = Some(Drawn {
                    at,
                    rest: None,
                    gone: Duration::ZERO,
                });
                return Movement::Drawn { since };
            }
        }
        let Some((now, before)) = self.path.apart(drawing.instant) else {
            return Movement::None;
        };
        let likely =
            (now.shapes.iter().zip(&self.letters)).any(|(shape, _)| shape.own >= drawing.shape);
        // What looks like a slide may be the first part of a drawn letter.
        if !likely && strokes::is_repeat(even) {
            self.fresh = time;
            return Movement::Repeated;
        }
        let moved = (now.x - before.x).hypot(now.y - before.y);
        let still = moved < drawing.moving;
        if still {
            self.come_to_rest([now.x, now.y], drawing);
        }
        match likely && !still {
            true => Movement::UnderWay,
            false => Movement::None,
        }
    }

    /// The hand rests here: elsewhere than after the drawn letter, it shows another one.
    fn come_to_rest(&mut self, [x, y]: [f32; 2], drawing: &Drawing) {
        let Some(drawn) = &mut self.drawn else {
            return;
        };
        match drawn.rest {
            None => drawn.rest = Some([x, y]),
            Some([from_x, from_y]) if (x - from_x).hypot(y - from_y) > drawing.rest => {
                self.drawn = None;
            }
            Some(_) => {}
        }
    }

    /// Lets the drawn letter go once its handshape is not seen any more.
    fn forget(&mut self, elapsed: Duration, shapes: Option<Shapes>, drawing: &Drawing) {
        let Some(drawn) = &mut self.drawn else {
            return;
        };
        let shape = shapes.and_then(|shapes| shapes.get(drawn.at).copied());
        match shape.is_some_and(|shape| shape.own >= drawing.shape) {
            true => drawn.gone = Duration::ZERO,
            false => drawn.gone = drawn.gone.saturating_add(elapsed),
        }
        self.drawn.take_if(|drawn| drawn.gone > drawing.release);
    }
}

#[cfg(test)]
mod tests;

//! Finds a hand in a whole frame.
//!
//! The network sees a square of the frame, its proportions kept and grey around it, and gives two maps of an eighth of
//! that square's side: `heat`, how likely a hand's centre lies in each cell (a logit), and `box`, where the hand is, as
//! seen from the cell, in four numbers from 0 to [`UNITS`]: how far to the right and down of the cell's middle the
//! hand's middle lies, in cells and [`OFFSET`] more, and the hand's width and height, each a doubling a unit up to
//! [`LARGEST`] squares.
//!
//! The first look is at the whole frame ([`whole`]). Where the hand is small in it, a second one at its surroundings
//! says what it is and how large. Of a hand that is followed, the surroundings alone may do.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::crop::{Cropper, can_crop};
use crate::base::frame::{Rect, Square};
use crate::model::{MapModel, NOTHING};

/// Pixels of the network's input in a cell, along each side.
pub const CELL: usize = 8;

/// The largest number in the map of boxes: what ReLU6 ends at.
pub const UNITS: f32 = 6.0;

/// The number that stands for a hand's middle in the cell's own.
pub const OFFSET: f32 = 3.0;

/// The largest width and height of a hand, in sides of the square.
pub const LARGEST: f32 = 1.5;

/// The side of a closer look, in sides of the hand.
const CLOSER: f32 = 4.0;

/// A closer look must show at most this share of the first one's side to show more than that did.
const MUCH_CLOSER: f32 = 0.8;

/// What the first look finds less likely than this is not looked at again.
const WORTH_A_LOOK: f32 = 0.1;

/// What is added to the logits of the cells near the hand that is followed, so that of two hands
/// nearly as likely the same one stays.
const LOYALTY: f32 = 1.0;

/// The finder that is built into the program.
pub(super) const EMBEDDED: &[u8] = include_bytes!("../../models/hand.onnx");

/// A hand's place and how sure the network is of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The box, which hugs the hand.
    pub hand: Rect,
    /// How likely it is a hand, 0 to 1.
    pub score: f32,
}

/// From this score on something is taken for a hand whatever the letter network makes of it.
const SURE: f32 = 0.5;

impl Found {
    /// A hand that somebody else found.
    pub fn certain(hand: Rect) -> Self {
        Found { hand, score: 1.0 }
    }

    /// Whether it is a hand after all, now that the letter network has read `label` there. Two
    /// networks that doubt are right more often than one: what the finder is not sure of and the
    /// letter network takes for no letter is a chair or an ear, mostly.
    pub fn is_hand(&self, label: &str) -> bool {
        self.score >= SURE || label != NOTHING
    }
}

/// The part of a frame of `width` x `height` pixels that the network sees: all of it, in a square
/// around its centre.
pub fn whole(width: usize, height: usize) -> Square {
    Rect::FULL.square(1.0, width, height)
}

/// The surroundings of a hand in such a frame; `None` where they show little more of the hand than
/// the whole frame does.
fn closer(hand: Rect, width: usize, height: usize) -> Option<Square> {
    let closer = hand.square(CLOSER, width, height);
    let shows_more = closer.side < MUCH_CLOSER * whole(width, height).side;
    (shows_more && can_crop(closer.into(), width, height)).then_some(closer)
}

/// Runs the network on frames; keeps its buffers.
#[derive(Debug, Clone)]
pub struct Finder {
    model: MapModel,
    cropper: Cropper,
    input: Vec<u8>,
    heat: Vec<f32>,
    place: Vec<f32>,
}

impl Finder {
    /// The finder that is built into the program.
    ///
    /// # Errors
    /// Only where the program was built with a file that [`Finder::load`] would refuse.
    pub fn embedded() -> Result<Self> {
        Self::new(MapModel::from_bytes("the built-in finder", EMBEDDED)?)
    }

    /// Loads a finder from a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no finder.
    pub fn load(path: &Path) -> Result<Self> {
        Self::new(MapModel::load(path)?)
    }

    /// A finder with this network.
    ///
    /// # Errors
    /// When its outputs are not those of a finder.
    pub fn new(model: MapModel) -> Result<Self> {
        let size = model.preprocessing().input_size;
        let cells = size / CELL;
        let outputs = model.outputs();
        ensure!(
            size.is_multiple_of(CELL)
                && outputs == [vec![1, 1, cells, cells], vec![1, 4, cells, cells]],
            "{} is no finder: of {size} x {size} pixels it makes {outputs:?}, where a finder makes \
             heat [1, 1, {cells}, {cells}] and box [1, 4, {cells}, {cells}]",
            model.name()
        );
        Ok(Finder {
            input: vec![0; size * size * 3],
            heat: vec![0.0; cells * cells],
            place: vec![0.0; 4 * cells * cells],
            cropper: Cropper::new(),
            model,
        })
    }

    /// Shares the network's work among `count` threads, as [`crate::model::Model::set_threads`].
    pub fn set_threads(&mut self, count: usize) {
        self.model.set_threads(count);
    }

    /// The score from which on something is taken for a hand, as the model's file says.
    pub fn threshold(&self) -> f32 {
        self.model.threshold()
    }

    /// The hand in a single picture of `height * width` RGB pixels, where one is likely enough.
    ///
    /// # Errors
    /// As [`Finder::find`].
    pub fn hand(&mut self, pixels: &[u8], width: usize, height: usize) -> Result<Option<Found>> {
        let found = self.find(pixels, width, height, None)?;
        Ok((found.score >= self.threshold()).then_some(found))
    }

    /// The likeliest hand in a frame of `height * width` RGB pixels, however unlikely; of two, the
    /// one where `followed` was before this frame. A small one is looked at twice.
    ///
    /// # Errors
    /// When the buffer does not fit its size, or the network fails.
    pub fn find(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        followed: Option<Rect>,
    ) -> Result<Found> {
        let first = self.look(pixels, width, height, whole(width, height), followed)?;
        let closer = closer(first.hand, width, height).filter(|_| first.score >= WORTH_A_LOOK);
        let Some(closer) = closer else {
            return Ok(first);
        };
        let second = self.look(pixels, width, height, closer, Some(first.hand))?;
        Ok(Found {
            hand: second.hand,
            score: first.score.min(second.score),
        })
    }

    /// The likeliest hand near where a small one was before this frame, by one look in place of two.
    /// `None` where the hand is so large that there is little around it.
    ///
    /// # Errors
    /// As [`Finder::find`].
    pub fn find_near(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        followed: Rect,
    ) -> Result<Option<Found>> {
        closer(followed, width, height)
            .map(|closer| self.look(pixels, width, height, closer, Some(followed)))
            .transpose()
    }

    /// The likeliest hand in a square of a frame.
    fn look(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        square: Square,
        followed: Option<Rect>,
    ) -> Result<Found> {
        let size = self.model.preprocessing().input_size;
        self.cropper
            .crop(pixels, width, height, square, size, &mut self.input)
            .context("cannot look for a hand")?;
        let (heat, place) = (&mut self.heat, &mut self.place);
        self.model.run(&self.input, |at, values| match at {
            0 => heat.copy_from_slice(values),
            _ => place.copy_from_slice(values),
        })?;
        let (w, h) = (width as f32, height as f32);
        let followed = followed.map(|hand| Rect {
            x0: (hand.x0 * w - square.left) / square.side,
            y0: (hand.y0 * h - square.top) / square.side,
            x1: (hand.x1 * w - square.left) / square.side,
            y1: (hand.y1 * h - square.top) / square.side,
        });
        let found = decode(&self.heat, &self.place, size / CELL, followed);
        let along = |start: f32, at: f32, length: f32| (start + at * square.side) / length;
        Ok(Found {
            hand: Rect {
                x0: along(square.left, found.hand.x0, w),
                y0: along(square.top, found.hand.y0, h),
                x1: along(square.left, found.hand.x1, w),
                y1: along(square.top, found.hand.y1, h),
            },
            score: found.score,
        })
    }
}

/// The likeliest hand of a network's two maps of `cells * cells` cells, `place` one map a number after the other; its
/// box is in fractions of the network's input, and `followed` too.
pub fn decode(heat: &[f32], place: &[f32], cells: usize, followed: Option<Rect>) -> Found {
    let middle = |at: usize| {
        let along = |index: usize| (index as f32 + 0.5) / cells as f32;
        [along(at % cells), along(at / cells)]
    };
    let favoured = |at: usize| {
        let [x, y] = middle(at);
        followed.is_some_and(|hand| {
            (hand.x0..=hand.x1).contains(&x) && (hand.y0..=hand.y1).contains(&y)
        })
    };
    let mut best = (0, f32::NEG_INFINITY);
    for (at, &logit) in heat.iter().enumerate() {
        let logit = if favoured(at) { logit + LOYALTY } else { logit };
        if logit > best.1 {
            best = (at, logit);
        }
    }
    let (at, _) = best;
    let logit = heat.get(at).copied().unwrap_or(f32::NEG_INFINITY);
    let number = |which: usize| {
        let value = place.get(which * cells * cells + at);
        value.map_or(0.0, |value| value.clamp(0.0, UNITS))
    };
    let [x, y] = middle(at);
    let (x, y) = (
        x + (number(0) - OFFSET) / cells as f32,
        y + (number(1) - OFFSET) / cells as f32,
    );
    let half = |which: usize| LARGEST * (number(which) - UNITS).exp2() / 2.0;
    let (w, h) = (half(2), half(3));
    Found {
        hand: Rect {
            x0: x - w,
            y0: y - h,
            x1: x + w,
            y1: y + h,
        },
        score: 1.0 / (1.0 + (-logit).exp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Maps of 4 x 4 cells with hands of a side of a quarter in these cells.
    fn maps(hands: &[(usize, f32)]) -> ([f32; 16], [f32; 64]) {
        let mut heat = [-9.0; 16];
        for &(at, logit) in hands {
            heat[at] = logit;
        }
        let mut place = [OFFSET; 64];
        place[32..].fill(UNITS + (0.25 / LARGEST).log2());
        (heat, place)
    }

    #[test]
    fn the_likeliest_cell_gives_the_box() {
        let (heat, reach) = maps(&[(6, 2.0), (9, 1.0)]);
        let found = decode(&heat, &reach, 4, None);
        let Rect { x0, y0, x1, y1 } = found.hand;
        for (seen, wanted) in [(x0, 0.5), (y0, 0.25), (x1, 0.75), (y1, 0.5)] {
            assert!((seen - wanted).abs() < 1e-3, "{:?}", found.hand);
        }
        assert!((found.score - 0.881).abs() < 1e-3);
    }

    #[test]
    fn a_doubtful_find_is_a_hand_only_if_it_is_read_as_a_letter() {
        let found = |score| Found {
            hand: Rect::FULL,
            score,
        };
        assert!(found(0.9).is_hand(NOTHING) && found(0.9).is_hand("A"));
        assert!(!found(0.35).is_hand(NOTHING) && found(0.35).is_hand("A"));
    }

    #[test]
    fn of_two_hands_nearly_as_likely_the_followed_one_stays() {
        let (heat, reach) = maps(&[(0, 2.0), (15, 1.5)]);
        let first = decode(&heat, &reach, 4, None);
        let other = decode(&maps(&[(15, 1.5)]).0, &reach, 4, None);
        assert_eq!(decode(&heat, &reach, 4, Some(other.hand)).hand, other.hand);
        assert_eq!(decode(&heat, &reach, 4, Some(first.hand)).hand, first.hand);
        let (heat, _) = maps(&[(0, 4.0), (15, 1.5)]);
        assert_eq!(decode(&heat, &reach, 4, Some(other.hand)).hand, first.hand);
    }
}

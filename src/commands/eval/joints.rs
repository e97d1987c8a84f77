//! How far the joints that are read lie from those that are known.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::base::frame::Rect;
use crate::base::joints::{JOINTS, Joints, TIPS};

/// A joint this near to its place, as a share of the hand's larger side, counts as found.
const NEAR: f32 = 0.1;

/// Where a hand and its joints are said to be, in fractions of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reference {
    pub hand: Rect,
    pub joints: Joints,
}

/// How far each joint is off, as shares of the hand's larger side.
pub(super) type Distances = [f32; JOINTS];

impl Reference {
    /// How far each of `read` is off in a picture of `width` x `height` pixels; infinitely far
    /// where no hand was read.
    pub(super) fn distances(
        &self,
        read: Option<&Joints>,
        width: usize,
        height: usize,
    ) -> Distances {
        let (w, h) = (width as f32, height as f32);
        let side = (self.hand.width() * w).max(self.hand.height() * h);
        std::array::from_fn(|at| {
            read.map_or(f32::INFINITY, |read| {
                let ([x, y], [known_x, known_y]) = (read[at], self.joints[at]);
                ((x - known_x) * w).hypot((y - known_y) * h) / side
            })
        })
    }
}

/// Shares of joints that lie within a tenth of the hand's larger side of where they are known to
/// be.
#[derive(Debug, Serialize)]
pub(super) struct JointFigures {
    /// Hands whose joints are known.
    hands: usize,
    /// Of all joints.
    within_tenth: f64,
    /// Of each finger's tips.
    tips: BTreeMap<&'static str, f64>,
}

impl JointFigures {
    /// Counts hands, one after the other; `None` of none.
    pub(super) fn of(hands: &[Distances]) -> Option<Self> {
        let near = |distances: &mut dyn Iterator<Item = f32>| {
            let (mut near, mut all) = (0, 0);
            for distance in distances {
                near += usize::from(distance <= NEAR);
                all += 1;
            }
            near as f64 / f64::from(all.max(1))
        };
        let tip = |&(name, at): &(&'static str, usize)| {
            (name, near(&mut hands.iter().map(|hand| hand[at])))
        };
        (!hands.is_empty()).then(|| JointFigures {
            hands: hands.len(),
            within_tenth: near(&mut hands.iter().flatten().copied()),
            tips: TIPS.iter().map(tip).collect(),
        })
    }
}

impl fmt::Display for JointFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let tips = TIPS.map(|(name, _)| format!("{name} {}", percent(self.tips[name])));
        write!(
            f,
            "joints within a tenth of the hand's larger side: {} of {} hands' (tips: {})",
            percent(self.within_tenth),
            self.hands,
            tips.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_measured_in_pixels_against_the_hands_larger_side() {
        let reference = Reference {
            hand: Rect {
                x0: 0.25,
                y0: 0.2,
                x1: 0.5,
                y1: 0.8,
            },
            joints: [[0.4, 0.4]; JOINTS],
        };
        let mut read = [[0.4, 0.4]; JOINTS];
        read[4][0] += 0.05;
        read[8][1] += 0.09;
        // The larger side is 60 of 200 x 100 pixels.
        let hand = reference.distances(Some(&read), 200, 100);
        assert!((hand[4] - 10.0 / 60.0).abs() < 1e-5);
        assert!((hand[8] - 9.0 / 60.0).abs() < 1e-5);
        assert_eq!(hand[0], 0.0);
        let missed = reference.distances(None, 200, 100);
        let figures = JointFigures::of(&[hand, missed]).unwrap();
        assert_eq!(figures.hands, 2);
        assert!((figures.within_tenth - 19.0 / 42.0).abs() < 1e-9);
        assert_eq!((figures.tips["thumb"], figures.tips["ring"]), (0.0, 0.5));
    }
}

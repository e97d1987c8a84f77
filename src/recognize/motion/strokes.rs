//! The movements that letters are drawn with, found at the end of a path.
//!
//! A path is cut into straight parts in every possible way: it is short enough for that. Lengths
//! are in hands.

use super::path::{Point, STEP, Shape};

/// A letter's movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Down, then sideways, and up again at will: J.
    Hook,
    /// Across, back down, and across again: Z.
    Zigzag,
}

/// Steps of the shortest and of the longest movement.
const LEAST: usize = steps(280);
const MOST: usize = steps(1800);

/// Steps of the longest part of a movement.
const LONGEST_PART: usize = steps(1000);

/// Steps at the beginning and the end of a movement in which the handshape must be seen.
const ENDS: usize = steps(120);

/// At the end of a movement its handshape may be less likely: this share is enough.
const DOUBT: f32 = 0.5;

/// A hook goes down at least so far, and at most so far.
const DOWN: (f32, f32) = (0.4, 2.5);

/// A hook goes sideways at least so far, and at most so far.
const SIDEWAYS: (f32, f32) = (0.2, 2.0);

/// Each level part of a zigzag is at least so long.
const ACROSS: f32 = 0.25;

/// The slanting part of a zigzag goes back and down at least so far.
const BACK: f32 = 0.2;
const SLANT_DOWN: f32 = 0.2;

/// How far a part may leave its straight line: as a share of its length, and in any case.
const BEND: f32 = 0.2;
const UNSTEADY: f32 = 0.06;

/// Steps in which a hand that goes less than [`RESTS`] of its usual way rests.
const REST: usize = steps(240);
const RESTS: f32 = 0.4;

/// Before a slide or a bounce and after it, the hand spreads over less than this for so many steps.
const STILL: usize = steps(200);
const UNSTILL: f32 = 0.14;

/// A slide or a bounce is so many times faster than the hand before it and after it.
const CONTRAST: f32 = 3.0;

/// Steps that a slide or a bounce takes.
const QUICK: (usize, usize) = (steps(80), steps(520));

/// A hand that slides goes at least so far.
const SLIDE: f32 = 0.5;

/// A hand that bounces goes so far, and comes back.
const BOUNCE: (f32, f32) = (0.3, 1.5);

/// A hand that goes less than this in two steps rests.
const MOVES: f32 = 0.05;

const fn steps(ms: u64) -> usize {
    (ms / STEP.as_millis() as u64) as usize
}

impl Stroke {
    /// Where the movement of the drawn letter `letter` began that ends with the path's last point,
    /// if there was one. Its handshape must have the probability `shape`.
    pub fn find(self, path: &[Point], letter: usize, shape: f32) -> Option<usize> {
        let end = path.len().checked_sub(1)?;
        let first = end.saturating_sub(MOST);
        let last = end.checked_sub(LEAST)?;
        let mean = |from: usize, to: usize, value: fn(&Shape) -> f32| {
            let part = path.get(from..=to).unwrap_or_default();
            let values = part.iter().filter_map(|point| point.shapes.get(letter));
            values.map(value).sum::<f32>() / part.len().max(1) as f32
        };
        let has_shape = |start: usize| {
            // A hand that turns and blurs is doubtful at the end, more than others.
            mean(start, start + ENDS, |shape| shape.own) >= shape
                && mean(start, end, |shape| shape.moved) >= shape
                && mean(end - ENDS, end, |shape| shape.moved) >= DOUBT * shape
        };
        let start = (first..=last).rev().find(|&start| {
            let fits = match self {
                Stroke::Hook => is_hook(path.get(start..).unwrap_or_default()),
                Stroke::Zigzag => is_zigzag(path.get(start..).unwrap_or_default()),
            };
            fits && has_shape(start) && path.get(start..).is_some_and(is_fluent)
        })?;
        // The latest beginning that does is found; the hand moved before that.
        let moved = |at: usize| {
            let (x, y) = way(path.get(at - 2)?, path.get(at)?);
            (x.hypot(y) >= MOVES).then_some(())
        };
        let mut start = start;
        while start > first + 1 && moved(start).is_some() {
            start -= 1;
        }
        Some(start)
    }
}

/// Whether the hand came to rest just now after it slid to a side or bounced, quickly and from rest:
/// so signers sign a letter twice.
pub fn is_repeat(path: &[Point]) -> bool {
    let Some(landed) = path.len().checked_sub(1 + STILL) else {
        return false;
    };
    let spread = |from: usize| path.get(from..=from + STILL).map_or(f32::MAX, range);
    let after = spread(landed);
    let times = landed.saturating_sub(QUICK.1)..=landed.saturating_sub(QUICK.0);
    after <= UNSTILL
        && times.into_iter().any(|start| {
            let Some(before) = start.checked_sub(STILL).map(spread) else {
                return false;
            };
            let Some(moved @ [from, .., to]) = path.get(start..=landed) else {
                return false;
            };
            let (right, down) = way(from, to);
            let far = range(moved);
            let slid =
                right.abs() >= SLIDE && down.abs() <= 0.5 * right.abs() && is_straight(moved);
            let bounced =
                right.hypot(down) <= 0.5 * BOUNCE.0 && (BOUNCE.0..=BOUNCE.1).contains(&far);
            let pace = |spread: f32, steps: usize| spread / steps as f32;
            before <= UNSTILL
                && (slid || bounced)
                && pace(far, moved.len() - 1) >= CONTRAST * pace(before.max(after), STILL)
        })
}

/// How far a path spreads.
fn range(path: &[Point]) -> f32 {
    let along = |value: fn(&Point) -> f32| {
        let (low, high) = (path.iter().map(value))
            .fold((f32::MAX, f32::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        high - low
    };
    along(|point| point.x).hypot(along(|point| point.y))
}

/// From one point to another: right and down.
fn way(from: &Point, to: &Point) -> (f32, f32) {
    (to.x - from.x, to.y - from.y)
}

/// Whether the hand went on and on: between letters it rests, in the middle of one it does not.
fn is_fluent(path: &[Point]) -> bool {
    let length: f32 = path
        .iter()
        .zip(path.iter().skip(2))
        .map(|(from, to)| {
            let (x, y) = way(from, to);
            x.hypot(y) / 2.0
        })
        .sum();
    let usual = length / path.len() as f32 * REST as f32;
    path.windows(REST + 1)
        .all(|part| range(part) >= (RESTS * usual).max(MOVES))
}

/// Whether a part of a path is straight.
fn is_straight(part: &[Point]) -> bool {
    let (Some(from), Some(to)) = (part.first(), part.last()) else {
        return false;
    };
    let (dx, dy) = way(from, to);
    let length = dx.hypot(dy).max(f32::MIN_POSITIVE);
    part.iter().all(|point| {
        let (x, y) = way(from, point);
        ((x * dy - y * dx) / length).abs() <= BEND * length + UNSTEADY
    })
}

/// Whether a whole path goes down and then hooks to a side.
fn is_hook(path: &[Point]) -> bool {
    let [start, .., end] = path else {
        return false;
    };
    (1..path.len() - 1).any(|corner| {
        let Some((down, hook)) = path.get(..=corner).zip(path.get(corner..)) else {
            return false;
        };
        let (Some(turn), Some(before)) = (down.last(), hook.iter().rev().nth(2)) else {
            return false;
        };
        let (aside, deep) = way(start, turn);
        let (sideways, lower) = way(turn, end);
        // It does not go on down, or goes aside much faster.
        let (aside_now, down_now) = way(before, end);
        let turned = down_now <= (0.9 * aside_now.abs()).max(0.05);
        (DOWN.0..=DOWN.1).contains(&deep)
            && aside.abs() <= 0.7 * deep
            && (SIDEWAYS.0..=SIDEWAYS.1).contains(&sideways.abs())
            && lower <= 0.8 * sideways.abs()
            && lower >= -0.95 * deep
            && turned
            && down.len() <= LONGEST_PART
            && hook.len() <= LONGEST_PART
            && is_straight(down)
    })
}

/// Whether a whole path goes across, back down, and across again.
fn is_zigzag(path: &[Point]) -> bool {
    let [start, .., end] = path else {
        return false;
    };
    (1..path.len() - 2).any(|first| {
        let Some(turn) = path.get(first) else {
            return false;
        };
        let (across, tilt) = way(start, turn);
        if across.abs() < ACROSS || tilt.abs() > 0.6 * across.abs() || first > LONGEST_PART {
            return false;
        }
        (first + 1..path.len() - 1).any(|second| {
            let Some(corner) = path.get(second) else {
                return false;
            };
            let (back, down) = way(turn, corner);
            let (again, again_tilt) = way(corner, end);
            back * across.signum() <= -BACK
                && down >= SLANT_DOWN
                && again * across.signum() >= ACROSS
                && again_tilt.abs() <= 0.6 * again.abs()
                && second - first <= LONGEST_PART
                && path.len() - second <= LONGEST_PART
                && path.get(..=first).is_some_and(is_straight)
                && path.get(first..=second).is_some_and(is_straight)
                && path.get(second..).is_some_and(is_straight)
        })
    })
}

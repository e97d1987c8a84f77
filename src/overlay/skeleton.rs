//! A thin skeleton over the hand, steadied over readings.

use std::f32::consts::TAU;
use std::time::Duration;

use super::canvas::{Ink, Placement};
use super::inks::{ACCENT, HALO, WHITE};
use super::painter::Painter;
use crate::base::joints::{BONES, JOINTS, Joints, TIPS, hull};
use crate::recognize::Reading;

/// Readings further apart than this are of another scene.
const GAP: Duration = Duration::from_millis(300);

/// Hands whose boxes overlap by less than this (intersection over union) are two.
const SAME: f32 = 0.1;

/// Below this frequency, in hertz, nothing of a joint at rest is smoothed away.
const SLOWEST: f32 = 1.5;

/// How much that frequency grows with a joint's speed, in hand sizes a second.
const QUICKENING: f32 = 3.0;

/// The frequency, in hertz, below which changes of speed are kept.
const SPEED: f32 = 1.5;

/// Joints over time by the "1 euro" filter (Casiez, Roussel and Vogel, 2012): what rests does not
/// tremble, what moves does not lag.
#[derive(Debug, Default)]
pub(super) struct Skeleton {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    seq: u64,
    time: Duration,
    joints: Joints,
    /// Hand sizes a second.
    speed: [f32; JOINTS],
}

impl Skeleton {
    /// The joints to draw with this reading.
    pub(super) fn update(&mut self, reading: Option<&Reading>) -> Option<&Joints> {
        let known = reading.and_then(|reading| Some((reading, reading.joints?)));
        let Some((reading, joints)) = known else {
            self.last = None;
            return None;
        };
        let fresh = Last {
            seq: reading.seq,
            time: reading.time,
            joints,
            speed: [0.0; JOINTS],
        };
        self.last = Some(match self.last.take() {
            Some(last) if last.seq == reading.seq => last,
            Some(last) if follows(&last, &fresh) => steadied(last, fresh),
            _ => fresh,
        });
        self.last.as_ref().map(|last| &last.joints)
    }
}

/// Whether two readings are of one hand in one scene.
fn follows(last: &Last, next: &Last) -> bool {
    let elapsed = next.time.checked_sub(last.time);
    elapsed.is_some_and(|elapsed| !elapsed.is_zero() && elapsed <= GAP)
        && hull(&last.joints).iou(&hull(&next.joints)) >= SAME
}

fn steadied(last: Last, mut next: Last) -> Last {
    let seconds = (next.time - last.time).as_secs_f32();
    let share = |hertz: f32| {
        let step = TAU * hertz * seconds;
        step / (step + 1.0)
    };
    let hand = hull(&next.joints);
    let size = hand.width().max(hand.height()).max(f32::EPSILON);
    for (at, joint) in next.joints.iter_mut().enumerate() {
        let before = last.joints[at];
        let way = (joint[0] - before[0]).hypot(joint[1] - before[1]);
        let speed = way / size / seconds;
        next.speed[at] = last.speed[at] + share(SPEED) * (speed - last.speed[at]);
        let share = share(SLOWEST + QUICKENING * next.speed[at]);
        for (axis, value) in joint.iter_mut().enumerate() {
            *value = before[axis] + share * (*value - before[axis]);
        }
    }
    next
}

impl Painter<'_, '_> {
    /// The bones and the joints, finger tips marked.
    pub(super) fn skeleton(&mut self, joints: &Joints, placement: Placement) {
        let area = placement.area;
        let at = |[x, y]: [f32; 2]| {
            let x = if self.scene.mirror { 1.0 - x } else { x };
            // Far outside is as good as outside; the bound keeps lines short.
            let along =
                |from: i32, size: i32, part: f32| from as f32 + size as f32 * part.clamp(-1.0, 2.0);
            [along(area.x, area.width, x), along(area.y, area.height, y)]
        };
        let points = joints.map(at);
        let thick = (1.6 * self.scale).max(1.2);
        let passes: [(f32, Ink); 2] = [(thick + 2.0, HALO), (thick, WHITE)];
        for (thick, ink) in passes {
            for (from, to) in BONES {
                self.canvas.line(points[from], points[to], thick, ink);
            }
        }
        for (at, point) in points.into_iter().enumerate() {
            let tip = TIPS.iter().any(|&(_, tip)| tip == at);
            let (wide, ink) = if tip { (2.6, ACCENT) } else { (1.8, WHITE) };
            let wide = wide * thick;
            self.canvas.line(point, point, wide + 2.0, HALO);
            self.canvas.line(point, point, wide, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::recognize::ReadingTimes;
    use crate::recognize::motion::Movement;

    const FRAME: Duration = Duration::from_millis(33);

    fn reading(frame: u32, x: f32) -> Reading {
        let joints = std::array::from_fn(|at| [x + 0.01 * at as f32, 0.3 + 0.02 * at as f32]);
        Reading {
            seq: frame.into(),
            captured: Instant::now(),
            time: FRAME * frame,
            letter: None,
            confidence: 0.9,
            top: Vec::new(),
            hand: Some(hull(&joints)),
            joints: Some(joints),
            movement: Movement::None,
            steps: None,
            times: ReadingTimes::default(),
        }
    }

    #[test]
    fn a_resting_hand_trembles_less_than_what_was_read_of_it() {
        let mut skeleton = Skeleton::default();
        let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
        for frame in 0..60 {
            let x = if frame % 2 == 0 { 0.3 } else { 0.304 };
            let wrist = skeleton.update(Some(&reading(frame, x))).unwrap()[0];
            if frame > 10 {
                (least, most) = (least.min(wrist[0]), most.max(wrist[0]));
            }
        }
        assert!(most - least < 0.002, "{least} to {most}");
    }

    #[test]
    fn a_moving_hand_is_drawn_where_it_is() {
        let mut skeleton = Skeleton::default();
        for frame in 0..30 {
            // A hand's height in a third of a second.
            let x = 0.04 * frame as f32;
            let wrist = skeleton.update(Some(&reading(frame, x))).unwrap()[0];
            let behind = x - wrist[0];
            assert!(frame < 8 || behind < 0.05, "frame {frame}: {behind}");
        }
    }

    #[test]
    fn another_hand_and_another_scene_are_not_smoothed_over() {
        let mut skeleton = Skeleton::default();
        for (frame, x) in [(0, 0.1), (1, 0.6), (90, 0.62)] {
            let wrist = skeleton.update(Some(&reading(frame, x))).unwrap()[0];
            assert_eq!(wrist[0], x);
        }
        let without = Reading {
            joints: None,
            ..reading(91, 0.62)
        };
        assert!(skeleton.update(Some(&without)).is_none());
    }
}

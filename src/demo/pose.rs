//! How a hand is held.

use super::chance::Chance;
use super::vector::{Turn, Vec3, vec3};

/// Fingers beside the thumb.
pub const FINGERS: usize = 4;

/// How a finger is held, in degrees from the hand at rest, which is all but flat.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Finger {
    /// How far it is bent at the knuckle, the middle and the last joint.
    pub bend: [f32; 3],
    /// How far it leans towards the thumb's side.
    pub spread: f32,
}

/// How the thumb is held, in degrees from the hand at rest, where it lies half away from the palm.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thumb {
    /// At its base: across the palm.
    pub across: f32,
    /// At its base: out of the palm's plane, to the front.
    pub out: f32,
    /// At its base: about its own length, so that its pad faces the fingers.
    pub roll: f32,
    /// How far it is bent at its knuckle.
    pub knuckle: f32,
    /// How far it is bent at its last joint.
    pub tip: f32,
}

/// How a right hand is held before a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// The thumb.
    pub thumb: Thumb,
    /// Index, middle, ring and little finger.
    pub fingers: [Finger; FINGERS],
    /// How the whole hand is turned from fingers up, palm to the camera.
    pub palm: Turn,
    /// The direction from the wrist to the elbow, of length 1.
    pub arm: Vec3,
}

/// The least and the most of an angle, in degrees.
type Range = (f32, f32);

/// How far a knuckle, a middle and a last joint bend.
const BEND: [Range; 3] = [(-25.0, 95.0), (-10.0, 115.0), (-15.0, 90.0)];
/// How far a finger leans to either side.
const SPREAD: Range = (-28.0, 28.0);
const ACROSS: Range = (-35.0, 65.0);
const OUT: Range = (-40.0, 60.0);
const ROLL: Range = (-50.0, 70.0);
const KNUCKLE: Range = (-15.0, 75.0);
const TIP: Range = (-35.0, 95.0);

/// How far the hand bends at the wrist, in any direction, in degrees.
const WRIST: f32 = 95.0;

impl Pose {
    /// Whether a human hand can be held so: every joint is within its limits.
    pub fn is_possible(&self) -> bool {
        let within = |angle: f32, (least, most): Range| angle >= least && angle <= most;
        let thumb = &self.thumb;
        let thumb = within(thumb.across, ACROSS)
            && within(thumb.out, OUT)
            && within(thumb.roll, ROLL)
            && within(thumb.knuckle, KNUCKLE)
            && within(thumb.tip, TIP);
        let fingers = self.fingers.iter().all(|finger| {
            let bends = finger.bend.into_iter().zip(BEND);
            bends.into_iter().all(|(bend, range)| within(bend, range))
                && within(finger.spread, SPREAD)
        });
        thumb && fingers && self.wrist() <= WRIST
    }

    /// The pose with every joint brought within its limits; where the wrist bends too far, the
    /// elbow gives way.
    pub fn limited(mut self) -> Pose {
        let bring = |angle: &mut f32, (least, most): Range| *angle = angle.clamp(least, most);
        bring(&mut self.thumb.across, ACROSS);
        bring(&mut self.thumb.out, OUT);
        bring(&mut self.thumb.roll, ROLL);
        bring(&mut self.thumb.knuckle, KNUCKLE);
        bring(&mut self.thumb.tip, TIP);
        for finger in &mut self.fingers {
            for (bend, range) in finger.bend.iter_mut().zip(BEND) {
                bring(bend, range);
            }
            bring(&mut finger.spread, SPREAD);
        }
        if self.wrist() > WRIST {
            let straight = self.straight();
            let bend = Turn::about(straight.cross(self.arm), WRIST - 0.1);
            self.arm = bend.apply(straight);
        }
        self
    }

    /// The direction from the wrist to the elbow of a hand that is not bent at the wrist.
    fn straight(&self) -> Vec3 {
        self.palm.apply(vec3(0.0, -1.0, 0.0))
    }

    /// The pose as somebody else, or the same person another time, would hold it: every joint some
    /// degrees off, `spread` being the standard deviation, within its limits.
    pub fn jittered(mut self, chance: &mut Chance, spread: f32) -> Pose {
        let thumb = &mut self.thumb;
        for angle in [
            &mut thumb.across,
            &mut thumb.out,
            &mut thumb.roll,
            &mut thumb.knuckle,
            &mut thumb.tip,
        ] {
            *angle += chance.around(spread);
        }
        // Neighbours bend together.
        let together = chance.around(spread);
        for finger in &mut self.fingers {
            for bend in &mut finger.bend {
                *bend += together + chance.around(spread * 0.6);
            }
            finger.spread += chance.around(spread * 0.4);
        }
        self.limited()
    }

    /// The pose with hand and forearm turned together.
    pub fn turned(mut self, turn: Turn) -> Pose {
        self.palm = turn.after(self.palm);
        self.arm = turn.apply(self.arm);
        self
    }

    /// How far the hand is bent at the wrist, in degrees.
    fn wrist(&self) -> f32 {
        self.straight()
            .dot(self.arm)
            .clamp(-1.0, 1.0)
            .acos()
            .to_degrees()
    }

    /// The pose on the way from here to `other`, at the share `t` of it.
    pub fn towards(&self, other: &Pose, t: f32) -> Pose {
        let mix = |from: f32, to: f32| from + (to - from) * t;
        let (a, b) = (&self.thumb, &other.thumb);
        Pose {
            thumb: Thumb {
                across: mix(a.across, b.across),
                out: mix(a.out, b.out),
                roll: mix(a.roll, b.roll),
                knuckle: mix(a.knuckle, b.knuckle),
                tip: mix(a.tip, b.tip),
            },
            fingers: std::array::from_fn(|at| {
                let (a, b) = (&self.fingers[at], &other.fingers[at]);
                Finger {
                    bend: std::array::from_fn(|joint| mix(a.bend[joint], b.bend[joint])),
                    spread: mix(a.spread, b.spread),
                }
            }),
            palm: self.palm.towards(other.palm, t),
            arm: self.arm.towards(other.arm, t).unit(),
        }
        .limited()
    }
}

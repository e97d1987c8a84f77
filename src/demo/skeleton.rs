//! The bones of the hand, and where a pose puts them.

use super::pose::{FINGERS, Pose};
use super::vector::{Motion, Turn, Vec3};

/// Joints of the hand, in WebXR's order: the wrist, four of the thumb, five of each finger.
pub const JOINTS: usize = 25;

/// Bones that carry skin: the joints, and the forearm.
pub const BONES: usize = JOINTS + 1;

/// The forearm's place among the bones.
pub const FOREARM: usize = JOINTS;

/// A fingertip lies so far beyond its last joint's mark, in metres: that mark is inside the tip.
const TIP: f32 = 0.007;

/// A joint of the hand at rest: fingers up, palm towards the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// Its place, in metres.
    pub place: Vec3,
    /// The axis about which it flexes, of length 1.
    pub flex: Vec3,
    /// The way the back of the hand or of the finger faces, of length 1.
    pub back: Vec3,
}

/// The hand at rest.
pub type Rest = [Joint; JOINTS];

/// Where a pose puts the bones.
#[derive(Debug, Clone)]
pub struct Posed {
    /// What carries the skin of each bone from its place at rest.
    pub motions: [Motion; BONES],
    /// The joints' places.
    pub places: [Vec3; JOINTS],
    /// The last joint of each finger, turned: the way fingertips point.
    tips: [Vec3; FINGERS + 1],
}

/// The wrist's, a thumb's and a finger's first joint.
pub const WRIST: usize = 0;
/// The thumb's first joint.
pub const THUMB: usize = 1;
/// A finger's first joint: index, middle, ring, little finger.
pub const fn finger(at: usize) -> usize {
    5 + 5 * at
}

/// Puts the bones of a hand where `pose` says. The wrist stays where it is at rest.
pub fn posed(rest: &Rest, pose: &Pose) -> Posed {
    let mut turns = [pose.palm; JOINTS];
    let thumb = &pose.thumb;
    let cmc = &rest[THUMB];
    let along = (rest[THUMB + 1].place - cmc.place).unit();
    let base = Turn::about(cmc.back, thumb.out)
        .after(Turn::about(cmc.flex, thumb.across))
        .after(Turn::about(along, thumb.roll));
    turns[THUMB] = pose.palm.after(base);
    for (joint, bend) in [(THUMB + 1, thumb.knuckle), (THUMB + 2, thumb.tip)] {
        turns[joint] = turns[joint - 1].after(Turn::about(rest[joint].flex, bend));
    }
    turns[THUMB + 3] = turns[THUMB + 2];
    for (at, finger_pose) in pose.fingers.iter().enumerate() {
        let first = finger(at);
        let knuckle = &rest[first + 1];
        let side = Turn::about(knuckle.back, finger_pose.spread);
        let bends = finger_pose.bend;
        let bend = side.after(Turn::about(knuckle.flex, bends[0]));
        turns[first + 1] = turns[first].after(bend);
        for (joint, bend) in [(first + 2, bends[1]), (first + 3, bends[2])] {
            turns[joint] = turns[joint - 1].after(Turn::about(rest[joint].flex, bend));
        }
        turns[first + 4] = turns[first + 3];
    }
    let mut places = [rest[WRIST].place; JOINTS];
    for joint in 1..JOINTS {
        let parent = parent(joint);
        let bone = rest[joint].place - rest[parent].place;
        places[joint] = places[parent] + turns[parent].apply(bone);
    }
    let mut motions = [Motion::NONE; BONES];
    for joint in 0..JOINTS {
        motions[joint] = Motion::new(turns[joint], rest[joint].place, places[joint]);
    }
    let wrist = rest[WRIST].place;
    let down = super::vector::vec3(0.0, -1.0, 0.0);
    // The forearm turns with the palm about its own length, half as far at the wrist.
    let arm = Turn::between(pose.palm.apply(down), pose.arm).after(pose.palm);
    motions[FOREARM] = Motion::new(arm, wrist, wrist);
    let tips = std::array::from_fn(|at| {
        let last = if at == 0 {
            THUMB + 3
        } else {
            finger(at - 1) + 4
        };
        (places[last] - places[last - 1]).unit() * TIP
    });
    Posed {
        motions,
        places,
        tips,
    }
}

impl Posed {
    /// The 21 points of a hand in MediaPipe's order: the wrist, then four of the thumb and of each
    /// finger, from its base to its tip.
    pub fn points(&self) -> [Vec3; 21] {
        std::array::from_fn(|point| {
            if point == 0 {
                return self.places[WRIST];
            }
            let (digit, at) = ((point - 1) / 4, (point - 1) % 4);
            let first = if digit == 0 {
                THUMB
            } else {
                finger(digit - 1) + 1
            };
            let place = self.places[first + at];
            if at == 3 {
                place + self.tips[digit]
            } else {
                place
            }
        })
    }
}

/// The joint that carries `joint`.
fn parent(joint: usize) -> usize {
    let first_of_digit = joint == THUMB || (joint >= 5 && joint.is_multiple_of(5));
    if first_of_digit { WRIST } else { joint - 1 }
}

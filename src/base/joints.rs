//! The joints of a hand, in MediaPipe's order.

use super::frame::Rect;

/// Joints of a hand.
pub const JOINTS: usize = 21;

/// Numbers that describe a hand's joints: x and y of each.
pub const JOINT_VALUES: usize = 2 * JOINTS;

/// A hand's joints, x and y of each, as fractions of a picture's width and height: the wrist, then
/// four joints each of thumb, index, middle, ring and little finger, base to tip.
pub type Joints = [[f32; 2]; JOINTS];

/// Where the tip of each finger stands among the joints.
pub const TIPS: [(&str, usize); 5] = [
    ("thumb", 4),
    ("index", 8),
    ("middle", 12),
    ("ring", 16),
    ("little", 20),
];

/// The joints that are drawn as connected: fingers, and the palm's outline.
pub const BONES: [(usize, usize); 21] = [
    (0, 1),
    (1, 2),
    (2, 3),
    (3, 4),
    (0, 5),
    (5, 6),
    (6, 7),
    (7, 8),
    (5, 9),
    (9, 10),
    (10, 11),
    (11, 12),
    (9, 13),
    (13, 14),
    (14, 15),
    (15, 16),
    (13, 17),
    (0, 17),
    (17, 18),
    (18, 19),
    (19, 20),
];

/// The box that hugs a hand's joints.
pub fn hull(joints: &Joints) -> Rect {
    let least = |axis: usize| joints.iter().map(|p| p[axis]).fold(f32::INFINITY, f32::min);
    let most = |axis: usize| (joints.iter().map(|p| p[axis])).fold(f32::NEG_INFINITY, f32::max);
    Rect {
        x0: least(0),
        y0: least(1),
        x1: most(0),
        y1: most(1),
    }
}

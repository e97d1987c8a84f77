//! How letters are held, and some gestures that are none.

use super::pose::{FINGERS, Finger, Pose, Thumb};
use super::vector::{Turn, Vec3, vec3};

/// The letters that a pose alone tells, and those two whose pose is moved.
pub const LETTERS: [&str; 26] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
    "T", "U", "V", "W", "X", "Y", "Z",
];

/// Gestures that are no letter.
pub const GESTURES: [&str; 17] = [
    "open",
    "flat",
    "back",
    "relaxed",
    "loose-fist",
    "three",
    "four",
    "seven",
    "eight",
    "ily",
    "horns",
    "thumb-up",
    "thumb-down",
    "gun",
    "claw",
    "beak",
    "point",
];

/// A finger bent so far at its three joints, leaning to the thumb's side.
const fn finger(knuckle: f32, middle: f32, last: f32, spread: f32) -> Finger {
    Finger {
        bend: [knuckle, middle, last],
        spread,
    }
}

const fn thumb(across: f32, out: f32, roll: f32, knuckle: f32, tip: f32) -> Thumb {
    Thumb {
        across,
        out,
        roll,
        knuckle,
        tip,
    }
}

/// Stretched.
const UP: Finger = finger(0.0, 2.0, 3.0, 0.0);
/// Stretched, side by side.
const TOGETHER: [Finger; FINGERS] = [
    finger(0.0, 2.0, 3.0, -4.0),
    UP,
    finger(0.0, 2.0, 3.0, 3.0),
    finger(0.0, 2.0, 3.0, 10.0),
];
/// Stretched, apart from each other.
const FAN: [Finger; FINGERS] = [
    finger(0.0, 2.0, 3.0, 9.0),
    UP,
    finger(0.0, 2.0, 3.0, -5.0),
    finger(0.0, 2.0, 3.0, -13.0),
];
/// In the palm.
const FIST: Finger = finger(82.0, 104.0, 62.0, 0.0);

/// How the hand is turned: about its own length (the palm to the picture's right), then with the
/// fingertips to the camera, then counter-clockwise on the picture.
fn turned(yaw: f32, pitch: f32, roll: f32) -> Turn {
    let yaw = Turn::about(vec3(0.0, 1.0, 0.0), yaw);
    let pitch = Turn::about(vec3(1.0, 0.0, 0.0), pitch);
    let roll = Turn::about(vec3(0.0, 0.0, 1.0), roll);
    roll.after(pitch).after(yaw)
}

/// From a wrist that is raised beside the shoulder to the elbow.
const ARM: Vec3 = vec3(-0.20, -0.95, -0.24);

/// The same where the hand points to the signer's other side.
const ACROSS: Vec3 = vec3(-0.72, -0.66, -0.22);

fn hold(thumb: Thumb, fingers: [Finger; FINGERS], palm: Turn, arm: Vec3) -> Pose {
    Pose {
        thumb,
        fingers,
        palm,
        arm: arm.unit(),
    }
}

/// How the right hand of a signer is held for a letter, as [`LETTERS`] names them (for J and Z,
/// where the movement starts), or for a gesture, as [`GESTURES`] names them.
pub fn pose(label: &str) -> Option<Pose> {
    let front = turned(8.0, 4.0, 0.0);
    let beside = thumb(30.0, -19.0, 8.0, 1.0, -4.0);
    let over = thumb(40.0, 15.0, 30.0, 30.0, 40.0);
    let across = thumb(45.0, 10.0, 20.0, 40.0, 40.0);
    let stretched = thumb(-12.0, -3.0, 0.0, 0.0, -5.0);
    let pose = match label {
        "A" => hold(
            beside,
            [finger(76.0, 106.0, 60.0, 0.0), FIST, FIST, FIST],
            turned(-6.0, -1.0, 5.0),
            ARM,
        ),
        "B" => hold(across, TOGETHER, front, ARM),
        "C" => hold(
            thumb(5.0, 35.0, 30.0, 5.0, 15.0),
            [
                finger(30.0, 45.0, 35.0, -2.0),
                finger(32.0, 47.0, 37.0, 0.0),
                finger(32.0, 47.0, 37.0, 3.0),
                finger(30.0, 45.0, 35.0, 8.0),
            ],
            turned(60.0, 0.0, 0.0),
            ARM,
        ),
        "D" | "Z" => hold(
            thumb(36.0, 50.0, 31.0, 12.0, 28.0),
            [
                UP,
                finger(62.0, 68.0, 40.0, -2.0),
                finger(62.0, 68.0, 40.0, -4.0),
                finger(72.0, 66.0, 40.0, -2.0),
            ],
            turned(30.0, 13.0, 0.0),
            ARM,
        ),
        "E" => hold(
            thumb(48.0, 15.0, 20.0, 40.0, 50.0),
            [finger(45.0, 105.0, 60.0, 0.0); 4],
            front,
            ARM,
        ),
        "F" => hold(
            thumb(35.0, 45.0, 45.0, 5.0, 30.0),
            [
                finger(64.0, 59.0, 29.0, 4.0),
                finger(12.0, 2.0, 3.0, 4.0),
                finger(6.0, 2.0, 3.0, 2.0),
                UP,
            ],
            turned(30.0, 4.0, 0.0),
            ARM,
        ),
        "G" => hold(
            thumb(30.0, 25.0, 5.0, 0.0, -31.0),
            [finger(-6.0, 6.0, 1.0, 0.0), FIST, FIST, FIST],
            turned(1.0, -14.0, 1.0).after(turned(200.0, 10.0, -85.0)),
            ACROSS,
        ),
        "H" => hold(
            over,
            [finger(0.0, 2.0, 3.0, -4.0), UP, FIST, FIST],
            turned(195.0, 0.0, -82.0),
            ACROSS,
        ),
        "I" | "J" => hold(over, [FIST, FIST, FIST, UP], front, ARM),
        "K" => hold(
            thumb(48.0, 6.0, 16.0, 3.0, -2.0),
            [
                finger(-3.0, 4.0, 1.0, 14.0),
                finger(37.0, 14.0, -5.0, -20.0),
                FIST,
                FIST,
            ],
            turned(-4.0, -2.0, 0.0),
            ARM,
        ),
        "L" => hold(
            thumb(-15.0, -10.0, 0.0, 0.0, 0.0),
            [UP, FIST, FIST, FIST],
            front,
            ARM,
        ),
        "M" => hold(
            thumb(57.0, 7.0, 29.0, 31.0, 50.0),
            [
                finger(72.0, 62.0, 35.0, -4.0),
                finger(74.0, 65.0, 28.0, -8.0),
                finger(76.0, 58.0, 28.0, 4.0),
                FIST,
            ],
            turned(4.0, 14.0, 7.0),
            ARM,
        ),
        "N" => hold(
            thumb(42.0, 6.0, 21.0, 38.0, 30.0),
            [
                finger(79.0, 61.0, 32.0, 1.0),
                finger(68.0, 75.0, 34.0, -2.0),
                FIST,
                FIST,
            ],
            turned(2.0, -3.0, -1.0),
            ARM,
        ),
        "O" => hold(
            thumb(21.0, 25.0, 46.0, 5.0, 39.0),
            [
                finger(50.0, 66.0, 52.0, 2.0),
                finger(50.0, 66.0, 46.0, -2.0),
                finger(56.0, 66.0, 48.0, -6.0),
                finger(47.0, 52.0, 43.0, 5.0),
            ],
            turned(62.0, -8.0, 0.0),
            ARM,
        ),
        "P" => hold(
            thumb(26.0, 15.0, 8.0, 4.0, 1.0),
            [
                finger(0.0, -1.0, 4.0, 10.0),
                finger(46.0, 9.0, 4.0, -7.0),
                FIST,
                FIST,
            ],
            turned(-7.0, -9.0, 0.0).after(turned(150.0, 20.0, -112.0)),
            vec3(-0.72, -0.52, -0.46),
        ),
        "Q" => hold(
            thumb(14.0, -17.0, -7.0, 13.0, 5.0),
            [finger(12.0, 9.0, -5.0, 3.0), FIST, FIST, FIST],
            turned(-10.0, 4.0, -21.0).after(turned(220.0, -10.0, -142.0)),
            vec3(-0.82, -0.22, -0.52),
        ),
        "R" => hold(
            over,
            [
                finger(4.0, 4.0, 6.0, -10.0),
                finger(12.0, 6.0, 6.0, 12.0),
                FIST,
                FIST,
            ],
            front,
            ARM,
        ),
        "S" => hold(
            thumb(40.0, 26.0, 27.0, 27.0, 42.0),
            [finger(84.0, 94.0, 63.0, 4.0), FIST, FIST, FIST],
            turned(-1.0, -7.0, -16.0),
            ARM,
        ),
        "T" => hold(
            thumb(36.0, -5.0, 55.0, 42.0, -8.0),
            [finger(76.0, 89.0, 54.0, 1.0), FIST, FIST, FIST],
            turned(31.0, -9.0, 14.0),
            ARM,
        ),
        "U" => hold(
            over,
            [finger(0.0, 2.0, 3.0, -4.0), UP, FIST, FIST],
            front,
            ARM,
        ),
        "V" => hold(
            over,
            [
                finger(0.0, 2.0, 3.0, 10.0),
                finger(0.0, 2.0, 3.0, -10.0),
                FIST,
                FIST,
            ],
            front,
            ARM,
        ),
        "W" => hold(
            over,
            [
                finger(0.0, 2.0, 3.0, 10.0),
                UP,
                finger(0.0, 2.0, 3.0, -8.0),
                FIST,
            ],
            front,
            ARM,
        ),
        "X" => hold(
            over,
            [finger(20.0, 75.0, 45.0, 0.0), FIST, FIST, FIST],
            turned(35.0, 0.0, 0.0),
            ARM,
        ),
        "Y" => hold(
            thumb(-20.0, -5.0, 0.0, -5.0, -10.0),
            [FIST, FIST, FIST, finger(0.0, 2.0, 3.0, -12.0)],
            front,
            ARM,
        ),
        "open" => hold(stretched, FAN, front, ARM),
        "flat" => hold(
            thumb(5.0, -10.0, 0.0, 0.0, 5.0),
            TOGETHER,
            turned(75.0, 0.0, -10.0),
            ARM,
        ),
        "back" => hold(stretched, FAN, turned(180.0, 0.0, 0.0), ARM),
        "relaxed" => hold(
            thumb(8.0, 4.0, 8.0, 8.0, 8.0),
            [
                finger(10.0, 18.0, 10.0, 3.0),
                finger(14.0, 22.0, 12.0, 0.0),
                finger(17.0, 25.0, 14.0, -2.0),
                finger(20.0, 28.0, 15.0, -6.0),
            ],
            turned(20.0, -14.0, -14.0),
            vec3(-0.25, -0.9, -0.1),
        ),
        "loose-fist" => hold(
            thumb(25.0, 15.0, 10.0, 15.0, 15.0),
            [finger(55.0, 60.0, 35.0, 0.0); 4],
            turned(155.0, -8.0, -28.0),
            vec3(-0.4, -0.85, -0.1),
        ),
        "three" => hold(stretched, [FAN[0], FAN[1], FIST, FIST], front, ARM),
        "four" => hold(across, FAN, front, ARM),
        "seven" => hold(
            thumb(42.0, 30.0, 35.0, 25.0, 25.0),
            [FAN[0], FAN[1], finger(62.0, 60.0, 30.0, 0.0), FAN[3]],
            front,
            ARM,
        ),
        "eight" => hold(
            thumb(32.0, 35.0, 35.0, 20.0, 25.0),
            [FAN[0], finger(60.0, 60.0, 30.0, 0.0), FAN[2], FAN[3]],
            front,
            ARM,
        ),
        "ily" => hold(stretched, [FAN[0], FIST, FIST, FAN[3]], front, ARM),
        "horns" => hold(over, [FAN[0], FIST, FIST, FAN[3]], front, ARM),
        "thumb-up" => hold(
            thumb(-28.0, -10.0, 0.0, -8.0, -15.0),
            [FIST; 4],
            turned(200.0, 0.0, -80.0),
            ACROSS,
        ),
        "thumb-down" => hold(
            thumb(-28.0, -10.0, 0.0, -8.0, -15.0),
            [FIST; 4],
            turned(15.0, 0.0, -95.0),
            ACROSS,
        ),
        "gun" => hold(
            thumb(-28.0, -10.0, 0.0, -5.0, -10.0),
            [UP, UP, FIST, FIST],
            turned(200.0, 0.0, -75.0),
            ACROSS,
        ),
        "claw" => hold(
            thumb(-5.0, 25.0, 15.0, 10.0, 30.0),
            [
                finger(12.0, 58.0, 38.0, 10.0),
                finger(12.0, 58.0, 38.0, 2.0),
                finger(12.0, 58.0, 38.0, -5.0),
                finger(12.0, 58.0, 38.0, -12.0),
            ],
            front,
            ARM,
        ),
        "beak" => hold(
            thumb(27.0, 42.0, 30.0, 2.0, 0.0),
            [
                finger(70.0, 12.0, 4.0, -3.0),
                finger(72.0, 12.0, 4.0, 0.0),
                FIST,
                FIST,
            ],
            turned(35.0, 6.0, 0.0),
            ARM,
        ),
        "point" => hold(
            over,
            [UP, FIST, FIST, FIST],
            turned(60.0, 70.0, 10.0),
            vec3(-0.3, -0.6, -0.75),
        ),
        _ => return None,
    };
    Some(pose)
}

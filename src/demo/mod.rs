//! A signing hand that the program itself draws.
//!
//! ```text
//! alphabet ──▶ pose ──▶ skeleton ──▶ mesh ──▶ raster, light ──▶ painter ──▶ scene
//! (a letter)   (angles) (bones)      (skin)   (what is seen)                (room, noise)
//! ```
//!
//! The hand is a mesh of 25 joints that somebody else modelled (`hand.LICENSE`); poses, skin, arm,
//! light and rooms are made here. Lengths are in metres, angles in degrees; x goes to the right of
//! the picture, y up, z to the camera. Everything depends on seeds and times alone, so that the same
//! wish gives the same picture.

pub mod alphabet;
mod chance;
pub mod light;
mod mesh;
mod movement;
mod painter;
pub mod pose;
mod raster;
mod room;
mod scene;
mod skeleton;
mod spelling;
pub mod vector;

pub use chance::Chance;
pub use movement::Movement;
pub use painter::{Appearance, Lens, Painter, Seen};
pub use room::Room;
pub use scene::{Scene, wrist_for};
pub use spelling::{Moment, Spelling, Text};

use crate::base::frame::Rect;
use crate::base::picture::Picture;
use pose::Pose;
use vector::{Turn, Vec3, vec3};

/// A drawn picture of a hand, with where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The picture.
    pub picture: Picture,
    /// The box around the hand's skin, from the wrist to the fingertips.
    pub hand: Rect,
    /// The hand's 21 points in fractions of the picture, in MediaPipe's order: the wrist, then four
    /// each of thumb, index, middle, ring and little finger, from base to tip. A box around them is
    /// narrower than `hand`: they lie inside fingers.
    pub points: [[f32; 2]; 21],
}

/// Somebody's hand that signs a letter ([`alphabet::LETTERS`]; of J and Z a moment of the movement)
/// or a gesture ([`alphabet::GESTURES`]), in a picture of `width` x `height` pixels. Person, room, light, place,
/// size, camera, and how exactly the letter is held all come from `chance`. `None` where `label` names neither.
///
/// The whole hand is in the picture, as large as it is before a laptop, a quarter to a half of the
/// picture's height; it is a left one now and then.
pub fn random_scene(
    chance: &mut Chance,
    label: &str,
    (width, height): (usize, usize),
) -> Option<Drawn> {
    let mut pose = alphabet::pose(label)?;
    if let Some(movement) = Movement::of(label) {
        let (_, turn) = movement.at(chance.share());
        pose = pose.turned(turn);
    }
    Some(random_scene_of(chance, &pose, (width, height)))
}

/// Somebody's hand in this pose, more or less; the rest as [`random_scene`].
pub fn random_scene_of(chance: &mut Chance, pose: &Pose, (width, height): (usize, usize)) -> Drawn {
    let size = chance.within(0.26, 0.55);
    let aspect = width as f32 / height as f32;
    let room = |free: f32, chance: &mut Chance| {
        let edge = (size * 0.52 / free).min(0.5);
        chance.within(edge, 1.0 - edge)
    };
    let middle = [room(aspect, chance), room(1.0, chance)];
    let mut scene = Scene::random((width, height), chance, middle[0]);
    scene.hand.left = chance.happens(0.15);
    let pose = pose.jittered(chance, 4.0);
    let tilt = [8.0, 6.0, 7.0].map(|spread| chance.around(spread));
    let turn = Turn::about(vec3(0.0, 0.0, 1.0), tilt[2])
        .after(Turn::about(vec3(1.0, 0.0, 0.0), tilt[1]))
        .after(Turn::about(vec3(0.0, 1.0, 0.0), tilt[0]));
    let pose = pose.turned(turn);
    let mut painter = Painter::new();
    let wrist = wrist_for(
        &mut painter,
        &scene.hand,
        &pose,
        (width, height),
        middle,
        size,
    );
    let mut pixels = vec![0; width * height * 3];
    let seen = scene.draw(&mut painter, &pose, wrist, chance.bits(), &mut pixels);
    Drawn {
        picture: Picture {
            width,
            height,
            pixels,
        },
        hand: seen.hand,
        points: seen.points,
    }
}

/// How a letter is held, for somebody who learns it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The picture: the hand before an even wall.
    pub picture: Picture,
    /// What the fingertip that draws the letter goes along, in fractions of the picture; empty for
    /// a letter that is held still.
    pub path: Vec<[f32; 2]>,
}

/// Steps along a path that is shown.
const PATH_STEPS: usize = 32;

/// A hand and the way it goes take this share of a picture.
const MOVED: f32 = 0.7;

/// Attempts at that.
const FITS: usize = 4;

/// A right hand that holds `letter` (one of [`alphabet::LETTERS`]) in a picture of `width` x `height` pixels with
/// an even wall of the colour `0xRRGGBB`: as a camera sees it, or `mirrored`. `None` for anything but a letter.
pub fn show_letter(
    letter: &str,
    (width, height): (usize, usize),
    wall: u32,
    mirrored: bool,
) -> Option<Shown> {
    let letter = alphabet::LETTERS.iter().find(|known| **known == letter)?;
    let pose = alphabet::pose(letter)?;
    let movement = Movement::of(letter);
    let mut scene = Scene::plain(width, height, wall);
    scene.hand.left = mirrored;
    let mut painter = Painter::new();
    let (at, narrow) = ((width, height), (width as f32 / height as f32).min(1.0));
    let (mut middle, mut size) = ([0.5, 0.46], 0.76 * narrow);
    let mut wrist = wrist_for(&mut painter, &scene.hand, &pose, at, middle, size);
    let mut path = Vec::new();
    if let Some(movement) = movement {
        // The little finger draws a J, the index finger a Z.
        let tip = if *letter == "J" { 20 } else { 8 };
        for _ in 0..FITS {
            path = fingertip(
                &mut painter,
                &scene.hand,
                &pose,
                (wrist, at),
                &movement,
                tip,
            );
            let hand = painter.look(&scene.hand, &pose, wrist, width, height).hand;
            let all = path.iter().fold(hand, |all, [x, y]| Rect {
                x0: all.x0.min(*x),
                y0: all.y0.min(*y),
                x1: all.x1.max(*x),
                y1: all.y1.max(*y),
            });
            let wide = all.width().max(all.height());
            size *= MOVED / wide.max(0.1);
            middle[0] += 0.54 - (all.x0 + all.x1) / 2.0;
            middle[1] += 0.56 - (all.y0 + all.y1) / 2.0;
            wrist = wrist_for(&mut painter, &scene.hand, &pose, at, middle, size);
        }
        path = fingertip(
            &mut painter,
            &scene.hand,
            &pose,
            (wrist, at),
            &movement,
            tip,
        );
    }
    let mut pixels = vec![0; width * height * 3];
    scene.draw(&mut painter, &pose, wrist, 0, &mut pixels);
    Some(Shown {
        picture: Picture {
            width,
            height,
            pixels,
        },
        path,
    })
}

/// Where the fingertip (of these of the 21 points) of a hand goes in the movement that begins at `wrist`, in fractions
/// of the picture.
fn fingertip(
    painter: &mut Painter,
    hand: &Appearance,
    pose: &Pose,
    (wrist, (width, height)): (Vec3, (usize, usize)),
    movement: &Movement,
    tip: usize,
) -> Vec<[f32; 2]> {
    let side = if hand.left { -1.0 } else { 1.0 };
    (0..=PATH_STEPS)
        .map(|step| {
            let (shift, turn) = movement.at(step as f32 / PATH_STEPS as f32);
            let wrist = wrist + vec3(shift.x * side, shift.y, shift.z);
            let seen = painter.look(hand, &pose.turned(turn), wrist, width, height);
            seen.points[tip]
        })
        .collect()
}

#[cfg(test)]
mod tests;

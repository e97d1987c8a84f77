//! A hand before a camera: who, where, in which light, in which room.

use super::chance::Chance;
use super::light::{Light3, Lighting, Skin, linear};
use super::painter::{Appearance, Lens, Painter, Seen};
use super::pose::Pose;
use super::room::{CLOTHS, Room};
use super::vector::{Vec3, vec3};

/// Numbers in the table of a camera's noise.
const NOISE: usize = 1 << 14;

/// A hand, the room behind it, and the camera's faults.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Whose hand it is.
    pub hand: Appearance,
    /// What is behind it.
    pub room: Room,
    /// A camera's noise: its standard deviation, in bytes.
    pub noise: f32,
    /// Noise of deviation 1, in sixteenths.
    grain: Vec<i8>,
}

impl Scene {
    /// A hand before an even wall, without noise, for a chart.
    pub fn plain(width: usize, height: usize, wall: u32) -> Scene {
        Scene {
            hand: Appearance {
                skin: Skin::tone(3),
                sleeve: linear(CLOTHS[0]),
                plump: 0.0006,
                left: false,
                light: Lighting::even(),
                lens: Lens::WEBCAM,
            },
            room: Room::plain(width, height, wall),
            noise: 0.0,
            grain: Vec::new(),
        }
    }

    /// Somebody somewhere, as `chance` has it, whose hand is about at `hand`, in fractions of the
    /// picture's width.
    pub fn random((width, height): (usize, usize), chance: &mut Chance, hand: f32) -> Scene {
        let light = Lighting::random(chance);
        let skin = Skin::tone((chance.bits() % Skin::TONES as u64) as usize);
        let sleeve: Light3 = linear(*chance.pick(&CLOTHS));
        let room = Room::random((width, height), chance, &light, (&skin, sleeve), hand);
        Scene {
            hand: Appearance {
                skin,
                sleeve,
                plump: chance.within(-0.0003, 0.0016),
                left: false,
                light,
                lens: Lens {
                    reach: chance.within(1.05, 1.45),
                },
            },
            room,
            noise: chance.within(0.5, 4.5),
            grain: (0..NOISE)
                .map(|_| (chance.around(1.0) * 16.0) as i8)
                .collect(),
        }
    }

    /// Draws the scene with a hand in this pose over `pixels`, which are as many as the room's.
    /// Noise depends on `moment` alone.
    pub fn draw(
        &self,
        painter: &mut Painter,
        pose: &Pose,
        wrist: Vec3,
        moment: u64,
        pixels: &mut [u8],
    ) -> Seen {
        pixels.copy_from_slice(&self.room.pixels);
        let (width, height) = (self.room.width, self.room.height);
        let seen = painter.paint(&self.hand, pose, wrist, width, height, pixels);
        self.add_noise(moment, pixels);
        seen
    }

    fn add_noise(&self, moment: u64, pixels: &mut [u8]) {
        if self.grain.is_empty() {
            return;
        }
        let mut chance = Chance::seeded(moment ^ 0x6e01_5e00);
        let strength = (self.noise * 16.0) as i16;
        for row in pixels.chunks_mut(self.room.width * 3) {
            // Rows of a table, each from a place of its own, look like noise without end.
            let mut rest = row;
            while !rest.is_empty() {
                let start = (chance.bits() % NOISE as u64) as usize;
                let grain = &self.grain[start..];
                let count = rest.len().min(grain.len());
                let (part, after) = rest.split_at_mut(count);
                for (byte, grain) in part.iter_mut().zip(grain) {
                    let noise = (i16::from(*grain) * strength) >> 8;
                    *byte = (i16::from(*byte) + noise).clamp(0, 255) as u8;
                }
                rest = after;
            }
        }
    }
}

/// Where the wrist has to be for the middle of the hand to be seen at a place.
///
/// `middle` is in fractions of the picture, `size` the hand box's larger side in picture heights.
pub fn wrist_for(
    painter: &mut Painter,
    hand: &Appearance,
    pose: &Pose,
    (width, height): (usize, usize),
    middle: [f32; 2],
    size: f32,
) -> Vec3 {
    let aspect = width as f32 / height as f32;
    let mut wrist = vec3(0.0, 0.0, -0.7);
    // What comes nearer is not seen larger in proportion, for the hand has a depth; a few steps
    // come close enough.
    for _ in 0..5 {
        let found = painter.look(hand, pose, wrist, width, height).hand;
        let side = (found.width() * aspect).max(found.height());
        let unit = hand.lens.reach / -wrist.z;
        let right = (middle[0] - (found.x0 + found.x1) / 2.0) * aspect / unit;
        let up = ((found.y0 + found.y1) / 2.0 - middle[1]) / unit;
        let moved = vec3(wrist.x + right, wrist.y + up, wrist.z);
        // In the same direction, so that it stays in place.
        let far = (-moved.z * side / size).clamp(0.3, 2.5);
        wrist = moved * (far / -moved.z);
    }
    wrist
}

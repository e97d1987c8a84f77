//! Skin and cloth in the light of a room.

use super::chance::Chance;
use super::mesh::Look;
use super::vector::{Vec3, vec3};

/// Red, green and blue, 0 to 1, in proportion to light.
pub type Light3 = [f32; 3];

/// A colour as screens name it, in proportion to light. The square stands for the sRGB curve.
pub fn linear(rgb: u32) -> Light3 {
    [16, 8, 0].map(|shift| ((rgb >> shift & 0xff) as f32 / 255.0).powi(2))
}

/// Light as the byte that screens show; the inverse of [`linear`], bright light held back softly.
pub fn byte(light: f32) -> u8 {
    const KNEE: f32 = 0.8;
    let held = if light > KNEE {
        1.0 - (1.0 - KNEE) * (-(light - KNEE) / (1.0 - KNEE)).exp()
    } else {
        light.max(0.0)
    };
    (held.sqrt() * 255.0 + 0.5) as u8
}

/// `from` changed to the share `t` into `to`.
pub fn mix(from: Light3, to: Light3, t: f32) -> Light3 {
    std::array::from_fn(|part| from[part] + (to[part] - from[part]) * t)
}

/// Part by part.
pub fn times(a: Light3, b: Light3) -> Light3 {
    std::array::from_fn(|part| a[part] * b[part])
}

/// The colours of somebody's skin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Skin {
    /// The back of the hand.
    pub back: Light3,
    /// The palm.
    pub palm: Light3,
    /// Fingernails.
    pub nail: Light3,
}

/// Ten tones from light to dark, after the Monk Skin Tone scale (Monk, 2019), warmer than its
/// swatches, as cameras show skin.
const TONES: [u32; 10] = [
    0xf3dccb, 0xf0d2b9, 0xecc9a4, 0xdfb58d, 0xcb9a70, 0xa97c55, 0x86593d, 0x66432f, 0x4a3226,
    0x372720,
];

impl Skin {
    /// How many tones there are.
    pub const TONES: usize = TONES.len();

    /// The tone of this number, from light to dark; the last for greater ones.
    pub fn tone(at: usize) -> Skin {
        let at = at.min(TONES.len() - 1);
        let back = linear(TONES[at]);
        // Palms and nails have less pigment: the darker the skin, the more they differ from it.
        let share = 0.12 + 0.045 * at as f32;
        let palm = mix(back, linear(0xe6ae93), share);
        Skin {
            back,
            palm,
            nail: mix(back, linear(0xf2c3b4), 0.35 + 0.02 * at as f32),
        }
    }
}

/// The light in a room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lighting {
    /// Where the strongest light comes from, of length 1.
    pub from: Vec3,
    /// That light.
    pub key: Light3,
    /// The light from above.
    pub sky: Light3,
    /// The light from below.
    pub ground: Light3,
}

impl Lighting {
    /// Daylight from above the camera.
    pub fn even() -> Lighting {
        Lighting {
            from: vec3(-0.38, 0.62, 0.7).unit(),
            key: [0.82, 0.79, 0.75],
            sky: [0.36, 0.37, 0.40],
            ground: [0.22, 0.20, 0.19],
        }
    }

    /// Some light: bright or dim, warm or cold, from anywhere above or before the hand.
    pub fn random(chance: &mut Chance) -> Lighting {
        let bright = chance.within(0.55, 1.0);
        let key = chance.within(0.5, 0.95) * bright;
        let fill = chance.within(0.24, 0.46) * bright;
        let warmth = chance.around(0.07);
        let tint = |strength: f32, warmth: f32| {
            [
                strength * (1.0 + warmth),
                strength,
                strength * (1.0 - warmth),
            ]
        };
        Lighting {
            from: vec3(
                chance.within(-0.9, 0.9),
                chance.within(-0.1, 0.9),
                chance.within(0.35, 1.0),
            )
            .unit(),
            key: tint(key, warmth),
            sky: tint(fill, chance.around(0.07)),
            ground: tint(fill * chance.within(0.4, 0.8), warmth),
        }
    }
}

/// A place that is lit.
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    /// The direction away from the body, of length 1.
    pub normal: Vec3,
    /// The direction to the camera, of length 1.
    pub eye: Vec3,
    /// What it looks like.
    pub look: Look,
    /// How much of the strongest light reaches it, 0 to 1.
    pub lit: f32,
    /// How much of the light around reaches it, 0 to 1.
    pub open: f32,
}

/// How far light creeps around an edge, for red, green and blue: blood lets red through.
const WRAP: Light3 = [0.34, 0.20, 0.15];

impl Lighting {
    /// The light that comes from `surface`.
    pub fn shade(&self, surface: &Surface, skin: &Skin, sleeve: Light3) -> Light3 {
        let look = &surface.look;
        let mut paint = mix(skin.back, skin.palm, look.palm);
        paint = mix(paint, times(paint, [0.62, 0.50, 0.46]), look.fold);
        paint = mix(paint, skin.nail, look.nail);
        paint = mix(paint, sleeve, look.cloth);
        let facing = surface.normal.dot(self.from);
        let sky = surface.normal.y * 0.5 + 0.5;
        let soft = 1.0 - look.cloth;
        let half = (self.from + surface.eye).unit();
        let gloss = surface.normal.dot(half).max(0.0);
        let gloss = gloss.powi(20) * (0.05 + 0.20 * look.nail) * soft;
        let grazing = (1.0 - surface.normal.dot(surface.eye).max(0.0)).powi(4) * 0.10;
        std::array::from_fn(|part| {
            let wrap = WRAP[part] * soft;
            let around = ((facing + wrap) / (1.0 + wrap)).max(0.0);
            // Shadows on skin have a warm edge, for the same reason.
            let lit = surface.lit + (1.0 - surface.lit) * surface.lit * wrap;
            let ambient = self.ground[part] + (self.sky[part] - self.ground[part]) * sky;
            // Light in hollows has been on skin before.
            let hollow = 1.0 - (1.0 - surface.open) * (1.0 - 0.35 * paint[part] * soft);
            let diffuse = self.key[part] * around * lit + ambient * hollow;
            paint[part] * diffuse
                + self.key[part] * gloss * surface.lit
                + ambient * grazing * surface.open
        })
    }
}

//! How strongly training pictures are varied.

use rand::RngExt;
use rand::rngs::StdRng;

/// What a warp shows beyond the picture's edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// The grey that a live crop has there ([`crate::recognize::crop::OUTSIDE`]).
    Outside,
    /// The nearest pixel of the picture.
    Edge,
    /// The picture mirrored at its edge.
    Reflect,
}

/// Ranges and chances of every variation. Ranges are drawn from uniformly, chances lie in 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The crop's side, as a multiple of the unvaried one.
    pub box_scale: (f32, f32),
    /// How much larger the subject is drawn.
    pub zoom: (f32, f32),
    /// Largest shift along each axis, as a fraction of the crop's side.
    pub shift: f32,
    /// Largest rotation either way, in degrees.
    pub rotation_deg: f32,
    /// Largest shear along each axis, in degrees.
    pub shear_deg: f32,
    /// Largest change of scale from the crop's centre to its edge, as a fraction.
    pub perspective: f32,
    /// Chance of a mirrored crop.
    pub mirror: f32,
    /// What lies beyond the picture: one of these, each as likely.
    pub borders: &'static [Border],
    /// Largest change of brightness, as a fraction.
    pub brightness: f32,
    /// Largest change of contrast, as a fraction.
    pub contrast: f32,
    /// Largest change of saturation, as a fraction.
    pub saturation: f32,
    /// Largest turn of hue either way, as a fraction of the colour circle.
    pub hue: f32,
    /// Chance of a grey picture.
    pub grey: f32,
    /// Chance of another exposure and gamma.
    pub exposure: f32,
    /// Chance of a dim room: little light, much noise.
    pub low_light: f32,
    /// Chance of another colour temperature of the light.
    pub temperature: f32,
    /// Chance of another skin tone.
    pub skin: f32,
    /// Chance of an out-of-focus picture.
    pub focus_blur: f32,
    /// Chance of motion blur.
    pub motion_blur: f32,
    /// Chance of a hand so small that the crop was enlarged.
    pub low_resolution: f32,
    /// Chance of sensor noise in good light.
    pub noise: f32,
    /// Chance of JPEG artefacts.
    pub jpeg: f32,
    /// Chance of an erased rectangle of 2 to 15 % of the area.
    pub erase: f32,
    /// Chance of another background behind a hand whose joints are known.
    pub background: f32,
    /// Chance of another background behind a hand that was cut out on black.
    pub cut_out_background: f32,
}

impl Recipe {
    /// No variation: the crop as it is made live.
    pub const NONE: Recipe = Recipe {
        box_scale: (1.0, 1.0),
        zoom: (1.0, 1.0),
        shift: 0.0,
        rotation_deg: 0.0,
        shear_deg: 0.0,
        perspective: 0.0,
        mirror: 0.0,
        borders: &[Border::Outside],
        brightness: 0.0,
        contrast: 0.0,
        saturation: 0.0,
        hue: 0.0,
        grey: 0.0,
        exposure: 0.0,
        low_light: 0.0,
        temperature: 0.0,
        skin: 0.0,
        focus_blur: 0.0,
        motion_blur: 0.0,
        low_resolution: 0.0,
        noise: 0.0,
        jpeg: 0.0,
        erase: 0.0,
        background: 0.0,
        cut_out_background: 0.0,
    };

    /// The usual variation of transfer-learning tutorials: rotation by 20°, shift and zoom by 0.2,
    /// brightness, mirroring; beyond the edge lies the nearest pixel.
    pub const NOTEBOOK: Recipe = Recipe {
        zoom: (0.8, 1.2),
        shift: 0.2,
        rotation_deg: 20.0,
        mirror: 0.5,
        borders: &[Border::Edge],
        brightness: 0.2,
        ..Recipe::NONE
    };

    /// New rooms, cameras and hands: for signers and rooms that are in no training picture.
    pub const ROOMS: Recipe = Recipe {
        box_scale: (0.85, 1.3),
        zoom: (0.8, 1.25),
        shift: 0.08,
        rotation_deg: 20.0,
        shear_deg: 8.0,
        perspective: 0.12,
        mirror: 0.5,
        borders: &[Border::Outside, Border::Reflect, Border::Reflect],
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.4,
        hue: 0.08,
        grey: 0.1,
        exposure: 0.3,
        low_light: 0.1,
        temperature: 0.25,
        skin: 0.25,
        focus_blur: 0.18,
        motion_blur: 0.12,
        low_resolution: 0.15,
        noise: 0.25,
        jpeg: 0.25,
        erase: 0.25,
        background: 0.3,
        cut_out_background: 1.0,
    };

    /// As [`Recipe::ROOMS`], turned further, lit worse, and more often far away or moving: hands of
    /// people who stand back have few pixels.
    pub const ROUGH_ROOMS: Recipe = Recipe {
        rotation_deg: 30.0,
        exposure: 0.4,
        low_light: 0.18,
        motion_blur: 0.18,
        low_resolution: 0.3,
        ..Recipe::ROOMS
    };

    /// The recipe for pieces of a frame away from the hand: never larger than the piece itself and
    /// not elsewhere, so that the hand stays out.
    pub fn for_surroundings(&self) -> Recipe {
        Recipe {
            box_scale: (0.7 * self.box_scale.0, 1.0),
            zoom: (1.0, 1.0),
            shift: 0.0,
            ..self.clone()
        }
    }
}

/// A number drawn uniformly from `range`; its start where it is a single number.
pub(super) fn between(rng: &mut StdRng, (low, high): (f32, f32)) -> f32 {
    if low < high {
        rng.random_range(low..high)
    } else {
        low
    }
}

/// A number drawn uniformly from `-limit` to `limit`.
pub(super) fn within(rng: &mut StdRng, limit: f32) -> f32 {
    between(rng, (-limit, limit))
}

/// Whether something of that chance happens.
pub(super) fn chance(rng: &mut StdRng, chance: f32) -> bool {
    rng.random::<f32>() < chance
}

/// One of the recipe's borders.
pub(super) fn pick_border(recipe: &Recipe, rng: &mut StdRng) -> Border {
    let at = rng.random_range(0..recipe.borders.len().max(1));
    recipe.borders.get(at).copied().unwrap_or(Border::Outside)
}

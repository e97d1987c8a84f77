//! Light and colour: exposure, gamma, colour temperature, brightness, contrast, saturation, hue,
//! grey and skin tone, in one pass of lookup tables and one matrix a pixel.

use rand::rngs::StdRng;

use super::recipe::{Recipe, between, chance, within};
use crate::train::data::dataset::HandPoints;

/// Fractions of the colour matrix are in units of this.
const ONE: f32 = 4096.0;
const ONE_BITS: u32 = 12;

/// Luma of R, G and B (ITU-R BT.601), the sum being 1.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// The light in the room and how the camera takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    /// Factor of each channel.
    gains: [f32; 3],
    /// Exponent of the tone curve.
    gamma: f32,
    /// Standard deviation of the sensor noise that comes with little light, in grey levels.
    pub noise: f32,
}

impl Light {
    /// Draws the light by `recipe`.
    pub fn draw(recipe: &Recipe, rng: &mut StdRng) -> Light {
        let mut light = Light {
            gains: [1.0; 3],
            gamma: 1.0,
            noise: 0.0,
        };
        if chance(rng, recipe.low_light) {
            let gain = between(rng, (0.22, 0.6));
            light.gains = [gain; 3];
            // A camera lifts the shadows of a dim room, and their noise with them.
            light.gamma = between(rng, (0.7, 1.05));
            light.noise = between(rng, (4.0, 14.0));
        } else if chance(rng, recipe.exposure) {
            light.gains = [2_f32.powf(within(rng, 0.7)); 3];
            light.gamma = 2_f32.powf(within(rng, 0.5));
        }
        if chance(rng, recipe.temperature) {
            let warmth = 2_f32.powf(within(rng, 0.35));
            let tint = 2_f32.powf(within(rng, 0.1));
            light.gains[0] *= warmth;
            light.gains[1] *= tint;
            light.gains[2] /= warmth;
        }
        light
    }

    fn tables(&self) -> [[u8; 256]; 3] {
        self.gains.map(|gain| {
            let mut table = [0; 256];
            for (value, entry) in table.iter_mut().enumerate() {
                let tone = (value as f32 / 255.0).powf(self.gamma);
                *entry = (tone * gain * 255.0).round().clamp(0.0, 255.0) as u8;
            }
            table
        })
    }

    fn is_neutral(&self) -> bool {
        self.gains == [1.0; 3] && self.gamma == 1.0
    }
}

/// One change of every pixel's colour: a table a channel, then a matrix and an offset.
#[derive(Debug)]
pub(super) struct Grade {
    tables: Option<[[u8; 256]; 3]>,
    matrix: Option<([[i32; 3]; 3], i32)>,
}

impl Grade {
    /// Draws the colours by `recipe` under `light`; the contrast changes around the mean of
    /// `pixels`.
    pub fn draw(recipe: &Recipe, light: &Light, pixels: &[u8], rng: &mut StdRng) -> Grade {
        let tables = (!light.is_neutral()).then(|| light.tables());
        let brightness = 1.0 + within(rng, recipe.brightness);
        let contrast = 1.0 + within(rng, recipe.contrast);
        let grey = chance(rng, recipe.grey);
        let saturation = 1.0 + within(rng, recipe.saturation);
        let turn = within(rng, recipe.hue) * std::f32::consts::TAU;
        let neutral = !grey && [brightness, contrast, saturation] == [1.0; 3] && turn == 0.0;
        if neutral {
            return Grade {
                tables,
                matrix: None,
            };
        }
        let mean = mean_luma(pixels, tables.as_ref()) * brightness;
        let colours = hue_and_saturation(turn, if grey { 0.0 } else { saturation });
        let gain = brightness * contrast * ONE;
        let matrix = colours.map(|row| row.map(|value| (value * gain).round() as i32));
        let offset = (mean * (1.0 - contrast) * ONE).round() as i32 + (1 << (ONE_BITS - 1));
        Grade {
            tables,
            matrix: Some((matrix, offset)),
        }
    }

    /// Changes `pixels`, three bytes each.
    pub fn apply(&self, pixels: &mut [u8]) {
        match (&self.tables, &self.matrix) {
            (None, None) => {}
            (Some(tables), None) => {
                for pixel in pixels.as_chunks_mut::<3>().0 {
                    *pixel = look_up(tables, *pixel);
                }
            }
            (None, Some((matrix, offset))) => {
                for pixel in pixels.as_chunks_mut::<3>().0 {
                    *pixel = multiply(matrix, *offset, *pixel);
                }
            }
            (Some(tables), Some((matrix, offset))) => {
                for pixel in pixels.as_chunks_mut::<3>().0 {
                    *pixel = multiply(matrix, *offset, look_up(tables, *pixel));
                }
            }
        }
    }
}

#[inline(always)]
fn look_up(tables: &[[u8; 256]; 3], [r, g, b]: [u8; 3]) -> [u8; 3] {
    [
        tables[0][usize::from(r)],
        tables[1][usize::from(g)],
        tables[2][usize::from(b)],
    ]
}

#[inline(always)]
fn multiply(matrix: &[[i32; 3]; 3], offset: i32, [r, g, b]: [u8; 3]) -> [u8; 3] {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    matrix.map(|[x, y, z]| ((x * r + y * g + z * b + offset) >> ONE_BITS).clamp(0, 255) as u8)
}

/// The mean luma of every 16th pixel, looked up in `tables` first.
fn mean_luma(pixels: &[u8], tables: Option<&[[u8; 256]; 3]>) -> f32 {
    let mut sum = 0.0;
    let mut count = 0;
    for &pixel in pixels.as_chunks::<3>().0.iter().step_by(16) {
        sum += luma(tables.map_or(pixel, |tables| look_up(tables, pixel)));
        count += 1;
    }
    sum / count.max(1) as f32
}

fn luma([r, g, b]: [u8; 3]) -> f32 {
    LUMA[0] * f32::from(r) + LUMA[1] * f32::from(g) + LUMA[2] * f32::from(b)
}

/// The matrix that turns hue by `turn` radians and multiplies saturation, in the plane of equal
/// luma: grey stays grey, and luma stays what it was.
fn hue_and_saturation(turn: f32, saturation: f32) -> [[f32; 3]; 3] {
    // From RGB to YIQ (NTSC) and back; the chroma plane in between is turned and scaled.
    const TO_YIQ: [[f32; 3]; 3] = [
        LUMA,
        [0.595_716, -0.274_453, -0.321_263],
        [0.211_456, -0.522_591, 0.311_135],
    ];
    const FROM_YIQ: [[f32; 3]; 3] = [
        [1.0, 0.956_296, 0.621_024],
        [1.0, -0.272_122, -0.647_381],
        [1.0, -1.106_989, 1.704_615],
    ];
    let (sin, cos) = turn.sin_cos();
    let chroma = [
        [1.0, 0.0, 0.0],
        [0.0, saturation * cos, -saturation * sin],
        [0.0, saturation * sin, saturation * cos],
    ];
    product(&product(&FROM_YIQ, &chroma), &TO_YIQ)
}

fn product(a: &[[f32; 3]; 3], b: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    a.map(|row| [0, 1, 2].map(|column| (0..3).map(|k| row[k] * b[k][column]).sum()))
}

/// Changes the tone of what has the colour of the hand: lighter, darker, redder or yellower.
pub(super) fn shift_skin(
    crop: &mut [u8],
    size: usize,
    points: Option<&HandPoints>,
    rng: &mut StdRng,
) {
    // Melanin takes more of blue than of red, so a darker tone is a warmer one.
    let tone = between(rng, (0.35, 1.45));
    let warmth = within(rng, 0.12);
    let exponents = [0.8 - warmth, 1.0, 1.15 + warmth];
    let Some(skin) = SkinColour::of(crop, size, size, points) else {
        return;
    };
    let tables = exponents.map(|exponent| {
        let gain = tone.powf(exponent);
        let mut table = [0_u8; 256];
        for (value, entry) in table.iter_mut().enumerate() {
            let value = value as f32 / 255.0;
            // Lightening raises shadows more than highlights, so that nothing burns out.
            let toned = if gain > 1.0 {
                1.0 - (1.0 - value).powf(gain)
            } else {
                value * gain
            };
            *entry = (toned * 255.0).round() as u8;
        }
        table
    });
    for pixel in crop.as_chunks_mut::<3>().0 {
        let weight = skin.weight(*pixel);
        if weight > 0 {
            let toned = look_up(&tables, *pixel);
            for (value, target) in pixel.iter_mut().zip(toned) {
                let mixed = i32::from(*value) * (256 - weight) + i32::from(target) * weight;
                *value = (mixed >> 8) as u8;
            }
        }
    }
}

/// How alike to the hand's colour each chroma is.
#[derive(Debug)]
pub(super) struct SkinColour {
    /// 0 to 256 by blue and red difference, four levels to an entry.
    weights: Box<[[u16; 64]; 64]>,
}

/// Colours at most this far from the hand's are more or less alike to it, in levels of Cb and Cr …
const MAX_REACH: f32 = 20.0;
/// … but at most this share of the hand's own distance from grey: walls are nearly grey.
const REACH_TO_GREY: f32 = 0.75;
/// Within this share of the reach they count as the same.
const SAME: f32 = 0.4;

impl SkinColour {
    /// Takes the colour at the palm's joints, or around the picture's centre where they are
    /// unknown. `points` are fractions of a picture of `width` x `height` pixels of three bytes.
    /// `None` where nothing of the hand is in the picture.
    pub fn of(
        pixels: &[u8],
        width: usize,
        height: usize,
        points: Option<&HandPoints>,
    ) -> Option<SkinColour> {
        /// Wrist, and the knuckles of index to little finger: the palm's outline.
        const PALM: [usize; 5] = [0, 5, 9, 13, 17];
        const CENTRE: [[f32; 2]; 5] = [
            [0.5, 0.5],
            [0.45, 0.55],
            [0.55, 0.55],
            [0.45, 0.45],
            [0.55, 0.45],
        ];
        let places = match points {
            None => CENTRE,
            Some(points) => {
                let joints = PALM.map(|joint| points[joint]);
                let middle = [0, 1].map(|axis| joints.iter().map(|p| p[axis]).sum::<f32>() / 5.0);
                // Half-way inwards, away from the outline.
                joints.map(|[x, y]| [(x + middle[0]) / 2.0, (y + middle[1]) / 2.0])
            }
        };
        let mut chromas = Vec::with_capacity(places.len());
        for [x, y] in places {
            if !((0.0..1.0).contains(&x) && (0.0..1.0).contains(&y)) {
                continue;
            }
            let at = (y * height as f32) as usize * width + (x * width as f32) as usize;
            chromas.extend(pixels.as_chunks::<3>().0.get(at).copied().map(chroma));
        }
        // The median of each axis: one joint may lie beside the hand.
        let median = |axis: usize| {
            let mut values: Vec<i32> = chromas.iter().map(|chroma| chroma[axis]).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied()
        };
        let (blue, red) = (median(0)? as f32, median(1)? as f32);
        let from_grey = (blue - 128.0).hypot(red - 128.0);
        let reach = (from_grey * REACH_TO_GREY).clamp(4.0, MAX_REACH);
        let mut weights = Box::new([[0; 64]; 64]);
        for (b, row) in weights.iter_mut().enumerate() {
            for (r, weight) in row.iter_mut().enumerate() {
                let middle = |level: usize| level as f32 * 4.0 + 1.5;
                let distance = (middle(b) - blue).hypot(middle(r) - red);
                let near = (reach - distance) / (reach * (1.0 - SAME));
                *weight = (near.clamp(0.0, 1.0) * 256.0) as u16;
            }
        }
        Some(SkinColour { weights })
    }

    /// How alike to the hand's colour a pixel's is, 0 to 256.
    #[inline(always)]
    pub fn weight(&self, pixel: [u8; 3]) -> i32 {
        let [blue, red] = chroma(pixel);
        i32::from(self.weights[(blue >> 2) as usize & 63][(red >> 2) as usize & 63])
    }
}

/// Cb and Cr of ITU-R BT.601, 0 to 255 with grey at 128.
#[inline(always)]
fn chroma([r, g, b]: [u8; 3]) -> [i32; 2] {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    [
        128 + ((-43 * r - 85 * g + 128 * b) >> 8),
        128 + ((128 * r - 107 * g - 21 * b) >> 8),
    ]
}

/// A colour of a thing in a room: mostly muted.
pub(in crate::train::data) fn draw_colour(rng: &mut StdRng) -> [u8; 3] {
    let grey = between(rng, (15.0, 240.0));
    let spread = between(rng, (0.0, 1.0)).powi(2) * 90.0;
    [(); 3].map(|()| (grey + within(rng, spread)).clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn hue_and_saturation_leave_grey_and_luma_alone() {
        for (turn, saturation) in [(0.4, 1.0), (-0.5, 1.4), (0.0, 0.0)] {
            let matrix = hue_and_saturation(turn, saturation);
            for row in matrix {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{row:?}");
            }
            let colour = [0.8, 0.3, 0.2];
            let turned = matrix.map(|row| (0..3).map(|k| row[k] * colour[k]).sum::<f32>());
            let luma = |c: [f32; 3]| (0..3).map(|k| LUMA[k] * c[k]).sum::<f32>();
            assert!((luma(turned) - luma(colour)).abs() < 1e-3);
        }
    }

    #[test]
    fn a_grey_picture_has_three_equal_channels() {
        let recipe = Recipe {
            grey: 1.0,
            ..Recipe::NONE
        };
        let mut rng = StdRng::seed_from_u64(3);
        let mut pixels = vec![200, 60, 30, 10, 220, 90];
        let light = Light::draw(&recipe, &mut rng);
        Grade::draw(&recipe, &light, &pixels, &mut rng).apply(&mut pixels);
        for pixel in pixels.as_chunks::<3>().0 {
            assert!(
                pixel.iter().all(|&v| v.abs_diff(pixel[0]) <= 1),
                "{pixel:?}"
            );
        }
    }

    #[test]
    fn another_skin_tone_changes_the_hand_and_not_the_wall() {
        let size = 32;
        let (skin, wall) = ([205, 150, 125], [60, 90, 170]);
        let mut crop: Vec<u8> = (0..size * size)
            .flat_map(|at| if at % size < 24 { skin } else { wall })
            .collect();
        let mut rng = StdRng::seed_from_u64(5);
        shift_skin(&mut crop, size, None, &mut rng);
        assert_ne!(crop[..3], skin);
        assert_eq!(crop[(size - 1) * 3..size * 3], wall);
    }

    #[test]
    fn low_light_darkens_and_brings_noise() {
        let recipe = Recipe {
            low_light: 1.0,
            ..Recipe::NONE
        };
        let mut rng = StdRng::seed_from_u64(1);
        let light = Light::draw(&recipe, &mut rng);
        let mut pixels = vec![180; 300];
        Grade::draw(&recipe, &light, &pixels, &mut rng).apply(&mut pixels);
        assert!(pixels.iter().all(|&v| v < 150), "{:?}", &pixels[..3]);
        assert!(light.noise > 0.0);
    }
}

//! What cameras and codecs do to a picture: blur, few pixels, noise, JPEG; and holes.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rand::RngExt;
use rand::rngs::StdRng;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::colour::draw_colour;
use super::recipe::{Recipe, between, chance};

/// Blur and noise are stated for crops of this many pixels a side, and scaled to others.
const NOMINAL_SIZE: f32 = 160.0;

/// Numbers in the table of noise.
const NOISE_LEN: usize = 1 << 16;
/// Its standard deviation.
const NOISE_SIGMA: f32 = 32.0;

/// Normally distributed numbers of standard deviation [`NOISE_SIGMA`], the same ones in every run.
static NOISE: LazyLock<Vec<i8>> = LazyLock::new(draw_noise);

/// Degrades crops, in buffers that it keeps.
#[derive(Debug)]
pub(super) struct Degrader {
    resizer: Resizer,
    padded: Vec<u8>,
    sums: Vec<u16>,
    small: Vec<u8>,
    jpeg: Vec<u8>,
}

impl Default for Degrader {
    fn default() -> Self {
        Degrader {
            resizer: Resizer::new(),
            padded: Vec::new(),
            sums: Vec::new(),
            small: Vec::new(),
            jpeg: Vec::new(),
        }
    }
}

impl Degrader {
    /// Degrades a crop of `size` x `size` pixels by `recipe`: in the order of a camera, optics
    /// first, then the sensor's pixels and their noise, then the codec. `low_light_noise` is the
    /// noise that the light demands.
    pub fn apply(
        &mut self,
        recipe: &Recipe,
        low_light_noise: f32,
        size: usize,
        rng: &mut StdRng,
        crop: &mut [u8],
    ) -> Result<()> {
        let scale = size as f32 / NOMINAL_SIZE;
        if chance(rng, recipe.motion_blur) {
            let length = between(rng, (3.0, 11.0)) * scale;
            self.motion_blur(
                crop,
                size,
                length,
                between(rng, (0.0, std::f32::consts::PI)),
            );
        }
        if chance(rng, recipe.focus_blur) {
            self.focus_blur(crop, size, between(rng, (0.5, 1.7)) * scale);
        }
        let small = chance(rng, recipe.low_resolution)
            .then(|| ((size as f32 * between(rng, (0.18, 0.7))) as usize).max(8));
        let sigma = if chance(rng, recipe.noise) {
            low_light_noise.max(between(rng, (1.5, 9.0)))
        } else {
            low_light_noise
        };
        let quality = chance(rng, recipe.jpeg).then(|| rng.random_range(30..=90_u8));
        match small {
            None => self.record(crop, size, sigma, quality, rng)?,
            Some(side) => {
                let mut pixels = std::mem::take(&mut self.small);
                pixels.resize(side * side * 3, 0);
                let recorded = resize(&mut self.resizer, crop, size, &mut pixels, side)
                    .and_then(|()| self.record(&mut pixels, side, sigma, quality, rng))
                    .and_then(|()| resize(&mut self.resizer, &pixels, side, crop, size));
                self.small = pixels;
                recorded?;
            }
        }
        if chance(rng, recipe.erase) {
            erase(crop, size, &NOISE, rng);
        }
        Ok(())
    }

    /// Sensor noise and the codec.
    fn record(
        &mut self,
        pixels: &mut [u8],
        size: usize,
        sigma: f32,
        quality: Option<u8>,
        rng: &mut StdRng,
    ) -> Result<()> {
        if sigma > 0.0 {
            add_noise(pixels, size, &NOISE, sigma, rng);
        }
        if let Some(quality) = quality {
            self.through_jpeg(pixels, size, quality)
                .context("cannot make JPEG artefacts")?;
        }
        Ok(())
    }

    /// Mean along a line of `length` pixels at `angle` radians.
    fn motion_blur(&mut self, crop: &mut [u8], size: usize, length: f32, angle: f32) {
        let taps = (length.round() as usize).clamp(2, 64);
        let reach = taps / 2 + 1;
        let (sin, cos) = angle.sin_cos();
        let offsets: Vec<(i32, i32)> = (0..taps)
            .map(|tap| {
                let along = tap as f32 - (taps - 1) as f32 / 2.0;
                ((along * cos).round() as i32, (along * sin).round() as i32)
            })
            .collect();
        let weight = (65536 / taps) as u32;
        self.pad(crop, size, reach);
        let stride = (size + 2 * reach) * 3;
        let row_bytes = size * 3;
        self.sums.resize(row_bytes, 0);
        for (y, row) in crop.chunks_exact_mut(row_bytes).enumerate() {
            self.sums.fill(0);
            for &(dx, dy) in &offsets {
                let start = (y as i32 + dy + reach as i32) as usize * stride
                    + (dx + reach as i32) as usize * 3;
                let line = &self.padded[start..start + row_bytes];
                for (sum, &value) in self.sums.iter_mut().zip(line) {
                    *sum += u16::from(value);
                }
            }
            for (value, &sum) in row.iter_mut().zip(&self.sums) {
                *value = ((u32::from(sum) * weight + (1 << 15)) >> 16) as u8;
            }
        }
    }

    /// Gaussian blur of standard deviation `sigma` pixels, across and then down.
    fn focus_blur(&mut self, crop: &mut [u8], size: usize, sigma: f32) {
        let kernel = Kernel::gaussian(sigma);
        let reach = kernel.reach();
        self.pad(crop, size, reach);
        let wide = (size + 2 * reach) * 3;
        let row_bytes = size * 3;
        // Across, over the padding's rows too: the pass down needs them.
        let mut across = std::mem::take(&mut self.small);
        across.resize((size + 2 * reach) * row_bytes, 0);
        for (row, line) in across
            .chunks_exact_mut(row_bytes)
            .zip(self.padded.chunks_exact(wide))
        {
            kernel.sum(row, &mut self.sums, |tap| {
                &line[tap * 3..tap * 3 + row_bytes]
            });
        }
        for (y, row) in crop.chunks_exact_mut(row_bytes).enumerate() {
            kernel.sum(row, &mut self.sums, |tap| {
                &across[(y + tap) * row_bytes..(y + tap + 1) * row_bytes]
            });
        }
        self.small = across;
    }

    /// Copies the crop into `padded` with `reach` pixels of its edge around it.
    fn pad(&mut self, crop: &[u8], size: usize, reach: usize) {
        let stride = (size + 2 * reach) * 3;
        self.padded.resize((size + 2 * reach) * stride, 0);
        for (y, line) in self.padded.chunks_exact_mut(stride).enumerate() {
            let row = y.saturating_sub(reach).min(size - 1) * size * 3;
            let row = &crop[row..row + size * 3];
            let (left, rest) = line.split_at_mut(reach * 3);
            let (middle, right) = rest.split_at_mut(size * 3);
            middle.copy_from_slice(row);
            for pixel in left.as_chunks_mut::<3>().0 {
                pixel.copy_from_slice(&row[..3]);
            }
            for pixel in right.as_chunks_mut::<3>().0 {
                pixel.copy_from_slice(&row[row.len() - 3..]);
            }
        }
    }

    fn through_jpeg(&mut self, pixels: &mut [u8], size: usize, quality: u8) -> Result<()> {
        self.jpeg.clear();
        let side = u32::try_from(size)?;
        JpegEncoder::new_with_quality(&mut self.jpeg, quality).encode(
            pixels,
            side,
            side,
            ExtendedColorType::Rgb8,
        )?;
        let options = DecoderOptions::new_fast().jpeg_set_out_colorspace(ColorSpace::RGB);
        JpegDecoder::new_with_options(ZCursor::new(&self.jpeg), options).decode_into(pixels)?;
        Ok(())
    }
}

/// A symmetric kernel whose weights sum to 256.
#[derive(Debug)]
struct Kernel {
    weights: Vec<u16>,
}

impl Kernel {
    fn gaussian(sigma: f32) -> Kernel {
        let reach = (sigma * 2.5).ceil().clamp(1.0, 16.0) as i32;
        let bell: Vec<f32> = (-reach..=reach)
            .map(|at| (-((at * at) as f32) / (2.0 * sigma * sigma)).exp())
            .collect();
        let total: f32 = bell.iter().sum();
        let mut weights: Vec<u16> = bell
            .iter()
            .map(|value| (value / total * 256.0).round() as u16)
            .collect();
        // Rounding must not change the brightness.
        let sum: u16 = weights.iter().sum();
        let middle = reach as usize;
        weights[middle] = (weights[middle] + 256).saturating_sub(sum);
        Kernel { weights }
    }

    fn reach(&self) -> usize {
        self.weights.len() / 2
    }

    /// Writes the weighted sum of the kernel's lines to `out`.
    fn sum<'a>(&self, out: &mut [u8], sums: &mut Vec<u16>, line: impl Fn(usize) -> &'a [u8]) {
        sums.clear();
        sums.resize(out.len(), 128);
        for (tap, &weight) in self.weights.iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(line(tap)) {
                *sum += u16::from(value) * weight;
            }
        }
        for (value, &sum) in out.iter_mut().zip(sums.iter()) {
            *value = (sum >> 8) as u8;
        }
    }
}

fn resize(
    resizer: &mut Resizer,
    from: &[u8],
    from_side: usize,
    to: &mut [u8],
    to_side: usize,
) -> Result<()> {
    let (from_side, to_side) = (u32::try_from(from_side)?, u32::try_from(to_side)?);
    let source = TypedImageRef::<U8x3>::from_buffer(from_side, from_side, from)?;
    let mut target = TypedImage::<U8x3>::from_buffer(to_side, to_side, to)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer.resize_typed(&source, &mut target, &options)?;
    Ok(())
}

/// Adds noise of standard deviation `sigma` grey levels.
fn add_noise(pixels: &mut [u8], size: usize, noise: &[i8], sigma: f32, rng: &mut StdRng) {
    let row_bytes = size * 3;
    let gain = (sigma / NOISE_SIGMA * 256.0).round() as i16;
    for row in pixels.chunks_mut(row_bytes) {
        let start = rng.random_range(0..=noise.len().saturating_sub(row_bytes));
        for (value, &deviation) in row.iter_mut().zip(&noise[start..]) {
            let change = (i16::from(deviation) * gain) >> 8;
            *value = (i16::from(*value) + change).clamp(0, 255) as u8;
        }
    }
}

/// Erases a rectangle of 2 to 15 % of the area: with a colour, or with noise.
fn erase(crop: &mut [u8], size: usize, noise: &[i8], rng: &mut StdRng) {
    let side = size as f32;
    let area = between(rng, (0.02, 0.15)) * side * side;
    let aspect = between(rng, (-1.2, 1.2)).exp();
    let extent = |length: f32| (length as usize).clamp(1, size);
    let (width, height) = (
        extent((area * aspect).sqrt()),
        extent((area / aspect).sqrt()),
    );
    let left = rng.random_range(0..=size - width);
    let top = rng.random_range(0..=size - height);
    let colour = draw_colour(rng);
    let noisy = chance(rng, 0.5);
    for row in crop.chunks_exact_mut(size * 3).skip(top).take(height) {
        let bytes = &mut row[left * 3..(left + width) * 3];
        for pixel in bytes.as_chunks_mut::<3>().0 {
            *pixel = colour;
        }
        if noisy {
            add_noise(bytes, width, noise, 50.0, rng);
        }
    }
}

/// Box-Muller over a fixed sequence.
fn draw_noise() -> Vec<i8> {
    use rand::SeedableRng;
    let mut rng = StdRng::seed_from_u64(0);
    (0..NOISE_LEN)
        .map(|_| {
            let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
            let angle = std::f32::consts::TAU * rng.random::<f32>();
            (radius * angle.cos() * NOISE_SIGMA)
                .round()
                .clamp(-127.0, 127.0) as i8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const SIZE: usize = 48;

    /// A white square on black.
    fn square() -> Vec<u8> {
        let inside = |at: usize| (16..32).contains(&(at % SIZE)) && (16..32).contains(&(at / SIZE));
        (0..SIZE * SIZE)
            .flat_map(|at| [if inside(at) { 255 } else { 0 }; 3])
            .collect()
    }

    fn mean(pixels: &[u8]) -> f64 {
        pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / pixels.len() as f64
    }

    fn at(pixels: &[u8], x: usize, y: usize) -> u8 {
        pixels[(y * SIZE + x) * 3]
    }

    #[test]
    fn focus_blur_softens_edges_and_keeps_the_brightness() {
        let mut crop = square();
        let before = mean(&crop);
        Degrader::default().focus_blur(&mut crop, SIZE, 1.5);
        assert!((mean(&crop) - before).abs() < 1.0);
        assert!(
            (40..215).contains(&at(&crop, 16, 24)),
            "{}",
            at(&crop, 16, 24)
        );
        assert_eq!(at(&crop, 24, 24), 255);
    }

    #[test]
    fn motion_blur_smears_along_its_line_only() {
        let mut crop = square();
        Degrader::default().motion_blur(&mut crop, SIZE, 9.0, 0.0);
        assert!((40..215).contains(&at(&crop, 14, 24)), "not smeared across");
        assert_eq!(at(&crop, 24, 14), 0, "smeared down");
        let mut white = vec![255; SIZE * SIZE * 3];
        Degrader::default().motion_blur(&mut white, SIZE, 7.0, 1.0);
        assert!(white.iter().all(|&v| v >= 254), "white became darker");
    }

    #[test]
    fn noise_has_the_spread_that_was_asked_for() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut pixels = vec![128; SIZE * SIZE * 3];
        add_noise(&mut pixels, SIZE, &NOISE, 8.0, &mut rng);
        let variance = pixels
            .iter()
            .map(|&v| (f64::from(v) - 128.0).powi(2))
            .sum::<f64>()
            / pixels.len() as f64;
        assert!((7.0..9.0).contains(&variance.sqrt()), "{}", variance.sqrt());
        assert!((mean(&pixels) - 128.0).abs() < 1.5);
    }

    #[test]
    fn jpeg_changes_pixels_but_not_the_picture() {
        // Off the codec's blocks of 8 x 8 pixels, which would keep the square as it is.
        let mut crop = square();
        crop.rotate_right(3 * (SIZE + 1) * 3);
        let before = crop.clone();
        Degrader::default()
            .through_jpeg(&mut crop, SIZE, 30)
            .unwrap();
        assert!(crop != before);
        assert!(at(&crop, 27, 27) > 230 && at(&crop, 4, 4) < 25);
    }

    #[test]
    fn few_pixels_lose_detail_and_keep_the_brightness() {
        let stripes: Vec<u8> = (0..SIZE * SIZE)
            .flat_map(|at| [if at % 2 == 0 { 40 } else { 220 }; 3])
            .collect();
        let recipe = Recipe {
            low_resolution: 1.0,
            ..Recipe::NONE
        };
        let mut rng = StdRng::seed_from_u64(2);
        let mut crop = stripes.clone();
        Degrader::default()
            .apply(&recipe, 0.0, SIZE, &mut rng, &mut crop)
            .unwrap();
        let contrast = at(&crop, 20, 20).abs_diff(at(&crop, 21, 20));
        assert!(contrast < 120, "{contrast}");
        assert!((mean(&crop) - mean(&stripes)).abs() < 3.0);
    }

    #[test]
    fn between_2_and_15_percent_are_erased() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut crop = vec![1; SIZE * SIZE * 3];
            erase(&mut crop, SIZE, &NOISE, &mut rng);
            let changed = crop.chunks(3).filter(|pixel| pixel != &[1, 1, 1]).count() as f32
                / (SIZE * SIZE) as f32;
            assert!(
                (0.005..=0.16).contains(&changed),
                "{changed} at seed {seed}"
            );
        }
    }
}

//! From a picture and a square in it to the network's input: the one way, in training and live.
//!
//! Training, `eval`, `predict` and the live path all crop here, so that a network never meets a
//! picture that was resampled or padded otherwise than those it learned from.

use anyhow::{Context, Result, bail, ensure};
use fast_image_resize::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::base::frame::{Region, Square};
use crate::model::MAX_INPUT_SIZE;

/// What lies outside the picture, in each channel: the networks' normalisation mean (114 of 255,
/// see [`crate::model`]), which is zero to a network and equals its own zero padding.
pub const OUTSIDE: u8 = 114;

/// What is cropped may be this many times as wide as the picture's larger side. A wider crop holds
/// next to nothing of the picture and can only come from a broken box.
const MAX_SIDE: f64 = 16.0;

/// The largest crop, in pixels a side: no network takes a larger one.
pub const MAX_SIZE: usize = MAX_INPUT_SIZE;

/// Cuts squares out of pictures and scales them to a network's input size.
///
/// Scaling is bilinear with the filter widened by the scale where it shrinks (antialiased), as
/// [`fast_image_resize`] does it. Pixel buffers are kept from call to call; only the resizer's
/// coefficient tables, a few kB, are made anew for each crop.
#[derive(Debug, Clone)]
pub struct Cropper {
    resizer: Resizer,
    options: ResizeOptions,
    /// The part of the picture that the crop touches, with a margin of [`OUTSIDE`].
    padded: Vec<u8>,
}

impl Default for Cropper {
    fn default() -> Self {
        Self::new()
    }
}

impl Cropper {
    /// A cropper without buffers; the first crops make them.
    pub fn new() -> Self {
        Cropper {
            resizer: Resizer::new(),
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
                .use_alpha(false),
            padded: Vec::new(),
        }
    }

    /// Scales `square` of a picture to `size` x `size` pixels in `out`.
    ///
    /// `pixels` holds `height * width` pixels of three bytes (R, G, B), row by row; `out` takes
    /// `size * size` of them. What the square holds beyond the picture is [`OUTSIDE`].
    ///
    /// # Errors
    /// When a buffer's length does not match its size, or the square is degenerate: not finite,
    /// narrower than a pixel, wholly outside the picture, or more than 16 times its larger side.
    pub fn crop(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        square: Square,
        size: usize,
        out: &mut [u8],
    ) -> Result<()> {
        self.squeeze(pixels, width, height, square.into(), size, out)
    }

    /// As [`Cropper::crop`] of a region of any proportions, which is squeezed into the square.
    ///
    /// # Errors
    /// As [`Cropper::crop`].
    pub fn squeeze(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        region: Region,
        size: usize,
        out: &mut [u8],
    ) -> Result<()> {
        check_buffers(pixels, width, height, size, out)?;
        check_region(region, width, height)?;

        let (left, top) = (f64::from(region.left), f64::from(region.top));
        let (wide, high) = (f64::from(region.width), f64::from(region.height));
        let inside =
            left >= 0.0 && top >= 0.0 && left + wide <= width as f64 && top + high <= height as f64;
        if inside {
            let source = rgb(pixels, width, height)?;
            let mut target = rgb_mut(out, size)?;
            let options = self.options.crop(left, top, wide, high);
            return self
                .resizer
                .resize_typed(&source, &mut target, &options)
                .context("cannot scale a crop");
        }

        let columns = Span::of(left, wide, width, size);
        let rows = Span::of(top, high, height, size);
        out.fill(OUTSIDE);
        self.pad(pixels, width, height, &columns, &rows);
        let source = rgb(&self.padded, columns.source_len(), rows.source_len())?;
        let mut target = TypedCroppedImageMut::new(
            rgb_mut(out, size)?,
            columns.first as u32,
            rows.first as u32,
            columns.target_len() as u32,
            rows.target_len() as u32,
        )
        .context("cannot place a crop")?;
        let options = self.options.crop(
            columns.start_in_source(),
            rows.start_in_source(),
            columns.target_len() as f64 * columns.step,
            rows.target_len() as f64 * rows.step,
        );
        self.resizer
            .resize_typed(&source, &mut target, &options)
            .context("cannot scale a crop that reaches beyond the picture")
    }

    /// Copies the spans' part of the picture into `padded`, everything around it [`OUTSIDE`].
    fn pad(&mut self, pixels: &[u8], width: usize, height: usize, columns: &Span, rows: &Span) {
        let padded_width = columns.source_len();
        self.padded.clear();
        self.padded
            .resize(padded_width * rows.source_len() * 3, OUTSIDE);
        let (x0, x1) = columns.within(width);
        let (y0, y1) = rows.within(height);
        let indent = (x0 as i64 - columns.source_start) as usize;
        for y in y0..y1 {
            let row = (y as i64 - rows.source_start) as usize;
            let to = (row * padded_width + indent) * 3;
            let from = (y * width + x0) * 3;
            let len = (x1 - x0) * 3;
            self.padded[to..to + len].copy_from_slice(&pixels[from..from + len]);
        }
    }
}

/// One axis of a crop that reaches beyond the picture: the crop's pixels that see any of the
/// picture, and the source pixels that those see. The rest of the crop is constant, so the
/// padded copy never exceeds the picture by more than the filter's reach, however large the
/// region is.
#[derive(Debug)]
struct Span {
    /// Where the region starts in the picture, in source pixels.
    origin: f64,
    /// Source pixels for each pixel of the crop.
    step: f64,
    /// First pixel of the crop that sees the picture.
    first: usize,
    /// One beyond the last.
    end: usize,
    /// First source pixel needed; negative where it lies before the picture.
    source_start: i64,
    /// One beyond the last.
    source_end: i64,
}

impl Span {
    fn of(origin: f64, side: f64, picture: usize, size: usize) -> Self {
        let step = side / size as f64;
        // The bilinear filter reaches one source pixel, or one crop pixel where that is wider.
        let reach = step.max(1.0);
        let first = ((-origin - reach) / step - 0.5).floor().max(0.0) as usize;
        let end = ((picture as f64 - origin + reach) / step + 0.5)
            .ceil()
            .clamp(0.0, size as f64) as usize;
        Span {
            origin,
            step,
            first,
            end,
            source_start: (origin + first as f64 * step - reach).floor() as i64,
            source_end: (origin + end as f64 * step + reach).ceil() as i64,
        }
    }

    fn target_len(&self) -> usize {
        self.end - self.first
    }

    fn source_len(&self) -> usize {
        (self.source_end - self.source_start) as usize
    }

    /// Where the first crop pixel that sees the picture starts, from `source_start`.
    fn start_in_source(&self) -> f64 {
        self.origin + self.first as f64 * self.step - self.source_start as f64
    }

    /// The needed source pixels that the picture holds.
    fn within(&self, picture: usize) -> (usize, usize) {
        let limit = picture as i64;
        let start = self.source_start.clamp(0, limit);
        let end = self.source_end.clamp(start, limit);
        (start as usize, end as usize)
    }
}

fn check_buffers(
    pixels: &[u8],
    width: usize,
    height: usize,
    size: usize,
    out: &[u8],
) -> Result<()> {
    let expected = width.checked_mul(height).and_then(|n| n.checked_mul(3));
    ensure!(
        width > 0 && height > 0 && u32::try_from(width.max(height)).is_ok(),
        "cannot crop a picture of {width} x {height} pixels"
    );
    ensure!(
        expected == Some(pixels.len()),
        "a picture of {width} x {height} RGB pixels cannot have {} bytes",
        pixels.len()
    );
    ensure!(
        (1..=MAX_SIZE).contains(&size),
        "a crop's side must be 1 to {MAX_SIZE} pixels, not {size}"
    );
    ensure!(
        out.len() == size * size * 3,
        "a crop of {size} x {size} RGB pixels does not fit a buffer of {} bytes",
        out.len()
    );
    Ok(())
}

/// Whether [`Cropper::squeeze`] takes this region of a picture of `width` x `height` pixels.
pub fn can_crop(region: Region, width: usize, height: usize) -> bool {
    check_region(region, width, height).is_ok()
}

fn check_region(region: Region, width: usize, height: usize) -> Result<()> {
    let Region {
        left,
        top,
        width: wide,
        height: high,
    } = region;
    let numbers = [left, top, wide, high];
    if !numbers.iter().all(|number| number.is_finite()) || wide.min(high) < 1.0 {
        bail!("what to crop is degenerate: {wide} x {high} pixels at ({left}, {top})");
    }
    let larger = width.max(height) as f64;
    ensure!(
        f64::from(wide.max(high)) <= MAX_SIDE * larger,
        "what to crop has {wide} x {high} pixels in a picture of {width} x {height}"
    );
    let (right, bottom) = (
        f64::from(left) + f64::from(wide),
        f64::from(top) + f64::from(high),
    );
    ensure!(
        f64::from(left) < width as f64
            && f64::from(top) < height as f64
            && right > 0.0
            && bottom > 0.0,
        "what to crop, {wide} x {high} pixels at ({left}, {top}), \
         lies outside the picture of {width} x {height}"
    );
    Ok(())
}

fn rgb(pixels: &[u8], width: usize, height: usize) -> Result<TypedImageRef<'_, U8x3>> {
    TypedImageRef::from_buffer(width as u32, height as u32, pixels)
        .context("cannot crop from the picture's pixels")
}

fn rgb_mut(out: &mut [u8], size: usize) -> Result<TypedImage<'_, U8x3>> {
    TypedImage::from_buffer(size as u32, size as u32, out).context("cannot crop into the buffer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::frame::Rect;

    /// A picture whose every pixel is told apart from its neighbours.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        (0..height)
            .flat_map(|y| {
                (0..width).flat_map(move |x| [(x * 5) as u8, (y * 7) as u8, ((x ^ y) * 3) as u8])
            })
            .collect()
    }

    fn crop(pixels: &[u8], width: usize, height: usize, square: Square, size: usize) -> Vec<u8> {
        let mut out = vec![0; size * size * 3];
        Cropper::new()
            .crop(pixels, width, height, square, size, &mut out)
            .unwrap();
        out
    }

    fn square(left: f32, top: f32, side: f32) -> Square {
        Square { left, top, side }
    }

    #[test]
    fn a_square_of_the_crops_own_size_is_copied() {
        let pixels = picture(20, 16);
        let out = crop(&pixels, 20, 16, square(3.0, 2.0, 8.0), 8);
        for y in 0..8 {
            let at = ((y + 2) * 20 + 3) * 3;
            assert_eq!(out[y * 24..(y + 1) * 24], pixels[at..at + 24], "row {y}");
        }
    }

    #[test]
    fn shrinking_averages_instead_of_skipping_pixels() {
        let stripes: Vec<u8> = (0..64 * 64)
            .flat_map(|i| [if i % 2 == 0 { 0 } else { 200 }; 3])
            .collect();
        let out = crop(&stripes, 64, 64, square(0.0, 0.0, 64.0), 8);
        assert!(
            out.iter().all(|&v| (95..=105).contains(&v)),
            "fine stripes alias: {out:?}"
        );
    }

    #[test]
    fn a_region_of_other_proportions_is_squeezed_into_the_square() {
        // Red on the left half, green on the right, blue below.
        let (width, height) = (96, 32);
        let pixels: Vec<u8> = (0..width * height)
            .flat_map(|at| match (at % width, at / width) {
                (_, 24..) => [0, 0, 255],
                (..48, _) => [255, 0, 0],
                _ => [0, 255, 0],
            })
            .collect();
        let whole = Rect::FULL.region(width, height);
        let mut out = vec![0; 16 * 16 * 3];
        let mut cropper = Cropper::new();
        cropper
            .squeeze(&pixels, width, height, whole, 16, &mut out)
            .unwrap();
        let pixel = |x: usize, y: usize| &out[(y * 16 + x) * 3..][..3];
        assert_eq!(pixel(0, 0), [255, 0, 0]);
        assert_eq!(pixel(6, 10), [255, 0, 0]);
        assert_eq!(pixel(9, 10), [0, 255, 0]);
        assert_eq!(pixel(15, 15), [0, 0, 255]);
    }

    #[test]
    fn outside_the_picture_is_grey_and_the_rest_stays_in_place() {
        let red = [255, 0, 0].repeat(40 * 40);
        let out = crop(&red, 40, 40, square(-20.0, -20.0, 80.0), 80);
        let pixel = |x: usize, y: usize| &out[(y * 80 + x) * 3..][..3];
        assert_eq!(pixel(0, 0), [OUTSIDE; 3]);
        assert_eq!(pixel(79, 40), [OUTSIDE; 3]);
        assert_eq!(pixel(18, 40), [OUTSIDE; 3]);
        assert_eq!(pixel(21, 21), [255, 0, 0]);
        assert_eq!(pixel(58, 58), [255, 0, 0]);
        assert_eq!(pixel(61, 58), [OUTSIDE; 3]);
    }

    /// The crop's own padding against a picture that was padded by hand: the same bytes for
    /// shrinking, enlarging and odd offsets.
    #[test]
    fn a_crop_beyond_the_edge_equals_one_from_a_padded_picture() {
        let (width, height, margin) = (30, 22, 90);
        let pixels = picture(width, height);
        let (wide, high) = (width + 2 * margin, height + 2 * margin);
        let mut padded = vec![OUTSIDE; wide * high * 3];
        for y in 0..height {
            let to = ((y + margin) * wide + margin) * 3;
            padded[to..to + width * 3].copy_from_slice(&pixels[y * width * 3..][..width * 3]);
        }
        for (left, top, side, size) in [
            (-3.3, 5.1, 19.7, 16),
            (12.0, -2.5, 40.0, 12),
            (-20.0, -25.0, 75.5, 32),
            (20.25, 14.75, 12.0, 48),
            (-8.0, 3.0, 9.0, 64),
        ] {
            let ours = crop(&pixels, width, height, square(left, top, side), size);
            let moved = square(left + margin as f32, top + margin as f32, side);
            let reference = crop(&padded, wide, high, moved, size);
            let worst = ours
                .iter()
                .zip(&reference)
                .map(|(&a, &b)| a.abs_diff(b))
                .max();
            assert!(
                worst <= Some(1),
                "square ({left}, {top}, {side}) to {size}: off by {worst:?}"
            );
        }
    }

    #[test]
    fn a_huge_square_takes_no_more_memory_than_the_picture_and_the_filters_reach() {
        let pixels = picture(32, 24);
        let mut cropper = Cropper::new();
        let mut out = vec![0; 16 * 16 * 3];
        cropper
            .crop(&pixels, 32, 24, square(-240.0, -240.0, 512.0), 16, &mut out)
            .unwrap();
        assert!(
            cropper.padded.len() < 512 * 512 * 3 / 2,
            "{} bytes",
            cropper.padded.len()
        );
        assert!(out.iter().any(|&v| v != OUTSIDE), "the picture is gone");
    }

    #[test]
    fn a_degenerate_square_is_an_error() {
        let pixels = picture(32, 24);
        let mut out = vec![0; 8 * 8 * 3];
        let mut cropper = Cropper::new();
        for broken in [
            square(f32::NAN, 0.0, 8.0),
            square(0.0, f32::INFINITY, 8.0),
            square(0.0, 0.0, f32::NAN),
            square(0.0, 0.0, 0.0),
            square(0.0, 0.0, -5.0),
            square(0.0, 0.0, 1e9),
            square(f32::MAX, 0.0, 8.0),
            square(40.0, 0.0, 8.0),
            square(-8.0, 0.0, 8.0),
            square(0.0, -30.0, 8.0),
        ] {
            let result = cropper.crop(&pixels, 32, 24, broken, 8, &mut out);
            assert!(result.is_err(), "{broken:?} was cropped");
        }
    }

    #[test]
    fn buffers_that_do_not_fit_their_size_are_an_error() {
        let pixels = picture(32, 24);
        let mut out = vec![0; 8 * 8 * 3];
        let whole = square(0.0, 0.0, 24.0);
        let mut cropper = Cropper::new();
        assert!(cropper.crop(&pixels, 33, 24, whole, 8, &mut out).is_err());
        assert!(cropper.crop(&pixels, 32, 24, whole, 9, &mut out).is_err());
        assert!(cropper.crop(&[], 0, 0, whole, 8, &mut out).is_err());
        assert!(
            cropper
                .crop(&pixels, usize::MAX, 2, whole, 8, &mut out)
                .is_err()
        );
    }
}

//! Pictures as small as a clip shows them.

use anyhow::{Context, Result};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// The largest width and height, in pixels.
const LARGEST: f64 = 480.0;

/// Makes pictures small enough for a clip.
pub(super) struct Scaler {
    from: (usize, usize),
    pub width: usize,
    pub height: usize,
    resizer: Resizer,
    scaled: Vec<U8x4>,
    spare: Vec<[u8; 3]>,
}

impl Scaler {
    pub fn new(width: usize, height: usize) -> Scaler {
        let scale = (LARGEST / width.max(height).max(1) as f64).min(1.0);
        let side = |pixels: usize| ((pixels as f64 * scale).round() as usize).max(1);
        Scaler {
            from: (width, height),
            width: side(width),
            height: side(height),
            resizer: Resizer::new(),
            scaled: vec![U8x4::new([0; 4]); side(width) * side(height)],
            spare: Vec::new(),
        }
    }

    /// The pixels of a picture of rows of B, G, R and an unused byte, scaled, as R, G, B.
    pub fn scale(&mut self, bgr0: &[u8]) -> Result<Vec<[u8; 3]>> {
        let (width, height) = self.from;
        let source = TypedImageRef::<U8x4>::from_buffer(width as u32, height as u32, bgr0)?;
        let mut target = TypedImage::<U8x4>::from_pixels_slice(
            self.width as u32,
            self.height as u32,
            &mut self.scaled,
        )?;
        // The unused byte is no opacity.
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false);
        (self.resizer)
            .resize_typed(&source, &mut target, &options)
            .context("cannot scale a picture")?;
        let mut pixels = std::mem::take(&mut self.spare);
        pixels.extend(self.scaled.iter().map(|pixel| {
            let [b, g, r, _] = pixel.0;
            [r, g, b]
        }));
        Ok(pixels)
    }

    /// Takes an emptied buffer back, for its memory.
    pub fn give_back(&mut self, pixels: Vec<[u8; 3]>) {
        self.spare = pixels;
    }
}

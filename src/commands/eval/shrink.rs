//! Pictures as they would be with the hand farther away.

use anyhow::{Context, Result};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::base::frame::Rect;
use crate::base::picture::Picture;
use crate::demo::Chance;

/// A picture at a fraction of its size on a backdrop as large as it was.
#[derive(Debug)]
pub(super) struct Shrunk {
    pub picture: Picture,
    /// Where it lies on the backdrop.
    place: Rect,
}

impl Shrunk {
    /// `picture` at one `times`-th of its width and height, in a place drawn from `seed`; its edges
    /// go on to those of the backdrop.
    ///
    /// # Errors
    /// When it cannot be scaled.
    pub(super) fn of(picture: &Picture, times: usize, seed: u64) -> Result<Self> {
        let (width, height) = (picture.width, picture.height);
        let (small_width, small_height) = ((width / times).max(1), (height / times).max(1));
        let small = scaled(picture, small_width, small_height)?;
        let mut chance = Chance::seeded(seed);
        let mut start = |free: usize| (chance.share() * (free + 1) as f32) as usize;
        let (left, top) = (start(width - small_width), start(height - small_height));
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let row = y.saturating_sub(top).min(small_height - 1) * small_width;
            for x in 0..width {
                let at = (row + x.saturating_sub(left).min(small_width - 1)) * 3;
                pixels.extend_from_slice(&small[at..at + 3]);
            }
        }
        let share = |part: usize, whole: usize| part as f32 / whole as f32;
        Ok(Shrunk {
            picture: Picture {
                width,
                height,
                pixels,
            },
            place: Rect {
                x0: share(left, width),
                y0: share(top, height),
                x1: share(left + small_width, width),
                y1: share(top + small_height, height),
            },
        })
    }

    /// Where a point of the picture lies now, both in fractions.
    pub(super) fn point(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            self.place.x0 + x * self.place.width(),
            self.place.y0 + y * self.place.height(),
        ]
    }

    /// Where a box of the picture lies now, both in fractions.
    pub(super) fn rect(&self, rect: Rect) -> Rect {
        let ([x0, y0], [x1, y1]) = (
            self.point([rect.x0, rect.y0]),
            self.point([rect.x1, rect.y1]),
        );
        Rect { x0, y0, x1, y1 }
    }
}

fn scaled(picture: &Picture, width: usize, height: usize) -> Result<Vec<u8>> {
    let scale = || -> Result<Vec<u8>> {
        let mut pixels = vec![0; width * height * 3];
        let from = (picture.width as u32, picture.height as u32);
        let source = TypedImageRef::<U8x3>::from_buffer(from.0, from.1, &picture.pixels)?;
        let mut target = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut pixels)?;
        let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = ResizeOptions::new().resize_alg(lanczos).use_alpha(false);
        Resizer::new().resize_typed(&source, &mut target, &options)?;
        Ok(pixels)
    };
    scale().context("cannot shrink a picture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_a_box_is_in_the_box_of_its_new_place_and_the_edges_go_on() {
        let (width, height) = (120, 80);
        let red = Rect {
            x0: 0.25,
            y0: 0.25,
            x1: 0.75,
            y1: 0.75,
        };
        let pixels = (0..width * height).flat_map(|at| {
            let inside = (30..90).contains(&(at % width)) && (20..60).contains(&(at / width));
            if inside { [255, 0, 0] } else { [0, 0, 255] }
        });
        let picture = Picture {
            width,
            height,
            pixels: pixels.collect(),
        };
        let mut places = Vec::new();
        for seed in 0..9 {
            let shrunk = Shrunk::of(&picture, 4, seed).unwrap();
            let small = &shrunk.picture;
            assert_eq!((small.width, small.height), (width, height));
            let place = shrunk.rect(red);
            assert!((place.width() - 0.125).abs() < 1e-6, "{place:?}");
            let pixel = |x: f32, y: f32| {
                let at = (y * height as f32) as usize * width + (x * width as f32) as usize;
                &small.pixels[at * 3..][..3]
            };
            let middle = [(place.x0 + place.x1) / 2.0, (place.y0 + place.y1) / 2.0];
            assert_eq!(pixel(middle[0], middle[1]), [255, 0, 0]);
            assert_eq!(pixel(0.0, 0.0), [0, 0, 255]);
            assert_eq!(pixel(0.999, middle[1]), [0, 0, 255]);
            places.push(place.x0);
        }
        places.dedup();
        assert!(places.len() > 5, "{places:?}");
    }
}

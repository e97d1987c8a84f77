//! From a picture and the place of its subject to a network's input, varied for training.
//!
//! Geometry is shared between two steps. Everything that a crop of an upright square cannot do
//! (rotation, shear, perspective, mirroring) is one warp of the neighbourhood, at the picture's
//! own resolution (`geometry`). Place and scale are those of the square that
//! [`Cropper::crop`], the very function that crops live frames, then cuts from the warped
//! neighbourhood and scales to the network's input: whatever the recipe, the last resampling a
//! training picture goes through is the one a live picture goes through. Without a warp the crop
//! comes straight from the picture, bit for bit as it does live.
//!
//! Colours, blur and noise are then changed on the small crop, in bytes and with lookup tables.
//!
//! Every choice comes from the random number generator that the caller seeds.

mod background;
mod colour;
mod degrade;
mod geometry;
mod recipe;
mod subject;

use anyhow::Result;
use rand::rngs::StdRng;

use super::dataset::HandPoints;
use crate::recognize::crop::Cropper;

pub use background::Backdrop;
pub(super) use colour::draw_colour;
pub use recipe::{Border, Recipe};
pub use subject::{CropPoints, Subject};

/// Makes crops by one recipe. Keeps its buffers from crop to crop; one per thread.
#[derive(Debug)]
pub struct Augmenter {
    recipe: Recipe,
    size: usize,
    cropper: Cropper,
    warped: Vec<u8>,
    composer: background::Composer,
    degrade: degrade::Degrader,
}

impl Augmenter {
    /// Makes crops of `size` x `size` pixels by `recipe`.
    pub fn new(recipe: Recipe, size: usize) -> Augmenter {
        Augmenter {
            recipe,
            size,
            cropper: Cropper::new(),
            warped: Vec::new(),
            composer: background::Composer::default(),
            degrade: degrade::Degrader::default(),
        }
    }

    /// Bytes of one crop: `size * size` pixels of three bytes (R, G, B), row by row.
    pub fn bytes(&self) -> usize {
        self.size * self.size * 3
    }

    /// Whether the recipe wants a new background behind a subject.
    pub fn wants_backdrop(&self, subject: &Subject, rng: &mut StdRng) -> bool {
        let chance = if subject.cut_out {
            self.recipe.cut_out_background
        } else if subject.points.is_some() {
            self.recipe.background
        } else {
            0.0
        };
        recipe::chance(rng, chance)
    }

    /// Writes one crop of `subject` to `out`, in front of `backdrop` where one is given, and says
    /// where its joints went.
    ///
    /// # Errors
    /// When the square or the buffer cannot be cropped to (see [`Cropper::crop`]).
    pub fn crop(
        &mut self,
        subject: &Subject,
        backdrop: Option<Backdrop>,
        rng: &mut StdRng,
        out: &mut [u8],
    ) -> Result<Option<CropPoints>> {
        let picture = subject.picture;
        let pixels = match backdrop {
            Some(backdrop) => self.composer.compose(subject, backdrop, rng)?,
            None => &picture.pixels,
        };
        let view = geometry::View::draw(&self.recipe, subject.square, rng);
        match view.warp() {
            None => self.cropper.crop(
                pixels,
                picture.width,
                picture.height,
                view.square(),
                self.size,
                out,
            )?,
            Some(warp) => {
                let border = recipe::pick_border(&self.recipe, rng);
                let source = geometry::Pixels {
                    width: picture.width,
                    height: picture.height,
                    rgb: pixels,
                };
                let canvas = warp.render(&source, border, &mut self.warped);
                self.cropper.crop(
                    &self.warped,
                    canvas.side,
                    canvas.side,
                    canvas.square,
                    self.size,
                    out,
                )?;
            }
        }
        let points = subject
            .points
            .map(|points| view.place(points, picture.width, picture.height));
        self.vary_pixels(points.as_ref().map(|placed| &placed.points), rng, out)?;
        Ok(points)
    }

    /// Draws a room without anybody in it.
    ///
    /// # Errors
    /// When `out` is not [`Augmenter::bytes`] long.
    pub fn draw_room(&mut self, rng: &mut StdRng, out: &mut [u8]) -> Result<()> {
        let room = background::draw_room(self.size, self.size, rng)?;
        anyhow::ensure!(
            out.len() == room.len(),
            "a room of {} bytes does not fit a buffer of {}",
            room.len(),
            out.len()
        );
        out.copy_from_slice(&room);
        self.vary_pixels(None, rng, out)
    }

    /// Varies the pixels of a picture that was placed otherwise: [`Augmenter::bytes`] of them.
    ///
    /// # Errors
    /// When it cannot be passed through a codec.
    pub fn vary(&mut self, rng: &mut StdRng, picture: &mut [u8]) -> Result<()> {
        self.vary_pixels(None, rng, picture)
    }

    /// Light, colour, sharpness, noise and holes.
    fn vary_pixels(
        &mut self,
        points: Option<&HandPoints>,
        rng: &mut StdRng,
        crop: &mut [u8],
    ) -> Result<()> {
        if recipe::chance(rng, self.recipe.skin) {
            colour::shift_skin(crop, self.size, points, rng);
        }
        let light = colour::Light::draw(&self.recipe, rng);
        colour::Grade::draw(&self.recipe, &light, crop, rng).apply(crop);
        self.degrade
            .apply(&self.recipe, light.noise, self.size, rng, crop)
    }
}

#[cfg(test)]
mod tests;

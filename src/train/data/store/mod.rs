//! Decoded pictures, kept in memory up to a budget.

mod black;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use crate::base::frame::Rect;
use crate::base::picture::{Picture, check_head};

/// Reads the head of every picture, so that a broken one is found before hours of training.
///
/// # Errors
/// Naming the first picture that cannot be read, and how many there are.
pub fn check_heads(paths: &[&Path]) -> Result<()> {
    let bad: Vec<anyhow::Error> = paths
        .par_iter()
        .filter_map(|path| check_head(path).err())
        .collect();
    let count = bad.len();
    match bad.into_iter().next() {
        None => Ok(()),
        Some(first) if count == 1 => Err(first),
        Some(first) => Err(first.context(format!(
            "{count} of {} pictures cannot be read; the first:",
            paths.len()
        ))),
    }
}

/// `picture` scaled to `1 / factor` of its size, with an antialiasing filter; the same picture
/// where `factor` is at most 1.
fn shrunk(picture: Picture, factor: f32) -> Result<Picture> {
    let scale = |side: usize| ((side as f32 / factor).round() as usize).max(1);
    let (width, height) = (scale(picture.width), scale(picture.height));
    if factor <= 1.0 || (width, height) == (picture.width, picture.height) {
        return Ok(picture);
    }
    let mut pixels = vec![0; width * height * 3];
    let from = TypedImageRef::<U8x3>::from_buffer(
        picture.width as u32,
        picture.height as u32,
        &picture.pixels,
    )?;
    let mut to = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut pixels)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize_typed(&from, &mut to, &options)?;
    Ok(Picture {
        width,
        height,
        pixels,
    })
}

/// A picture file, and how much of its resolution is needed.
#[derive(Debug, Clone)]
pub struct PictureFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What will be cropped from it.
    pub subject: Rect,
    /// The crop's side, as a multiple of the subject's larger side. The picture is kept no finer
    /// than makes that crop [`PictureStore::new`]'s `crop_side` pixels wide.
    pub scale: f32,
    /// Whether black bands at the picture's edges are left away: crops that reach beyond their
    /// frame were filled with black, which no live crop has there.
    pub trim: bool,
}

/// A decoded picture, or the part of it that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The pixels.
    pub picture: Picture,
    /// Which part of the file's picture they show, in fractions of it.
    pub part: Rect,
    /// Whether it shows something cut out on black.
    pub cut_out: bool,
}

impl Kept {
    /// A box in fractions of the file's picture, in fractions of what is kept of it.
    pub fn place(&self, rect: Rect) -> Rect {
        let [x0, y0] = self.place_point([rect.x0, rect.y0]);
        let [x1, y1] = self.place_point([rect.x1, rect.y1]);
        Rect { x0, y0, x1, y1 }
    }

    /// A point in fractions of the file's picture, in fractions of what is kept of it.
    pub fn place_point(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            (x - self.part.x0) / self.part.width(),
            (y - self.part.y0) / self.part.height(),
        ]
    }
}

/// Pictures by number, decoded when first asked for and kept while they fit the budget; those that
/// do not fit are decoded again each time.
#[derive(Debug)]
pub struct PictureStore {
    files: Vec<PictureFile>,
    crop_side: f32,
    budget: usize,
    used: AtomicUsize,
    kept: Vec<OnceLock<Arc<Kept>>>,
}

impl PictureStore {
    /// A store of `files` that keeps at most `budget` bytes of pixels, none of them finer than a
    /// crop of `crop_side` pixels needs.
    pub fn new(files: Vec<PictureFile>, crop_side: usize, budget: usize) -> PictureStore {
        let kept = files.iter().map(|_| OnceLock::new()).collect();
        PictureStore {
            files,
            crop_side: crop_side as f32,
            budget,
            used: AtomicUsize::new(0),
            kept,
        }
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes of pixels kept.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Picture `index`.
    ///
    /// # Errors
    /// When there is none of that number, or its file cannot be decoded.
    pub fn get(&self, index: usize) -> Result<Arc<Kept>> {
        let (file, slot) = self
            .files
            .get(index)
            .zip(self.kept.get(index))
            .with_context(|| format!("there is no picture {index}"))?;
        if let Some(picture) = slot.get() {
            return Ok(Arc::clone(picture));
        }
        let picture = Arc::new(self.decode(file)?);
        let bytes = picture.picture.pixels.len();
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > self.budget
            || slot.set(Arc::clone(&picture)).is_err()
        {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(picture)
    }

    fn decode(&self, file: &PictureFile) -> Result<Kept> {
        let picture = Picture::decode(&file.path)?;
        let square = file
            .subject
            .square(file.scale, picture.width, picture.height);
        let (picture, part, cut_out) = if file.trim {
            black::trim(picture)
        } else {
            (picture, Rect::FULL, false)
        };
        Ok(Kept {
            picture: shrunk(picture, square.side / self.crop_side)?,
            part,
            cut_out,
        })
    }

    /// Decodes the pictures on all cores, as many as fit the budget, and calls `done` after each.
    /// Those beyond the budget are decoded once all the same, so that a broken file is found now.
    ///
    /// # Errors
    /// When a picture cannot be decoded.
    pub fn preload(&self, done: impl Fn() + Sync) -> Result<()> {
        (0..self.len()).into_par_iter().try_for_each(|index| {
            self.get(index)?;
            done();
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    fn files(folder: &Path, sizes: &[u32]) -> Vec<PictureFile> {
        sizes
            .iter()
            .enumerate()
            .map(|(at, &side)| {
                let path = folder.join(format!("{at}.png"));
                RgbImage::from_pixel(side, side / 2, image::Rgb([at as u8, 20, 30]))
                    .save(&path)
                    .unwrap();
                PictureFile {
                    path,
                    subject: Rect::FULL,
                    scale: 1.0,
                    trim: false,
                }
            })
            .collect()
    }

    #[test]
    fn pictures_beyond_the_budget_are_read_again_and_still_right() {
        let folder = tempfile::tempdir().unwrap();
        let store = PictureStore::new(files(folder.path(), &[16; 4]), 100, 16 * 8 * 3 * 2);
        store.preload(|| ()).unwrap();
        assert_eq!(store.used(), 16 * 8 * 3 * 2);
        for at in 0..4 {
            let picture = store.get(at).unwrap();
            assert_eq!((picture.picture.width, picture.picture.height), (16, 8));
            assert_eq!(picture.picture.pixels[0], at as u8);
        }
    }

    #[test]
    fn a_picture_finer_than_the_crop_needs_is_kept_smaller() {
        let folder = tempfile::tempdir().unwrap();
        let store = PictureStore::new(files(folder.path(), &[400, 90]), 100, 1 << 20);
        let large = store.get(0).unwrap();
        assert_eq!((large.picture.width, large.picture.height), (100, 50));
        let small = store.get(1).unwrap();
        assert_eq!((small.picture.width, small.picture.height), (90, 45));
    }
}

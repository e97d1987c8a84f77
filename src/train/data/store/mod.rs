//! Decoded pictures, kept in memory up to a budget.

mod black;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;
use serde::Serialize;

use crate::base::frame::{Rect, Region};
use crate::base::picture::{Picture, check_head};
use crate::model::Reads;
use crate::recognize::crop::{Cropper, MAX_SIZE, can_crop};
use crate::train::data::copies::{Print, hash_pixels};

/// A picture that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Where it lies.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Unreadable {
    /// The picture at `path`, which gave `error`, whose outermost words name it.
    pub fn of(path: &Path, error: &anyhow::Error) -> Unreadable {
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        Unreadable {
            path: path.to_owned(),
            reason: match causes.is_empty() {
                true => error.to_string(),
                false => causes.join(": "),
            },
        }
    }
}

/// The first of them, a line each, after a line's end.
pub fn listed(unreadable: &[Unreadable]) -> String {
    let mut text: String = (unreadable.iter().take(NAMED))
        .map(|Unreadable { path, reason }| format!("\n  {}: {reason}", path.display()))
        .collect();
    if let Some(more @ 1..) = unreadable.len().checked_sub(NAMED) {
        text += &format!("\n  and {more} more");
    }
    text
}

/// Reads the head of every picture, so that a broken one is found before hours of training.
///
/// # Errors
/// Naming the pictures that cannot be read, with the reasons.
pub fn check_heads(paths: &[&Path]) -> Result<()> {
    let bad: Vec<Unreadable> = paths
        .par_iter()
        .filter_map(|path| {
            check_head(path)
                .err()
                .map(|error| Unreadable::of(path, &error))
        })
        .collect();
    ensure!(
        bad.is_empty(),
        "{} of {} pictures cannot be read; mend or remove them:{}",
        bad.len(),
        paths.len(),
        listed(&bad)
    );
    Ok(())
}

/// Unreadable pictures that are named on the screen.
const NAMED: usize = 20;

/// What is to be read of a picture must be at least so many pixels wide and high.
const SMALLEST: f32 = 4.0;

/// `picture` scaled to `1 / factor` of its size, with an antialiasing filter; the same picture
/// where `factor` is at most 1.
pub(super) fn shrunk(picture: Picture, factor: f32) -> Result<Picture> {
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

/// What `region` shows of a picture, squeezed into a square no finer than `most` pixels a side nor
/// than the picture.
fn squeezed(picture: &Picture, region: Region, most: f32) -> Result<Picture> {
    let side = region.width.max(region.height).min(most) as usize;
    let side = side.clamp(1, MAX_SIZE);
    let mut pixels = vec![0; side * side * 3];
    let Picture { width, height, .. } = *picture;
    Cropper::new().squeeze(&picture.pixels, width, height, region, side, &mut pixels)?;
    Ok(Picture {
        width: side,
        height: side,
        pixels,
    })
}

/// A picture file, and how much of its resolution is needed.
#[derive(Debug, Clone)]
pub struct PictureFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What of it is read.
    pub reads: Reads,
    /// What will be cropped from it.
    pub subject: Rect,
    /// The crop's side, as a multiple of the subject's larger side, where a hand is read. The picture
    /// is kept no finer than makes that crop [`PictureStore::new`]'s `crop_side` pixels wide.
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
        Ok(self.keep(slot, self.prepare(file, Picture::decode(&file.path)?)?))
    }

    /// Keeps a picture where the budget allows it.
    fn keep(&self, slot: &OnceLock<Arc<Kept>>, picture: Kept) -> Arc<Kept> {
        let picture = Arc::new(picture);
        let bytes = picture.picture.pixels.len();
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > self.budget
            || slot.set(Arc::clone(&picture)).is_err()
        {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        picture
    }

    /// What is kept of a decoded picture.
    fn prepare(&self, file: &PictureFile, picture: Picture) -> Result<Kept> {
        let (width, height) = (picture.width, picture.height);
        let region = (file.reads).region(file.subject, file.scale, width, height);
        if file.reads == Reads::Squeezed {
            return Ok(Kept {
                picture: squeezed(&picture, region, self.crop_side)?,
                part: Rect::FULL,
                cut_out: false,
            });
        }
        let (picture, part, cut_out) = if file.trim {
            black::trim(picture)
        } else {
            (picture, Rect::FULL, false)
        };
        Ok(Kept {
            picture: shrunk(picture, region.width / self.crop_side)?,
            part,
            cut_out,
        })
    }

    /// Decodes the pictures on all cores and keeps as many as fit the budget. Those beyond it are
    /// decoded once all the same, so that a broken file is found now. For the first `samples`, what
    /// tells copies is taken, too. Where `is_stopped` says so, the rest is left alone.
    ///
    /// An error for each picture that cannot be decoded, or is too small for what is to be read in it.
    pub fn look_at_all(
        &self,
        samples: usize,
        is_stopped: impl Fn() -> bool + Sync,
    ) -> Vec<Result<Option<Print>>> {
        let looks = self.files.par_iter().zip(&self.kept).enumerate();
        looks
            .map(|(at, (file, slot))| {
                if is_stopped() {
                    return Ok(None);
                }
                self.look(file, slot, at < samples)
            })
            .collect()
    }

    fn look(
        &self,
        file: &PictureFile,
        slot: &OnceLock<Arc<Kept>>,
        is_sample: bool,
    ) -> Result<Option<Print>> {
        let picture = Picture::decode(&file.path)?;
        if !is_sample {
            self.keep(slot, self.prepare(file, picture)?);
            return Ok(None);
        }
        let print = || self.keep_sample(file, slot, picture);
        let print = print().with_context(|| format!("cannot use {}", file.path.display()))?;
        Ok(Some(print))
    }

    fn keep_sample(
        &self,
        file: &PictureFile,
        slot: &OnceLock<Arc<Kept>>,
        picture: Picture,
    ) -> Result<Print> {
        let (width, height) = (picture.width, picture.height);
        let region = (file.reads).region(file.subject, file.scale, width, height);
        ensure!(
            region.width.min(region.height) >= SMALLEST,
            "of its {width} x {height} pixels, {:.0} x {:.0} would be read: too few to learn from",
            region.width.max(0.0),
            region.height.max(0.0)
        );
        ensure!(
            can_crop(region, width, height),
            "the hand's box lies outside its {width} x {height} pixels"
        );
        let pixels = hash_pixels(&picture);
        let kept = self.keep(slot, self.prepare(file, picture)?);
        let Picture { width, height, .. } = kept.picture;
        let region = (file.reads).region(kept.place(file.subject), file.scale, width, height);
        Print::of(pixels, &kept.picture, region)
    }

    /// The same pictures without these.
    pub fn without(self, left_out: &BTreeSet<usize>) -> PictureStore {
        let all = self.files.into_iter().zip(self.kept).enumerate();
        let rest = all.filter(|(at, _)| !left_out.contains(at));
        let (files, kept): (Vec<_>, Vec<_>) = rest.map(|(_, both)| both).unzip();
        let used = kept.iter().filter_map(OnceLock::get);
        let used = used.map(|kept| kept.picture.pixels.len()).sum();
        PictureStore {
            files,
            kept,
            used: AtomicUsize::new(used),
            ..self
        }
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
                    reads: Reads::Hand,
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
        let looks = store.look_at_all(4, || false);
        assert!(looks.iter().all(Result::is_ok));
        assert_eq!(store.used(), 16 * 8 * 3 * 2);
        for at in 0..4 {
            let picture = store.get(at).unwrap();
            assert_eq!((picture.picture.width, picture.picture.height), (16, 8));
            assert_eq!(picture.picture.pixels[0], at as u8);
        }
    }

    #[test]
    fn every_picture_that_cannot_be_read_is_told_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), &[16, 16, 16, 5, 16]);
        std::fs::write(&files[1].path, "").unwrap();
        std::fs::write(&files[2].path, "<html>not found</html>").unwrap();
        files[4].subject = Rect {
            x0: 1.6,
            x1: 2.0,
            ..Rect::FULL
        };
        for file in &mut files[..4] {
            file.reads = Reads::Squeezed;
        }
        let store = PictureStore::new(files, 100, 1 << 20);
        let told = store
            .look_at_all(5, || false)
            .into_iter()
            .map(|look| match look {
                Ok(_) => String::new(),
                Err(error) => format!("{error:#}"),
            });
        let told: Vec<String> = told.collect();
        assert_eq!(told[0], "");
        assert!(told[1].contains("1.png"), "{told:?}");
        assert!(told[2].contains("2.png"), "{told:?}");
        assert!(told[3].contains("5 x 2 would be read"), "{told:?}");
        assert!(told[4].contains("outside"), "{told:?}");
        let rest = store.without(&BTreeSet::from([1, 2, 3, 4]));
        assert_eq!(rest.len(), 1);
        assert_eq!(rest.get(0).unwrap().picture.width, 16);
    }

    #[test]
    fn a_picture_that_is_read_whole_is_kept_as_the_square_that_it_is_squeezed_into() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), &[400, 90]);
        for file in &mut files {
            file.reads = Reads::Squeezed;
        }
        let store = PictureStore::new(files, 100, 1 << 20);
        let sides = [0, 1].map(|at| {
            let Picture { width, height, .. } = store.get(at).unwrap().picture;
            (width, height)
        });
        assert_eq!(sides, [(100, 100), (90, 90)]);
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

//! Pictures that stand in both splits: an accuracy on them measures memory, not reading.
//!
//! A copy is the same to the pixel; a near-copy, such as the next frame of a video, is told by a
//! difference hash (after Krawetz 2013): of what the network sees, shrunk to 9 x 9 greys, whether each
//! is brighter than the one to its left and than the one above it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use rayon::prelude::*;
use serde::Serialize;

use super::dataset::{Dataset, Split};
use crate::base::frame::Region;
use crate::base::hash::Fnv;
use crate::base::picture::Picture;
use crate::recognize::crop::Cropper;

/// Greys along each side of what is hashed.
const GREYS: usize = 9;

/// A grey is brighter than another only if it is so by more than this, of 255: what differs by less is
/// a camera's noise on an even wall.
const STEP: i32 = 2;

/// Two pictures are near-copies if their hashes differ in no more than this many of 128 bits. Of a fifth
/// of a video's frames, taken at random, 99 in 100 are this near to one of the others; of letters signed by
/// strangers to all training pictures, which look much alike, fewer than 1 in 100.
pub const DISTANCE: u32 = 6;

/// A hash of fewer bits set than this is of a picture with next to nothing in it: such are all alike.
const FEWEST_BITS: u32 = 12;

/// What is compared of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// Of the whole file's pixels: the same pixels give the same, and others another.
    pub pixels: u64,
    /// The difference hash of what is read of it.
    pub shape: u128,
}

impl Print {
    /// Of a file whose pixels have the hash `pixels` and of which `region` of `picture` is read.
    ///
    /// # Errors
    /// When the region cannot be cropped.
    pub fn of(pixels: u64, picture: &Picture, region: Region) -> Result<Print> {
        let mut small = [0; GREYS * GREYS * 3];
        let Picture { width, height, .. } = *picture;
        Cropper::new().squeeze(&picture.pixels, width, height, region, GREYS, &mut small)?;
        let grey = |x: usize, y: usize| -> i32 {
            let at = (y * GREYS + x) * 3;
            let [r, g, b] = [0, 1, 2].map(|channel| i32::from(small[at + channel]));
            (299 * r + 587 * g + 114 * b) / 1000
        };
        let mut shape = 0;
        for y in 1..GREYS {
            for x in 1..GREYS {
                let own = grey(x, y);
                for other in [grey(x - 1, y), grey(x, y - 1)] {
                    shape = shape << 1 | u128::from(own - other > STEP);
                }
            }
        }
        Ok(Print { pixels, shape })
    }

    fn is_near(self, other: Print) -> bool {
        (self.shape ^ other.shape).count_ones() <= DISTANCE
            && self.shape.count_ones() >= FEWEST_BITS
    }
}

/// A hash of a picture's size and pixels (FNV-1a over words of eight bytes).
pub fn hash_pixels(picture: &Picture) -> u64 {
    let mut hash = Fnv::default();
    hash.add(picture.width as u64);
    hash.add(picture.height as u64);
    hash.add_bytes(&picture.pixels);
    hash.value()
}

/// The validation pictures that have a copy among the training pictures.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Copies {
    /// Validation pictures, those with copies included.
    pub pictures: usize,
    /// Those that are the same as a training picture, to the pixel.
    pub same: usize,
    /// Those that are nearly the same, and not the same, as one.
    pub near: usize,
    /// Both, as a share of the validation pictures.
    pub share: f64,
    /// Bits of 128 in which the hashes of near-copies may differ.
    pub distance: u32,
    /// Whether they were left out of the validation.
    pub left_out: bool,
    /// A validation picture and its training picture, the same ones first.
    pub example: Option<[PathBuf; 2]>,
    /// Signers who are in both splits.
    pub signers: Vec<String>,
    /// Validation pictures of these signers.
    pub of_signers: usize,
    /// The validation pictures that have a copy, as indices into the dataset's samples.
    #[serde(skip)]
    pub samples: Vec<usize>,
}

impl Copies {
    /// Compares the pictures of both splits; `prints` are those of the dataset's samples.
    pub fn find(dataset: &Dataset, prints: &[Print]) -> Copies {
        let train = dataset.of_split(Split::Train);
        let val = dataset.of_split(Split::Val);
        let by_pixels: HashMap<u64, usize> =
            train.iter().map(|&at| (prints[at].pixels, at)).collect();
        let found: Vec<(usize, Option<(usize, bool)>)> = val
            .par_iter()
            .map(|&at| {
                let own = prints[at];
                let same = by_pixels.get(&own.pixels).map(|&other| (other, true));
                let near = || {
                    let mut others = train.iter();
                    let near = others.find(|&&other| own.is_near(prints[other]));
                    near.map(|&other| (other, false))
                };
                (at, same.or_else(near))
            })
            .collect();
        let count = |wanted| {
            let of = |(_, found): &&(usize, Option<(usize, bool)>)| {
                found.is_some_and(|(_, same)| same == wanted)
            };
            found.iter().filter(of).count()
        };
        let (same, near) = (count(true), count(false));
        let first = |wanted| {
            found.iter().find_map(|&(at, found)| {
                let (other, _) = found.filter(|&(_, same)| same == wanted)?;
                Some([at, other].map(|at| dataset.samples[at].path.clone()))
            })
        };
        let (signers, of_signers) = signers_in_both(dataset);
        Copies {
            pictures: val.len(),
            same,
            near,
            share: (same + near) as f64 / val.len().max(1) as f64,
            distance: DISTANCE,
            left_out: false,
            example: first(true).or_else(|| first(false)),
            signers,
            of_signers,
            samples: (found.iter())
                .filter_map(|&(at, found)| found.map(|_| at))
                .collect(),
        }
    }
}

/// Who is in both splits, and how many validation pictures are of them.
fn signers_in_both(dataset: &Dataset) -> (Vec<String>, usize) {
    if dataset.held_back {
        // The program split each signer's pictures itself, and said so.
        return (Vec::new(), 0);
    }
    let learned: BTreeSet<_> = (dataset.samples.iter())
        .filter(|sample| sample.split == Split::Train)
        .filter_map(|sample| sample.signer.as_deref())
        .collect();
    let mut both: BTreeMap<&str, usize> = BTreeMap::new();
    for sample in dataset.samples.iter().filter(|s| s.split == Split::Val) {
        if let Some(signer) = sample.signer.as_deref().filter(|s| learned.contains(s)) {
            *both.entry(signer).or_default() += 1;
        }
    }
    let pictures = both.values().sum();
    (both.into_keys().map(str::to_owned).collect(), pictures)
}

/// A sentence for each thing found; the share of near-copies always.
impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copies = self.same + self.near;
        write!(
            f,
            "{copies} of {} validation pictures ({:.1} %) have a copy among the training pictures",
            self.pictures,
            100.0 * self.share
        )?;
        if let Some([val, train]) = &self.example {
            write!(
                f,
                ": {} to the pixel, {} nearly, such as {} of {}",
                self.same,
                self.near,
                val.display(),
                train.display()
            )?;
        }
        if let [first, ..] = &self.signers[..] {
            write!(
                f,
                "; {} of the validation's signers are among the training's, too, such as {first}",
                self.signers.len()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::frame::Rect;

    /// A slope of light with a disc on it.
    fn scene(x: f32, y: f32, light: f32) -> Picture {
        let (width, height) = (120, 90);
        let pixels = (0..width * height)
            .flat_map(|at| {
                let (column, row) = ((at % width) as f32, (at / width) as f32);
                let disc = (column - x).hypot(row - y) < 22.0;
                let grey = if disc {
                    210.0
                } else {
                    40.0 + row + column / 4.0
                };
                [(grey + light) as u8; 3]
            })
            .collect();
        Picture {
            width,
            height,
            pixels,
        }
    }

    fn print(picture: &Picture) -> Print {
        let region = Rect::FULL.region(picture.width, picture.height);
        Print::of(hash_pixels(picture), picture, region).unwrap()
    }

    #[test]
    fn the_next_frame_is_a_near_copy_and_another_scene_is_none() {
        let own = print(&scene(50.0, 40.0, 0.0));
        let next = print(&scene(51.0, 40.0, 3.0));
        assert!(own.is_near(next) && own.pixels != next.pixels);
        let moved = print(&scene(85.0, 60.0, 0.0));
        assert!(!own.is_near(moved));
    }

    #[test]
    fn pictures_of_next_to_nothing_are_no_copies_of_each_other() {
        let even = |grey: u8| Picture {
            width: 60,
            height: 60,
            pixels: vec![grey; 60 * 60 * 3],
        };
        assert!(!print(&even(90)).is_near(print(&even(200))));
        assert_eq!(print(&even(90)), print(&even(90)));
        assert_ne!(print(&even(90)).pixels, print(&even(200)).pixels);
    }
}

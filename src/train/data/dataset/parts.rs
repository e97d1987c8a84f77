//! What a set of labelled pictures consists of.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::base::frame::Rect;
use crate::base::joints::Joints;

/// The class of pictures that show no letter: no hand, or a hand that signs none.
pub const NOTHING: &str = "nothing";

/// A CSV's name for pictures of hands that sign no letter; read as [`NOTHING`].
pub(super) const OTHER: &str = "other";

/// Without `--val-fraction`, this share of a folder without a split of its own is kept for
/// validation.
pub const DEFAULT_VAL_FRACTION: f32 = 0.2;

/// More rows than this in a CSV, or pictures in a folder, are refused: most likely a wrong path.
pub const MAX_PICTURES: usize = 1_000_000;

/// A CSV of more bytes than this is refused unread.
pub(super) const MAX_TABLE: u64 = 1 << 30;

/// What a picture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The network learns from it.
    Train,
    /// The network is judged by it and never learns from it.
    Val,
}

impl Split {
    /// The split that a table calls so.
    ///
    /// # Errors
    /// When it is neither `train` nor `dev` (or `val`).
    pub(in crate::train::data) fn parse(name: &str) -> Result<Self> {
        match name.to_lowercase().as_str() {
            "train" => Ok(Split::Train),
            "dev" | "val" | "valid" | "validation" => Ok(Split::Val),
            other => bail!("the split must be train or dev (or val), not {other:?}"),
        }
    }
}

/// The joints of a photographed hand as fractions of its picture's width and height.
pub type HandPoints = Joints;

/// One labelled picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Where the picture lies.
    pub path: PathBuf,
    /// Who signs, where that is known. Pictures of one signer are near-copies of each other.
    pub signer: Option<Arc<str>>,
    /// Index into [`Dataset::labels`].
    pub class: usize,
    /// What the picture is for.
    pub split: Split,
    /// The hand's box, hugging the hand; `None` where the whole picture is the subject.
    pub hand: Option<Rect>,
    /// The hand's joints, where they are known.
    pub points: Option<HandPoints>,
}

/// A whole frame with the place of its hand: what lies away from the hand shows [`NOTHING`].
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Where the picture lies.
    pub path: PathBuf,
    /// Who is in the frame, where that is known.
    pub signer: Option<Arc<str>>,
    /// What the frame is for.
    pub split: Split,
    /// The hand's box.
    pub hand: Rect,
}

/// Labelled pictures and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The classes' names: sorted, [`NOTHING`] last.
    pub labels: Vec<String>,
    /// Every picture, in the order of the CSV or of the paths.
    pub samples: Vec<Sample>,
    /// Whole frames, for what surrounds a hand; empty where the layout has none.
    pub scenes: Vec<Scene>,
    /// Whether the validation pictures are some of each signer's, kept back here.
    pub held_back: bool,
}

/// How many pictures a signer or a class has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Pictures to learn from.
    pub train: usize,
    /// Pictures to be judged by.
    pub val: usize,
}

impl Count {
    pub(super) fn add(&mut self, split: Split) {
        match split {
            Split::Train => self.train += 1,
            Split::Val => self.val += 1,
        }
    }
}

/// The labels in the order of the classes: sorted, [`NOTHING`] last.
pub(super) fn ordered(labels: impl IntoIterator<Item = String>) -> Vec<String> {
    let unique: std::collections::BTreeSet<String> = labels.into_iter().collect();
    let (nothing, mut rest): (Vec<_>, Vec<_>) =
        unique.into_iter().partition(|label| label == NOTHING);
    rest.extend(nothing);
    rest
}

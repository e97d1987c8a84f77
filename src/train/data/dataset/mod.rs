//! Labelled pictures: where they lie, what they show, who signs, and what they are for.
//!
//! Three layouts are read, all into one [`Dataset`]:
//!
//! - a CSV file with signer and split columns (see [`DataSource`]), or a folder that holds one
//!   called `hands.csv`;
//! - `DIR/train/<CLASS>/` and `DIR/val/<CLASS>/`;
//! - `DIR/<CLASS>/`, of which a random fraction is kept for validation.
//!
//! Everything that can be wrong with the data is looked for here, before any training: every
//! error names the path or the CSV row at fault.

mod exclude;
mod folders;
mod folds;
mod parts;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use crate::base::frame::Rect;
use crate::base::hash::Fnv;

pub use exclude::Exclude;
use parts::ordered;
pub use parts::{
    Count, DEFAULT_VAL_FRACTION, Dataset, HandPoints, MAX_PICTURES, NOTHING, Sample, Scene, Split,
};

/// The table of hand crops that a data folder may hold.
const HANDS_CSV: &str = "hands.csv";

/// The table of whole frames that may lie beside [`HANDS_CSV`].
const FRAMES_CSV: &str = "frames.csv";

/// Where labelled pictures come from.
///
/// A CSV needs the columns `path` (relative to the CSV's folder), `signer`, `split` (`train`, or
/// `dev` or `val`) and `label`. It may have `x0`, `y0`, `x1`, `y1` (the hand's box),
/// `px0`, `py0` … `px20`, `py20` (its joints), all in fractions of the picture, and
/// `source_class` (a finer label to exclude by). The label `other` is read as [`NOTHING`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct DataSource {
    /// A CSV file or a folder.
    pub path: PathBuf,
    /// A CSV of whole frames, whose surroundings become pictures of [`NOTHING`]; where a folder
    /// was given that holds a `frames.csv` beside its `hands.csv`, that one unless told otherwise.
    pub frames: Option<PathBuf>,
    /// Leaves out what any of these match; CSV layouts only.
    pub exclude: Vec<Exclude>,
    /// The share kept for validation of data that have no split of their own: picked at random of
    /// a folder's pictures; of a CSV's, the last of each signer's of a label.
    pub val_fraction: Option<f32>,
    /// Decides that random split.
    pub seed: u64,
    /// Classes that need no pictures, such as those of a network that is trained further.
    pub known: Vec<String>,
    /// Leaves out pictures that cannot be read, instead of refusing them all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_unreadable: bool,
    /// Leaves validation pictures out that have a copy among the training pictures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copies: bool,
}

impl Dataset {
    /// Reads the list of pictures.
    ///
    /// # Errors
    /// For a missing file or folder, missing columns, a row that makes no sense or names a
    /// missing file, an empty class, a class that is not known and has no training pictures, no
    /// validation pictures, and fewer than two classes; each names the path.
    pub fn open(source: &DataSource) -> Result<Dataset> {
        let path = &source.path;
        ensure!(
            path.exists(),
            "cannot find the data at {}: there is no such file or folder",
            path.display()
        );
        let table = path.join(HANDS_CSV);
        let mut dataset = if path.is_file() {
            table::read(path, source.frames.as_deref(), &source.exclude)
        } else if table.is_file() {
            let beside = Some(path.join(FRAMES_CSV)).filter(|frames| frames.is_file());
            let frames = source.frames.clone().or(beside);
            table::read(&table, frames.as_deref(), &source.exclude)
        } else {
            source.only_for_csv()?;
            folders::read(path, source.val_fraction, source.seed)
        }?;
        if dataset.of_split(Split::Val).is_empty() {
            dataset.hold_back(source.val_fraction.unwrap_or(DEFAULT_VAL_FRACTION))?;
        } else if (path.is_file() || table.is_file()) && source.val_fraction.is_some() {
            bail!(
                "{} says itself which pictures are for validation: leave --val-fraction out",
                path.display()
            );
        }
        dataset.learn_labels(&source.known);
        dataset.check(path, &source.known)?;
        Ok(dataset)
    }

    /// The same pictures without these, numbered as in [`Dataset::paths`].
    pub fn without(self, left_out: &BTreeSet<usize>) -> Dataset {
        let samples = self.samples.len();
        let kept = |at: usize| !left_out.contains(&at);
        Dataset {
            samples: (self.samples.into_iter().enumerate())
                .filter_map(|(at, sample)| kept(at).then_some(sample))
                .collect(),
            scenes: (self.scenes.into_iter().enumerate())
                .filter_map(|(at, scene)| kept(samples + at).then_some(scene))
                .collect(),
            ..self
        }
    }

    /// What tells these data from others, by name: how many pictures of each class there are, and a
    /// hash of their names, sizes, boxes and classes. Where the folder `root` lies does not matter.
    pub fn fingerprint(&self, root: &Path) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        for (label, count) in self.labels.iter().zip(self.per_class()) {
            for (what, pictures) in [("learn from", count.train), ("be judged by", count.val)] {
                facts.insert(format!("{label} to {what}"), pictures.to_string());
            }
        }
        let root = if root.is_dir() {
            Some(root)
        } else {
            root.parent()
        };
        let mut hash = Fnv::default();
        let mut add = |path: &Path, class: usize, split: Split, hand: Option<Rect>| {
            let name = root.and_then(|root| path.strip_prefix(root).ok());
            hash.add_bytes(name.unwrap_or(path).as_os_str().as_encoded_bytes());
            hash.add(std::fs::metadata(path).map_or(0, |file| file.len()));
            hash.add(class as u64);
            hash.add(split as u64);
            let edges = hand.map_or([f32::NAN; 4], |hand| [hand.x0, hand.y0, hand.x1, hand.y1]);
            for edge in edges {
                hash.add(u64::from(edge.to_bits()));
            }
        };
        for sample in &self.samples {
            add(&sample.path, sample.class, sample.split, sample.hand);
        }
        for scene in &self.scenes {
            add(&scene.path, usize::MAX, scene.split, Some(scene.hand));
        }
        let names = "by name, size, box and class".to_owned();
        facts.insert(names, format!("#{:016x}", hash.value()));
        facts
    }

    /// Indices of the samples of one split, in order.
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        (0..self.samples.len())
            .filter(|&at| self.samples[at].split == split)
            .collect()
    }

    /// Every picture file: those of the samples, then those of the scenes.
    pub fn paths(&self) -> Vec<&Path> {
        let samples = self.samples.iter().map(|sample| sample.path.as_path());
        let scenes = self.scenes.iter().map(|scene| scene.path.as_path());
        samples.chain(scenes).collect()
    }

    /// Pictures per signer; those without a known signer are counted under an empty name.
    pub fn per_signer(&self) -> BTreeMap<Arc<str>, Count> {
        let mut counts = BTreeMap::new();
        for sample in &self.samples {
            let signer = sample.signer.clone().unwrap_or_else(|| Arc::from(""));
            Count::add(counts.entry(signer).or_default(), sample.split);
        }
        counts
    }

    /// Pictures per class, in the order of [`Dataset::labels`].
    pub fn per_class(&self) -> Vec<Count> {
        let mut counts = vec![Count::default(); self.labels.len()];
        for sample in &self.samples {
            counts[sample.class].add(sample.split);
        }
        counts
    }

    /// Whether any picture comes with its hand's box.
    pub fn has_hands(&self) -> bool {
        self.samples.iter().any(|sample| sample.hand.is_some())
    }

    /// Index of the class [`NOTHING`], where there is one.
    pub fn nothing(&self) -> Option<usize> {
        self.labels.iter().position(|label| label == NOTHING)
    }

    /// Keeps the last pictures of each signer's of a class for validation: the first and the last
    /// are less alike than neighbours in a sequence.
    fn hold_back(&mut self, share: f32) -> Result<()> {
        ensure!(
            share > 0.0 && share < 1.0,
            "--val-fraction must lie between 0 and 1, not at {share}"
        );
        let mut sequences: BTreeMap<(Option<Arc<str>>, usize), Vec<usize>> = BTreeMap::new();
        for (at, sample) in self.samples.iter().enumerate() {
            let sequence = (sample.signer.clone(), sample.class);
            sequences.entry(sequence).or_default().push(at);
        }
        for sequence in sequences.values() {
            let wanted = (sequence.len() as f32 * share).round() as usize;
            // One picture is learned from and judges nothing.
            let held = wanted.max(1).min(sequence.len() - 1);
            for &at in &sequence[sequence.len() - held..] {
                self.samples[at].split = Split::Val;
            }
        }
        self.held_back = true;
        tracing::warn!(
            "the data have no validation pictures: the last {:.0} % of each signer's pictures of              a class are kept for it. They say how these signers will be read, not how others will",
            share * 100.0
        );
        Ok(())
    }

    /// Adds these classes.
    fn learn_labels(&mut self, known: &[String]) {
        let labels = ordered(self.labels.iter().chain(known).cloned());
        for sample in &mut self.samples {
            let label = &self.labels[sample.class];
            sample.class = labels.iter().position(|l| l == label).unwrap_or_default();
        }
        self.labels = labels;
    }

    /// Refuses what no network can be trained or judged on.
    ///
    /// # Errors
    /// Naming the class that has too few pictures, or what else is missing.
    pub fn check(&self, path: &Path, known: &[String]) -> Result<()> {
        let path = path.display();
        ensure!(
            self.labels.len() >= 2,
            "{path} has one class only ({}): a classifier needs at least two",
            self.labels.join(", ")
        );
        let has_scenes = |split| self.scenes.iter().any(|scene| scene.split == split);
        for (label, count) in self.labels.iter().zip(self.per_class()) {
            let drawn = label == NOTHING;
            ensure!(
                count.train > 0 || drawn && has_scenes(Split::Train) || known.contains(label),
                "the class {label} of {path} has no training picture"
            );
        }
        ensure!(
            self.samples.iter().any(|s| s.split == Split::Val),
            "{path} has no validation picture: no accuracy could be measured"
        );
        Ok(())
    }
}

impl DataSource {
    /// Refuses options that a folder of classes has no use for.
    fn only_for_csv(&self) -> Result<()> {
        let path = self.path.display();
        ensure!(
            self.exclude.is_empty(),
            "--exclude needs signers, and {path} names none: it works with a CSV only"
        );
        ensure!(
            self.frames.is_none(),
            "--frames needs a CSV of hands as --data, and {path} is a folder of classes"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;

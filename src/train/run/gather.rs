//! A run's pictures: decoded, what cannot be read found and left out, copies counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};

use super::options::TrainOptions;
use super::steps::Interrupted;
use crate::model::Reads;
use crate::train::data::copies::{Copies, Print};
use crate::train::data::dataset::{Count, Dataset, Split};
use crate::train::data::loader;
use crate::train::data::store::{PictureStore, Unreadable, listed};

/// Bytes of decoded pictures that are kept in memory.
const KEPT_PICTURES: usize = 6 << 30;

/// What a run learns from and is judged by.
#[derive(Debug)]
pub struct Gathered {
    /// The pictures' list.
    pub dataset: Arc<Dataset>,
    /// The pictures.
    pub pictures: Arc<PictureStore>,
    /// What of a picture is read.
    pub reads: Reads,
    /// What was left out because it cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// What is in both splits.
    pub copies: Copies,
}

/// Reads every picture of `dataset`.
///
/// # Errors
/// When pictures cannot be read and `--skip-unreadable` does not leave them out; when too few are
/// left; and, with [`Interrupted`], when it is interrupted.
pub fn gather(
    mut dataset: Dataset,
    options: &TrainOptions,
    interrupted: &AtomicBool,
) -> Result<Gathered> {
    let reads = reads(&dataset, options)?;
    let source = &options.data;
    let mut pictures = loader::store_of(
        &dataset,
        options.size,
        reads,
        options.crop_scale,
        KEPT_PICTURES,
    );
    let samples = dataset.samples.len();
    let looks = pictures.look_at_all(samples, || interrupted.load(Ordering::Acquire));
    Interrupted::check(interrupted)?;
    let mut prints: Vec<Print> = Vec::new();
    let mut bad = BTreeSet::new();
    let mut unreadable = Vec::new();
    for (at, (look, path)) in looks.into_iter().zip(dataset.paths()).enumerate() {
        match look {
            Ok(print) => prints.extend(print),
            Err(error) => {
                bad.insert(at);
                unreadable.push(Unreadable::of(path, &error));
            }
        }
    }
    if !bad.is_empty() {
        let all = dataset.paths().len();
        ensure!(
            source.skip_unreadable,
            "{} of {all} pictures cannot be read; mend or remove them, or train without them by \
             --skip-unreadable:{}",
            bad.len(),
            listed(&unreadable)
        );
        dataset = dataset.without(&bad);
        pictures = pictures.without(&bad);
        dataset.check(&source.path, &source.known)?;
        tracing::warn!(
            "{} of {all} pictures cannot be read and are left out; left are {}.{}",
            bad.len(),
            left(&dataset),
            listed(&unreadable)
        );
    }
    let mut copies = Copies::find(&dataset, &prints);
    let found = copies.same + copies.near;
    if source.no_copies && found > 0 {
        let left_out: BTreeSet<usize> = copies.samples.iter().copied().collect();
        dataset = dataset.without(&left_out);
        pictures = pictures.without(&left_out);
        ensure!(
            !dataset.of_split(Split::Val).is_empty(),
            "{copies}: --no-copies leaves no validation picture"
        );
        copies.left_out = true;
        tracing::warn!("{copies}; they are left out of the validation");
    } else if found > 0 {
        tracing::warn!(
            "{copies}: on these, accuracy measures memory; --no-copies leaves them out of the validation"
        );
    } else if !copies.signers.is_empty() {
        tracing::warn!("{copies}: accuracy says how these are read, not how others will be");
    }
    Ok(Gathered {
        dataset: Arc::new(dataset),
        pictures: Arc::new(pictures),
        reads,
        unreadable,
        copies,
    })
}

/// What of a picture is read: as the options say, or else the hand where the data say where it is.
fn reads(dataset: &Dataset, options: &TrainOptions) -> Result<Reads> {
    let reads = options.reads.unwrap_or(match dataset.has_hands() {
        true => Reads::Hand,
        false => Reads::Squeezed,
    });
    ensure!(
        !reads.is_whole() || !dataset.has_hands(),
        "--reads {reads} is for whole pictures, but {} says where hands are: leave the columns x0, y0, \
         x1 and y1 out of it, or read hands",
        options.data.path.display()
    );
    Ok(reads)
}

/// How many pictures of which class there are.
fn left(dataset: &Dataset) -> String {
    let counts = dataset.per_class();
    let of = |(label, Count { train, val }): (&String, Count)| {
        format!("{label}: {train} to learn from and {val} to be judged by")
    };
    let classes: Vec<String> = dataset.labels.iter().zip(counts).map(of).collect();
    classes.join(", ")
}

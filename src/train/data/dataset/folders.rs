//! Folders of classes: `DIR/train/<CLASS>/` with `DIR/val/<CLASS>/`, or `DIR/<CLASS>/`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::parts::{DEFAULT_VAL_FRACTION, Dataset, MAX_PICTURES, Sample, Split, ordered};
use crate::base::picture::{READ, Sieve};

/// What a folder of validation pictures may be called.
const VAL_NAMES: [&str; 4] = ["val", "valid", "validation", "dev"];

/// Reads either layout; `val_fraction` is for the one without a split of its own.
pub(super) fn read(root: &Path, val_fraction: Option<f32>, seed: u64) -> Result<Dataset> {
    let train = root.join("train");
    let val = VAL_NAMES
        .map(|name| root.join(name))
        .into_iter()
        .find(|folder| folder.is_dir());
    match (train.is_dir(), val) {
        (true, Some(val)) => {
            ensure!(
                val_fraction.is_none(),
                "{} holds the validation pictures: leave --val-fraction out",
                val.display()
            );
            split_by_folders(&train, &val)
        }
        (true, None) => bail!(
            "{} has no folder of validation pictures beside it ({} is missing): make one, \
             or give {} as --data to split it at random",
            train.display(),
            root.join("val").display(),
            train.display()
        ),
        (false, Some(val)) => bail!(
            "{} has no folder of training pictures beside it ({} is missing)",
            val.display(),
            train.display()
        ),
        (false, None) => split_at_random(root, val_fraction.unwrap_or(DEFAULT_VAL_FRACTION), seed),
    }
}

fn split_by_folders(train: &Path, val: &Path) -> Result<Dataset> {
    let train_classes = classes(train)?;
    let val_classes = classes(val)?;
    for (name, _) in &train_classes {
        ensure!(
            val_classes.iter().any(|(other, _)| other == name),
            "the class {name} has training pictures, but there is no folder {}",
            val.join(name).display()
        );
    }
    for (name, folder) in &val_classes {
        ensure!(
            train_classes.iter().any(|(other, _)| other == name),
            "{} holds a class that {} has no folder of",
            folder.display(),
            train.display()
        );
    }
    let labels = ordered(train_classes.iter().map(|(name, _)| name.clone()));
    let mut samples = Vec::new();
    for (classes, split) in [(train_classes, Split::Train), (val_classes, Split::Val)] {
        for (name, folder) in classes {
            let class = index_of(&labels, &name);
            samples.extend(
                pictures(&folder)?
                    .into_iter()
                    .map(|path| sample(path, class, split)),
            );
        }
    }
    Ok(Dataset {
        labels,
        samples,
        scenes: Vec::new(),
        held_back: false,
    })
}

fn split_at_random(root: &Path, val_fraction: f32, seed: u64) -> Result<Dataset> {
    ensure!(
        val_fraction > 0.0 && val_fraction < 1.0,
        "--val-fraction must lie between 0 and 1, not at {val_fraction}"
    );
    let classes = classes(root)?;
    let labels = ordered(classes.iter().map(|(name, _)| name.clone()));
    let mut samples = Vec::new();
    let mut rng = StdRng::seed_from_u64(seed);
    for (name, folder) in classes {
        let class = index_of(&labels, &name);
        let pictures = pictures(&folder)?;
        ensure!(
            pictures.len() >= 2,
            "{} holds one picture: a class needs one to learn from and one to be judged by",
            folder.display()
        );
        let wanted = (pictures.len() as f32 * val_fraction).round() as usize;
        let val_count = wanted.clamp(1, pictures.len() - 1);
        let mut order: Vec<usize> = (0..pictures.len()).collect();
        order.shuffle(&mut rng);
        let mut splits = vec![Split::Train; pictures.len()];
        for &at in &order[..val_count] {
            splits[at] = Split::Val;
        }
        samples.extend(
            pictures
                .into_iter()
                .zip(splits)
                .map(|(path, split)| sample(path, class, split)),
        );
    }
    tracing::warn!(
        "{} has no split of its own: {:.0} % of it, picked at random, are for validation. Where \
         pictures are near-copies of each other, as frames of one video are, such an accuracy \
         measures memory, not what strangers would see",
        root.display(),
        val_fraction * 100.0
    );
    Ok(Dataset {
        labels,
        samples,
        scenes: Vec::new(),
        held_back: false,
    })
}

fn sample(path: PathBuf, class: usize, split: Split) -> Sample {
    Sample {
        path,
        signer: None,
        class,
        split,
        hand: None,
        points: None,
    }
}

/// The labels were made from the same names.
fn index_of(labels: &[String], name: &str) -> usize {
    labels
        .iter()
        .position(|label| label == name)
        .unwrap_or_default()
}

/// The class folders in `folder` by name, sorted.
fn classes(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut classes = Vec::new();
    for path in entries(folder)? {
        if !path.is_dir() {
            continue;
        }
        let name = path
            .file_name()
            .and_then(OsStr::to_str)
            .with_context(|| format!("the folder's name {} is not UTF-8", path.display()))?;
        classes.push((name.to_string(), path));
    }
    ensure!(
        !classes.is_empty(),
        "{} holds no folders: each class needs one, named after it",
        folder.display()
    );
    Ok(classes)
}

/// The pictures in `folder`, sorted by path.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut sieve = Sieve::default();
    let pictures: Vec<PathBuf> = entries(folder)?
        .into_iter()
        .filter(|path| sieve.takes(path))
        .collect();
    ensure!(
        !pictures.is_empty(),
        "the class folder {} is empty: it holds no picture; {}",
        folder.display(),
        sieve.left_out().unwrap_or(format!("{READ} are read"))
    );
    sieve.warn();
    ensure!(
        pictures.len() <= MAX_PICTURES,
        "{} holds more than {MAX_PICTURES} pictures",
        folder.display()
    );
    Ok(pictures)
}

/// What lies in `folder`, hidden entries left out, sorted by path.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot list the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

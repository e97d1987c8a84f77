//! What a run did and how good its network is: `report.json`, curves and a confusion matrix.

mod figures;
mod plots;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::fit::Epoch;
use super::gather::Gathered;
use super::options::TrainOptions;
use crate::base::files::write_whole;
use crate::overlay::draw_mistaken;
use crate::train::data::copies::Copies;
use crate::train::data::dataset::Count;
use crate::train::data::store::Unreadable;

pub use figures::{Figures, Reading, SignerFigures};

/// How many kinds of mistakes are drawn.
const MISTAKES: usize = 12;

/// A run, as `report.json` has it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the run was told.
    pub options: TrainOptions,
    /// The program's commit, where the program can ask git for it.
    pub commit: Option<String>,
    /// What it learned from.
    pub data: DataSummary,
    /// Epoch by epoch.
    pub epochs: Vec<Epoch>,
    /// Training crops a second over the run, validation excluded.
    pub images_per_second: f64,
    /// The run's time from start to end, resumed parts added, in seconds.
    pub wall_s: f64,
    /// How the network that the run started from reads the validation pictures, in f32.
    pub before: Option<Figures>,
    /// How the trained network reads them.
    pub f32: Figures,
    /// How its int8 version reads them, where one was made.
    pub int8: Option<Figures>,
}

/// The pictures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataSummary {
    /// The classes, in the order of the network's outputs.
    pub labels: Vec<String>,
    /// Training and validation pictures.
    pub pictures: Count,
    /// Training and validation pictures of each class, by its label.
    pub classes: BTreeMap<String, Count>,
    /// Training and validation pictures of each signer; without signers, under an empty name.
    pub signers: BTreeMap<String, Count>,
    /// Whole frames whose surroundings are pictures of no letter.
    pub scenes: usize,
    /// Pictures that were left out because they cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Validation pictures that are copies of training pictures.
    pub copies: Copies,
}

impl DataSummary {
    /// Counts a run's pictures.
    pub fn of(gathered: &Gathered) -> DataSummary {
        let dataset = &gathered.dataset;
        let per_class = dataset.per_class();
        let pictures = per_class.iter().fold(Count::default(), |sum, count| Count {
            train: sum.train + count.train,
            val: sum.val + count.val,
        });
        DataSummary {
            labels: dataset.labels.clone(),
            pictures,
            classes: dataset.labels.iter().cloned().zip(per_class).collect(),
            signers: (dataset.per_signer().into_iter())
                .map(|(signer, count)| (signer.to_string(), count))
                .collect(),
            scenes: dataset.scenes.len(),
            unreadable: gathered.unreadable.clone(),
            copies: gathered.copies.clone(),
        }
    }
}

impl Report {
    /// Writes `report.json`, `accuracy.svg`, `loss.svg` and `confusion.svg` to `folder`, each whole
    /// or not at all, and, where letters were mistaken, `mistaken.png`: the most frequent mistakes with
    /// hands that the program draws. Makes the folder where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_json(folder, self)?;
        let best = self.int8.as_ref().unwrap_or(&self.f32);
        for (name, plot) in [
            ("accuracy.svg", plots::accuracy(&self.epochs)?),
            ("loss.svg", plots::loss(&self.epochs)?),
            (
                "confusion.svg",
                plots::confusion(&best.labels, &best.confusion)?,
            ),
        ] {
            write_whole(&folder.join(name), plot.as_bytes())?;
        }
        let mut mistaken = best.confusions();
        mistaken.truncate(MISTAKES);
        if let Some(picture) = draw_mistaken(&mistaken)? {
            let mut png = Vec::new();
            PngEncoder::new(&mut png).write_image(
                &picture.pixels,
                picture.width as u32,
                picture.height as u32,
                ExtendedColorType::Rgb8,
            )?;
            write_whole(&folder.join("mistaken.png"), &png)?;
        }
        Ok(())
    }
}

/// Writes a run's figures to `report.json` in `folder`, whole or not at all. Makes the folder where it is
/// missing.
///
/// # Errors
/// When the folder cannot be made or the file cannot be written.
pub fn write_json(folder: &Path, report: &impl Serialize) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the report's folder {}", folder.display()))?;
    let mut json = serde_json::to_vec_pretty(report).context("cannot write the report's JSON")?;
    json.push(b'\n');
    write_whole(&folder.join("report.json"), &json)
}

/// The commit that this program's source is at, with `-dirty` behind it where files were changed;
/// `None` where git or the source is not there.
pub fn source_commit() -> Option<String> {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
            "--exclude=*",
        ])
        .output()
        .ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    let commit = commit.trim();
    (output.status.success() && !commit.is_empty()).then(|| commit.to_string())
}

#[cfg(test)]
mod tests;

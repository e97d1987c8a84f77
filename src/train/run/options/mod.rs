//! What a training run can be told, and what it does unless told otherwise.
//!
//! [`TrainArgs`] is the command line; [`TrainArgs::resolve`] fills in what the preset says,
//! checks everything, and gives the [`TrainOptions`] that a run goes by and its report records.

mod args;
mod presets;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::model::Reads;
use crate::recognize::crop::MAX_SIZE;
use crate::train::data::dataset::DataSource;
use crate::train::data::loader::{LoaderOptions, NothingShares};
use crate::train::run::origin::Origin;
use crate::train::run::places::{Existing, Places, name_of};

pub use args::{BackboneArgs, RunArgs, TrainArgs};
pub use values::{Augment, Backbone, BalanceBy, Compute, Folds, Freeze, Preset, Statistics};

/// Crops take this much of the hand's surroundings: their side is so many times the larger side of
/// the hand's box.
pub const CROP_SCALE: f32 = 1.35;

/// MobileNetV2 halves its input five times: other sizes would lose pixels at the edges.
const SIZE_STEP: usize = 32;

/// A training run's options, every one of them decided and checked.
#[derive(Debug, Clone, Serialize)]
pub struct TrainOptions {
    /// Where the pictures come from.
    pub data: DataSource,
    /// Where the run writes; in the report, where the int8 network goes.
    #[serde(rename = "out")]
    pub places: Places,
    /// What the backbone's weights start from.
    pub backbone: Backbone,
    /// The trained network that it starts from instead.
    pub from: Option<PathBuf>,
    /// What the options started from.
    pub preset: Preset,
    /// What normalises activations.
    pub statistics: Statistics,
    /// Units of the backbone that do not learn.
    pub freeze: Freeze,
    /// Units with ReLU between the backbone and the last layer.
    pub hidden: Option<usize>,
    /// Share of values dropped before the last layer in training.
    pub dropout: f64,
    /// Passes over the training pictures.
    pub epochs: usize,
    /// Crops in a batch.
    pub batch: usize,
    /// The input's side, in pixels.
    pub size: usize,
    /// What of a picture is read; where that is not set, the data decide.
    pub reads: Option<Reads>,
    /// The crop's side as a multiple of the hand box's larger side.
    pub crop_scale: f32,
    /// Highest learning rate of the backbone.
    pub lr: f64,
    /// Highest learning rate of the layers on top.
    pub head_lr: f64,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Share of each target that is spread over all classes.
    pub label_smoothing: f32,
    /// Decay of the average of the weights over steps; 0 for no average.
    pub ema: f32,
    /// Share of the weights that the run started from in those that come of it.
    pub keep: f32,
    /// Share of the steps in which the learning rates rise.
    pub warmup: f32,
    /// Weight of the hand's joints in the loss; 0 for no such output.
    pub points_weight: f32,
    /// How training crops are varied.
    pub augment: Augment,
    /// How often each signer is seen.
    pub balance: BalanceBy,
    /// Share of surroundings among the other training crops.
    pub surroundings: f32,
    /// Share of hands that sign nothing among the other training crops.
    pub gestures: f32,
    /// Whether the temperature of the softmax is fitted to the validation pictures; a few of one
    /// signer say little about it.
    pub calibrate: bool,
    /// Checkpoints of finished runs to average the weights with.
    pub blend: Vec<PathBuf>,
    /// Leave-signers-out evaluation instead of a network.
    pub folds: Option<Folds>,
    /// Decides every random choice.
    pub seed: u64,
    /// Whether to go on from the last checkpoint.
    #[serde(skip)]
    pub resume: bool,
    /// What becomes of what is there already.
    #[serde(skip)]
    pub existing: Existing,
    /// Time between checkpoints.
    #[serde(skip)]
    pub checkpoint_every: Duration,
    /// What computes.
    pub device: Compute,
}

impl TrainArgs {
    /// Fills in what the preset and the network to start from say, and checks every option.
    /// `origin` is the network that `from` names, where it names one.
    ///
    /// # Errors
    /// Naming the option that makes no sense, and what it may be.
    pub fn resolve(self, origin: Option<&Origin>) -> Result<TrainOptions> {
        let network = origin.map(Origin::network);
        let named = self.preset.unwrap_or(match network {
            Some(_) => Preset::Adapt,
            None => Preset::Finetune,
        });
        let statistics = self.statistics.unwrap_or(match network {
            Some(_) => Statistics::Fixed,
            None => Statistics::Batch,
        });
        ensure!(
            statistics == Statistics::Fixed || origin.is_none_or(Origin::has_statistics),
            "--statistics batch needs a checkpoint as --from: in a network file they are part of \
             the weights"
        );
        ensure!(
            named != Preset::Adapt || network.is_some(),
            "--preset adapt needs a trained network to adapt: name one with --from"
        );
        let preset = named.defaults();
        let places = self.run.places(&name_of(&self.data))?;
        let options = TrainOptions {
            data: DataSource {
                path: self.data,
                frames: self.frames,
                exclude: self.exclude,
                val_fraction: self.val_fraction,
                seed: self.run.seed,
                skip_unreadable: self.skip_unreadable,
                no_copies: self.no_copies,
                known: network.map_or_else(Vec::new, |network| network.labels.clone()),
            },
            places,
            existing: self.run.existing(),
            backbone: self.start.backbone,
            from: self.from,
            preset: named,
            statistics,
            freeze: self.freeze.unwrap_or(preset.freeze),
            hidden: network.map_or(preset.hidden, |network| network.hidden),
            dropout: preset.dropout,
            epochs: self.epochs.unwrap_or(preset.epochs),
            batch: self.batch.unwrap_or(32),
            size: (self.size).unwrap_or(network.map_or(preset.size, |network| network.size)),
            reads: self.reads.or(network.map(|network| network.reads)),
            crop_scale: network.map_or(CROP_SCALE, |network| network.crop_scale),
            lr: self.lr.unwrap_or(preset.lr),
            head_lr: self.head_lr.unwrap_or(preset.head_lr),
            weight_decay: self.weight_decay.unwrap_or(preset.weight_decay),
            label_smoothing: self.label_smoothing.unwrap_or(preset.label_smoothing),
            ema: self.ema.unwrap_or(preset.ema),
            keep: self.keep.unwrap_or(preset.keep),
            warmup: self.warmup.unwrap_or(preset.warmup),
            points_weight: self.points_weight.unwrap_or(preset.points_weight),
            augment: self.augment.unwrap_or(preset.augment),
            balance: self.balance.unwrap_or(preset.balance),
            surroundings: self.surroundings.unwrap_or(preset.surroundings),
            gestures: self.gestures.unwrap_or(preset.gestures),
            calibrate: named != Preset::Adapt,
            blend: self.blend,
            folds: self.folds,
            seed: self.run.seed,
            resume: self.run.resume,
            checkpoint_every: self.run.checkpoint_every()?,
            device: self.device,
        };
        options.check()?;
        Ok(options)
    }
}

impl TrainOptions {
    /// How this run makes batches of what `reads` says, with `threads` threads.
    pub fn loader(&self, reads: Reads, threads: usize) -> LoaderOptions {
        LoaderOptions {
            batch: self.batch,
            size: self.size,
            reads,
            crop_scale: self.crop_scale,
            recipe: self.augment.recipe(),
            balance: self.balance.into(),
            seed: self.seed,
            nothing: NothingShares {
                surroundings: self.surroundings,
                gestures: self.gestures,
            },
            threads,
        }
    }

    fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0, "--epochs must be at least 1");
        ensure!(
            (1..=4096).contains(&self.batch),
            "--batch must be 1 to 4096, not {}",
            self.batch
        );
        ensure!(
            self.size > 0 && self.size.is_multiple_of(SIZE_STEP) && self.size <= MAX_SIZE,
            "--size must be a multiple of {SIZE_STEP} up to {MAX_SIZE}, not {}",
            self.size
        );
        for (name, rate) in [("--lr", self.lr), ("--head-lr", self.head_lr)] {
            ensure!(
                rate > 0.0 && rate <= 10.0,
                "{name} must be above 0 and at most 10, not {rate}"
            );
        }
        ensure!(
            (0.0..=1.0).contains(&self.weight_decay),
            "--weight-decay must be 0 to 1, not {}",
            self.weight_decay
        );
        ensure!(
            (0.0..=100.0).contains(&self.points_weight),
            "--points-weight must be 0 to 100, not {}",
            self.points_weight
        );
        for (name, share) in [
            ("--label-smoothing", self.label_smoothing),
            ("--ema", self.ema),
            ("--keep", self.keep),
            ("--warmup", self.warmup),
            ("--surroundings", self.surroundings),
            ("--gestures", self.gestures),
        ] {
            ensure!(
                (0.0..1.0).contains(&share),
                "{name} must be at least 0 and below 1, not {share}"
            );
        }
        Ok(())
    }
}

//! The command line of a training run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::values::{Augment, Backbone, BalanceBy, Compute, Folds, Freeze, Preset, Statistics};
use crate::model::Reads;
use crate::train::data::dataset::Exclude;
use crate::train::run::course::Course;
use crate::train::run::places::{Claim, Existing, Places};
use crate::train::run::steps::LoopOptions;

/// Where a run writes, and where it begins, whatever it trains.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Where the network goes; report and checkpoint go beside it. What is there already stays
    /// [default: in the current folder, under a name that nothing has yet]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a network, a report or a checkpoint that is there already
    #[arg(long)]
    pub force: bool,
    /// Folder for the report [default: beside the network, ending in .report]
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Go on from the last checkpoint, to the very step
    #[arg(long)]
    pub resume: bool,
    /// Minutes between checkpoints
    #[arg(long, value_name = "MINUTES", default_value_t = 3.0)]
    pub checkpoint_every: f32,
    /// Decides every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl RunArgs {
    /// The run's places; `name` is what its network is called where `--out` does not say.
    ///
    /// # Errors
    /// When `--resume` finds no checkpoint of that name in the current folder.
    pub fn places(&self, name: &str) -> Result<Places> {
        let report = self.report.clone();
        match &self.out {
            Some(out) => Ok(Places::of(out.clone(), report)),
            None => Places::unnamed(name, report, self.resume),
        }
    }

    /// What becomes of what is there already.
    pub fn existing(&self) -> Existing {
        Existing::of(self.resume, self.force)
    }

    /// Time between checkpoints.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn checkpoint_every(&self) -> Result<Duration> {
        let minutes = self.checkpoint_every;
        ensure!(
            minutes > 0.0 && minutes <= 24.0 * 60.0,
            "--checkpoint-every must be above 0 and at most a day, not {minutes} minutes"
        );
        Ok(Duration::from_secs_f32(minutes * 60.0))
    }

    /// Takes `places` for a run of a network of so many `parameters`.
    ///
    /// # Errors
    /// As [`Places::claim`], and when there is no checkpoint that `--resume` could go on from.
    pub fn claim(&self, places: &Places, parameters: usize) -> Result<Claim> {
        let claim = places.claim(self.existing(), parameters)?;
        if self.resume {
            places.ensure_checkpoint()?;
        }
        Ok(claim)
    }

    /// How a run of this `course` goes through its steps.
    ///
    /// # Errors
    /// When the time between checkpoints makes no sense.
    pub fn steps(
        &self,
        places: &Places,
        course: Course,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<LoopOptions> {
        Ok(LoopOptions {
            checkpoint: Some((places.checkpoint.clone(), self.checkpoint_every()?)),
            resume: self.resume,
            interrupted: Arc::clone(interrupted),
            course,
        })
    }
}

/// What a network starts from that stands on a backbone.
#[derive(Debug, Clone, Args)]
pub struct BackboneArgs {
    /// ImageNet weights to start from, which scripts/fetch-backbone downloads, or `none` for
    /// random ones
    #[arg(
        long,
        value_name = "FILE|none",
        default_value = "models/backbone/mobilenet_v2.pth"
    )]
    pub backbone: Backbone,
}

/// Trains a network that names the letter a hand signs, or the class of any picture.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    /// Labelled pictures: DIR/train/<CLASS>/ with DIR/val/<CLASS>/, DIR/<CLASS>/, a CSV with the
    /// columns path, signer, split and label, or a folder that holds one called hands.csv
    // The group by which clap knows that these arguments were given: it fills it only for arguments that
    // have no others flattened into them.
    #[arg(long, value_name = "DIR|FILE.csv", group = "TrainArgs")]
    pub data: PathBuf,
    /// CSV of whole frames with hand boxes, whose surroundings become pictures of `nothing`
    /// [default: frames.csv beside hands.csv, where there is one]
    #[arg(long, value_name = "FILE.csv")]
    pub frames: Option<PathBuf>,
    /// Leave out a signer or a signer's label: `massey_*`, `nihal108/[MN]`, `*/digit_0` (repeatable)
    #[arg(long, value_name = "SIGNER[/LABEL]")]
    pub exclude: Vec<Exclude>,
    /// Share kept for validation of data without such pictures: of DIR/<CLASS>/ picked at random,
    /// of a CSV the last of each signer's pictures of a label [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    pub val_fraction: Option<f32>,
    /// Train without the pictures that cannot be read, and say which they are, instead of refusing them
    #[arg(long)]
    pub skip_unreadable: bool,
    /// Leave validation pictures out that are copies of training pictures, or nearly so, such as frames
    /// of one video
    #[arg(long)]
    pub no_copies: bool,
    /// Where it writes, and where it begins
    #[command(flatten)]
    pub run: RunArgs,
    /// What it starts from
    #[command(flatten)]
    pub start: BackboneArgs,
    /// Network to start from instead: a file that this program wrote, in int8 or f32, or a run's
    /// checkpoint. Its classes are kept; those that only the data have are added
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "backbone")]
    pub from: Option<PathBuf>,
    /// What to start the other options from [default: adapt with --from, else finetune]
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,
    /// What normalises activations [default: fixed with --from, else batch]
    #[arg(long, value_enum)]
    pub statistics: Option<Statistics>,
    /// Lowest units of the backbone that do not learn: none, all, or how many of its 19
    #[arg(long, value_name = "none|all|N")]
    pub freeze: Option<Freeze>,
    /// Passes over the training pictures
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Crops that are learned from at once
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Height and width of the network's input, in pixels; a multiple of 32 [default: as in the
    /// network of --from, else by preset]
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// What of a picture the network learns to read, and reads afterwards: the hand, around its box or
    /// all over a picture without one; or the whole picture, squeezed into a square, or its middle
    /// square [default: as in the network of --from, else squeezed where the data have no hand boxes]
    #[arg(long, value_enum)]
    pub reads: Option<Reads>,
    /// Highest learning rate of the backbone
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Highest learning rate of the layers on top
    #[arg(long, value_name = "RATE")]
    pub head_lr: Option<f64>,
    /// Decoupled weight decay
    #[arg(long, value_name = "DECAY")]
    pub weight_decay: Option<f32>,
    /// Share of each target that is spread over all classes
    #[arg(long, value_name = "SHARE")]
    pub label_smoothing: Option<f32>,
    /// Decay of the average of the weights over steps, which is what is kept; 0 for no average
    #[arg(long, value_name = "DECAY")]
    pub ema: Option<f32>,
    /// Share of the weights of --from that is kept in those that come of the run: the more, the less
    /// is learned and the less forgotten
    #[arg(long, value_name = "SHARE", requires = "from")]
    pub keep: Option<f32>,
    /// Share of the steps in which the learning rates rise
    #[arg(long, value_name = "SHARE")]
    pub warmup: Option<f32>,
    /// Weight of the hand's joints, which the network gives as a second output; 0 for a network without them
    #[arg(long, value_name = "WEIGHT")]
    pub points_weight: Option<f32>,
    /// How training crops are varied
    #[arg(long, value_enum)]
    pub augment: Option<Augment>,
    /// How often each signer is seen
    #[arg(long, value_enum)]
    pub balance: Option<BalanceBy>,
    /// Share of the training crops that show surroundings of hands or drawn rooms, as `nothing`
    #[arg(long, value_name = "SHARE")]
    pub surroundings: Option<f32>,
    /// Share of the other training crops that show hands which sign nothing, as `nothing`
    #[arg(long, value_name = "SHARE")]
    pub gestures: Option<f32>,
    /// Average the weights with those of a finished run's checkpoint, which differs in how crops
    /// are varied only (repeatable). Such networks read better together than each alone
    #[arg(long, value_name = "DIR")]
    pub blend: Vec<PathBuf>,
    /// Leave signers out instead: train once for each of N groups of signers on all others, print
    /// how each signer is read by the network that never saw them, and write no network
    #[arg(long, value_name = "signers[=N]")]
    pub folds: Option<Folds>,
    /// What computes
    #[arg(long, value_enum, default_value_t = Compute::Cpu)]
    pub device: Compute,
}

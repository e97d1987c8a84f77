//! What a training run can be told, and what it does unless told otherwise.
//!
//! [`TrainArgs`] is the command line; [`TrainArgs::resolve`] fills in what the preset says,
//! checks everything, and gives the [`TrainOptions`] that a run goes by and its report records.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};

use super::origin::Origin;
use super::places::{Existing, Places};
use crate::model::Reads;
use crate::recognize::crop::MAX_SIZE;
use crate::train::data::augment::Recipe;
use crate::train::data::dataset::{DataSource, Exclude};
use crate::train::data::loader::{Balance, LoaderOptions, NothingShares};
use crate::train::network::block::Mode;

/// Crops take this much of the hand's surroundings: their side is so many times the larger side of
/// the hand's box.
pub const CROP_SCALE: f32 = 1.35;

/// MobileNetV2 halves its input five times: other sizes would lose pixels at the edges.
const SIZE_STEP: usize = 32;

/// Trains a network that names the letter a hand signs, or the class of any picture.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    /// Labelled pictures: DIR/train/<CLASS>/ with DIR/val/<CLASS>/, DIR/<CLASS>/, a CSV with the
    /// columns path, signer, split and label, or a folder that holds one called hands.csv
    #[arg(long, value_name = "DIR|FILE.csv")]
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
    /// Where the int8 network goes; report and checkpoint go beside it. What is there already stays
    /// [default: the data's name and .onnx, in the current folder, numbered where that is taken]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a network, a report or a checkpoint that is there already
    #[arg(long)]
    pub force: bool,
    /// ImageNet weights to start from, which scripts/fetch-backbone downloads, or `none` for
    /// random ones
    #[arg(
        long,
        value_name = "FILE|none",
        default_value = "models/backbone/mobilenet_v2.pth"
    )]
    pub backbone: Backbone,
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
    /// Weight of the hand's joints as a second target, which is left out of the network file
    #[arg(long, value_name = "WEIGHT")]
    pub points_weight: Option<f32>,
    /// How training crops are varied
    #[arg(long, value_enum)]
    pub augment: Option<Augment>,
    /// How often each signer is seen
    #[arg(long, value_enum)]
    pub balance: Option<BalanceBy>,
    /// Share of the training crops that show hands which the program draws: letters, and gestures as
    /// `nothing`
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub drawn: f32,
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
    /// Decides every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Go on from the last checkpoint, to the very step
    #[arg(long)]
    pub resume: bool,
    /// Minutes between checkpoints
    #[arg(long, value_name = "MINUTES", default_value_t = 3.0)]
    pub checkpoint_every: f32,
    /// Folder for report.json and curves [default: beside the network, ending in .report]
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// What computes
    #[arg(long, value_enum, default_value_t = Compute::Cpu)]
    pub device: Compute,
}

/// Which recipe to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The tutorial's: frozen backbone, mean of its map, 64 units with ReLU, dropout 0.5, softmax
    Notebook,
    /// Frozen backbone, one layer on top: minutes
    Transfer,
    /// Every layer learns, crops vary strongly: for signers who are in no training picture
    Finetune,
    /// A trained network learns one signer, or new classes, from few pictures: minutes
    Adapt,
}

/// What normalises activations while a network learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistics {
    /// Mean and deviation of each batch: for many pictures of many signers
    Batch,
    /// What the network was trained with; network files hold nothing else
    Fixed,
}

impl Statistics {
    /// How units that learn are used.
    pub fn mode(self) -> Mode {
        match self {
            Statistics::Batch => Mode::Train,
            Statistics::Fixed => Mode::Tune,
        }
    }
}

/// How training crops are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Not at all
    None,
    /// Rotation 20°, shift 0.2, zoom 0.2, brightness, mirror
    Notebook,
    /// New rooms, cameras and hands
    Rooms,
    /// The same, turned further, lit worse, more often far away or moving
    RoughRooms,
}

impl Augment {
    /// Its ranges and chances.
    pub fn recipe(self) -> Recipe {
        match self {
            Augment::None => Recipe::NONE,
            Augment::Notebook => Recipe::NOTEBOOK,
            Augment::Rooms => Recipe::ROOMS,
            Augment::RoughRooms => Recipe::ROUGH_ROOMS,
        }
    }
}

/// How often each signer is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BalanceBy {
    /// Every picture once an epoch
    Pictures,
    /// A signer as often as the square root of their pictures
    Root,
    /// Every signer equally often
    Signers,
}

impl From<BalanceBy> for Balance {
    fn from(by: BalanceBy) -> Balance {
        match by {
            BalanceBy::Pictures => Balance::Pictures,
            BalanceBy::Root => Balance::Root,
            BalanceBy::Signers => Balance::Signers,
        }
    }
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// The processor
    Cpu,
    /// An NVIDIA GPU
    #[cfg(feature = "train-cuda")]
    Cuda,
    /// Any GPU, through Vulkan, Metal or DirectX
    #[cfg(feature = "train-wgpu")]
    Wgpu,
}

/// What the backbone's weights start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backbone {
    /// Random weights.
    Random,
    /// torchvision's file.
    File(PathBuf),
}

impl FromStr for Backbone {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Backbone, Self::Err> {
        Ok(match text {
            "none" => Backbone::Random,
            path => Backbone::File(path.into()),
        })
    }
}

impl Serialize for Backbone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Backbone::Random => serializer.serialize_str("none"),
            Backbone::File(path) => path.serialize(serializer),
        }
    }
}

/// Which of the backbone's units do not learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// Every unit learns.
    None,
    /// No unit learns.
    All,
    /// The lowest ones do not learn.
    Lowest(usize),
}

impl Freeze {
    /// How many of `units` do not learn, from the lowest.
    pub fn units(self, units: usize) -> usize {
        match self {
            Freeze::None => 0,
            Freeze::All => units,
            Freeze::Lowest(frozen) => frozen.min(units),
        }
    }
}

impl FromStr for Freeze {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Freeze> {
        match text {
            "none" => Ok(Freeze::None),
            "all" => Ok(Freeze::All),
            _ => text
                .parse()
                .map(Freeze::Lowest)
                .context("expected none, all or how many of the lowest units"),
        }
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Freeze::None => f.write_str("none"),
            Freeze::All => f.write_str("all"),
            Freeze::Lowest(units) => units.fmt(f),
        }
    }
}

impl Serialize for Freeze {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Leave-signers-out evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Folds {
    /// Groups of signers, each left out once.
    pub count: usize,
}

impl FromStr for Folds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Folds> {
        const DEFAULT: usize = 5;
        let count = match text.split_once('=') {
            None if text == "signers" => DEFAULT,
            Some(("signers", count)) => count
                .parse()
                .with_context(|| format!("{count:?} is not a number of groups"))?,
            _ => bail!("expected signers, or signers=N for N groups of them"),
        };
        ensure!(count >= 2, "leaving signers out takes at least two groups");
        Ok(Folds { count })
    }
}

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
    /// Share of drawn hands among the training crops.
    pub drawn: f32,
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

/// What a preset says.
struct Defaults {
    freeze: Freeze,
    hidden: Option<usize>,
    dropout: f64,
    epochs: usize,
    size: usize,
    lr: f64,
    head_lr: f64,
    weight_decay: f32,
    label_smoothing: f32,
    ema: f32,
    keep: f32,
    warmup: f32,
    points_weight: f32,
    augment: Augment,
    balance: BalanceBy,
    surroundings: f32,
    gestures: f32,
}

impl Preset {
    fn defaults(self) -> Defaults {
        let transfer = Defaults {
            freeze: Freeze::All,
            hidden: None,
            dropout: 0.2,
            epochs: 4,
            size: 160,
            lr: 7.5e-4,
            head_lr: 2.5e-3,
            weight_decay: 0.02,
            label_smoothing: 0.1,
            ema: 0.998,
            keep: 0.0,
            warmup: 0.05,
            points_weight: 0.0,
            augment: Augment::Notebook,
            balance: BalanceBy::Root,
            surroundings: 0.05,
            gestures: 0.0,
        };
        match self {
            Preset::Notebook => Defaults {
                hidden: Some(64),
                dropout: 0.5,
                epochs: 10,
                size: 224,
                lr: 1e-3,
                head_lr: 1e-3,
                weight_decay: 0.0,
                label_smoothing: 0.0,
                ema: 0.0,
                warmup: 0.0,
                balance: BalanceBy::Pictures,
                surroundings: 0.0,
                ..transfer
            },
            Preset::Transfer => transfer,
            Preset::Finetune => Defaults {
                freeze: Freeze::None,
                points_weight: 1.0,
                augment: Augment::Rooms,
                epochs: 12,
                gestures: 0.06,
                ..transfer
            },
            Preset::Adapt => Defaults {
                freeze: Freeze::Lowest(13),
                epochs: 15,
                lr: 2e-4,
                head_lr: 5e-4,
                weight_decay: 0.0,
                ema: 0.95,
                keep: 0.8,
                augment: Augment::Rooms,
                balance: BalanceBy::Signers,
                ..transfer
            },
        }
    }
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
        let places = match self.out {
            Some(out) => Places::of(out, self.report),
            None => Places::unnamed(&self.data, self.report, self.resume)?,
        };
        let options = TrainOptions {
            data: DataSource {
                path: self.data,
                frames: self.frames,
                exclude: self.exclude,
                val_fraction: self.val_fraction,
                seed: self.seed,
                skip_unreadable: self.skip_unreadable,
                no_copies: self.no_copies,
                known: network.map_or_else(Vec::new, |network| network.labels.clone()),
            },
            places,
            existing: Existing::of(self.resume, self.force),
            backbone: self.backbone,
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
            drawn: self.drawn,
            surroundings: self.surroundings.unwrap_or(preset.surroundings),
            gestures: self.gestures.unwrap_or(preset.gestures),
            calibrate: named != Preset::Adapt,
            blend: self.blend,
            folds: self.folds,
            seed: self.seed,
            resume: self.resume,
            checkpoint_every: minutes(self.checkpoint_every)?,
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
            drawn: self.drawn,
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
            ("--drawn", self.drawn),
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

fn minutes(minutes: f32) -> Result<Duration> {
    ensure!(
        minutes > 0.0 && minutes <= 24.0 * 60.0,
        "--checkpoint-every must be above 0 and at most a day, not {minutes} minutes"
    );
    Ok(Duration::from_secs_f32(minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn parse(line: &str) -> Result<TrainOptions> {
        let words = ["train"].into_iter().chain(line.split_whitespace());
        Command::try_parse_from(words)?.args.resolve(None)
    }

    #[test]
    fn the_notebook_preset_is_the_notebook() {
        let options = parse("--data cats --preset notebook").unwrap();
        assert_eq!(options.freeze, Freeze::All);
        assert_eq!(options.size, 224);
        assert_eq!((options.hidden, options.dropout), (Some(64), 0.5));
        assert_eq!(options.augment, Augment::Notebook);
        assert_eq!(options.balance, BalanceBy::Pictures);
    }

    #[test]
    fn an_option_beats_its_preset() {
        let options = parse("--data d --preset transfer --freeze 12 --epochs 7 --augment none");
        let options = options.unwrap();
        assert_eq!(options.freeze, Freeze::Lowest(12));
        assert_eq!(options.epochs, 7);
        assert_eq!(options.augment, Augment::None);
        assert_eq!(options.freeze.units(19), 12);
        assert_eq!(Freeze::All.units(19), 19);
    }

    #[test]
    fn report_and_checkpoint_lie_beside_the_network_unless_told_otherwise() {
        let places = parse("--data d --out m/asl.onnx").unwrap().places;
        assert_eq!(places.report, PathBuf::from("m/asl.report"));
        assert_eq!(places.checkpoint, PathBuf::from("m/asl.checkpoint"));
        let places = parse("--data d --report r").unwrap().places;
        assert_eq!(places.network, PathBuf::from("d.onnx"));
        assert_eq!(places.report, PathBuf::from("r"));
    }

    #[test]
    fn folds_count_groups_of_signers() {
        let folds = |line: &str| parse(line).map(|options| options.folds);
        assert_eq!(
            folds("--data d --folds signers").unwrap(),
            Some(Folds { count: 5 })
        );
        assert_eq!(
            folds("--data d --folds signers=8").unwrap(),
            Some(Folds { count: 8 })
        );
        assert!(folds("--data d --folds signers=1").is_err());
        assert!(folds("--data d --folds pictures").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (line, name) in [
            ("--size 100", "--size"),
            ("--size 0", "--size"),
            ("--batch 0", "--batch"),
            ("--epochs 0", "--epochs"),
            ("--lr 0", "--lr"),
            ("--head-lr NaN", "--head-lr"),
            ("--ema 1", "--ema"),
            ("--label-smoothing=-0.1", "--label-smoothing"),
            ("--surroundings 1.5", "--surroundings"),
            ("--gestures 1", "--gestures"),
            ("--checkpoint-every 0", "--checkpoint-every"),
            ("--freeze some", "--freeze"),
            ("--exclude [", "--exclude"),
            ("--preset adapt", "--from"),
            ("--keep 0.5", "--from"),
        ] {
            let error = format!("{:#}", parse(&format!("--data d {line}")).unwrap_err());
            assert!(error.contains(name), "{line}: {error}");
        }
    }
}

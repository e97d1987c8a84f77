//! A run that trains a finder: data in, files and a report out.

mod quality;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::course::Course;
use super::fit::{Progress, normalised};
use super::options::{BackboneArgs, RunArgs};
use super::places::Places;
use super::progress::Steps;
use super::report::{source_commit, write_json};
use super::steps::{Interrupted, LoopOptions, TrainingLoop};
use super::trainer::{Schedule, Trainer, TrainerOptions, ids};
use crate::model::{MapMetadata, Preprocessing};
use crate::train::data::clips::Clips;
use crate::train::data::dataset::{DataSource, Dataset, Exclude, Split};
use crate::train::data::scenes::Pictures;
use crate::train::data::store::check_heads;
use crate::train::file::write::{QuantizeReport, write_models};
use crate::train::network::block::Mode;
use crate::train::network::finder::{FinderNet, loss};

pub use quality::{AtScore, Quality, SignerQuality, judge};

/// What a network is called where `--out` does not say.
pub const NAME: &str = "hand";

/// Units of the backbone that keep their weights: what edges and colours are, ImageNet taught.
const FROZEN: usize = 4;

/// Highest learning rates of the backbone and of the layers on it.
const RATES: (f64, f64) = (7.5e-4, 2.5e-3);

/// The score from which on a file that is written here takes something for a hand.
const THRESHOLD: f32 = 0.5;

/// Training frames from whose activations the int8 scales are taken.
const CALIBRATION: usize = 256;

/// Trains a network that finds the hand in a whole frame.
#[derive(Debug, Clone, Args)]
pub struct HandArgs {
    /// Folder with hands.csv and frames.csv, whose rows have hand boxes
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder with clips.csv and boxes.csv, which say where hands are in frames of videos: small
    /// and fast ones among them
    #[arg(long, value_name = "DIR")]
    pub clips: Option<PathBuf>,
    /// Leave out a signer or a signer's label (repeatable)
    #[arg(long, value_name = "SIGNER[/LABEL]")]
    pub exclude: Vec<Exclude>,
    /// What it starts from
    #[command(flatten)]
    pub start: BackboneArgs,
    /// Batches to learn from
    #[arg(long, value_name = "N", default_value_t = 2400)]
    pub steps: usize,
    /// Pictures that are learned from at once
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub batch: usize,
    /// Height and width of the network's input, in pixels; a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 192)]
    pub size: usize,
    /// Where it writes, and where it begins
    #[command(flatten)]
    pub run: RunArgs,
}

/// What a run made.
#[derive(Debug, Serialize)]
pub struct HandReport {
    /// Batches learned from, and pictures in each.
    pub steps: usize,
    /// Pictures in a batch.
    pub batch: usize,
    /// The network's input, in pixels a side.
    pub size: usize,
    /// Decides every random choice.
    pub seed: u64,
    /// Seconds of training, resumed parts added.
    pub train_seconds: f64,
    /// Training pictures a second.
    pub images_per_second: f64,
    /// Mean loss of the last fifty steps; `None` where all of them were done before a resumed run.
    pub loss: Option<f64>,
    /// The files.
    pub files: QuantizeReport,
    /// How the int8 file finds the hands of validation signers in stills.
    pub stills: Quality,
    /// The same in frames of clips, where there are any.
    pub clips: Option<Quality>,
}

impl HandReport {
    /// The report for people.
    fn summary(&self) -> String {
        let mut text = format!(
            "wrote {} ({} bytes) after {:.0} s at {:.1} pictures a second\n",
            self.files.int8.display(),
            self.files.int8_bytes,
            self.train_seconds,
            self.images_per_second,
        );
        let kinds = [
            ("stills", Some(&self.stills)),
            ("clips", self.clips.as_ref()),
        ];
        for (kind, quality) in kinds {
            if let Some(quality) = quality {
                text += &quality.summary(kind);
            }
        }
        text
    }
}

/// Trains as [`train`] does, and returns what is to be printed.
///
/// # Errors
/// As [`train`].
pub fn run(args: &HandArgs, places: &Places, interrupted: &Arc<AtomicBool>) -> Result<String> {
    let report = train(args, places, interrupted)?;
    Ok(report.summary() + &format!("report: {}\n", places.report.display()))
}

/// Trains, judges the network, and writes it and its report to `places`. Nothing is written there before
/// the data has been found sound and there is a place for what comes of them.
///
/// # Errors
/// When the data, the backbone or the checkpoint cannot be read, the loss is no longer a number, a file
/// cannot be written, or would take the place of another; and, with [`Interrupted`], when it is
/// interrupted.
pub fn train(
    args: &HandArgs,
    places: &Places,
    interrupted: &Arc<AtomicBool>,
) -> Result<HandReport> {
    ensure!(
        args.size.is_multiple_of(32) && args.size > 0,
        "--size {} does not fit: MobileNetV2 halves its input five times, so give a multiple of 32",
        args.size
    );
    ensure!(
        args.batch > 0 && args.steps > 0,
        "--batch and --steps need at least 1"
    );
    let parameters = FinderNet::new(&Device::flex()).num_params();
    let _claim = args.run.claim(places, parameters)?;
    let source = DataSource {
        path: args.data.clone(),
        exclude: args.exclude.clone(),
        seed: args.run.seed,
        ..DataSource::default()
    };
    let dataset = Arc::new(Dataset::open(&source)?);
    check_heads(&dataset.paths())?;
    let clips = (args.clips.as_ref())
        .map(|folder| Clips::open(folder, &places.beside("frames"), &args.exclude))
        .transpose()?;
    let steps = args
        .run
        .steps(places, course(args, &dataset, clips.as_ref())?, interrupted)?;
    let frames_of = |split| match &clips {
        Some(clips) => clips.frames(split, |done, all| {
            if done.is_multiple_of(100) || done == all {
                eprintln!("frames of {done} of {all} clips are there");
            }
            Interrupted::check(interrupted)
        }),
        None => Ok(Vec::new()),
    };
    let to_judge = frames_of(Split::Val)?;
    let source = Arc::new(Pictures::new(
        Arc::clone(&dataset),
        frames_of(Split::Train)?,
        args.size,
        args.run.seed,
    )?);
    let learned = learn(args, &source, &steps)?;
    let files = write(args, places, &learned.net, &dataset, &source)?;
    let (stills, clips) = judge(&places.network, &dataset, &to_judge)?;
    let seconds = learned.time.as_secs_f64();
    let report = HandReport {
        steps: args.steps,
        batch: args.batch,
        size: args.size,
        seed: args.run.seed,
        train_seconds: seconds,
        images_per_second: (args.steps * args.batch) as f64 / seconds,
        loss: learned.loss,
        files,
        stills,
        clips,
    };
    write_json(&places.report, &report)?;
    Ok(report)
}

/// What decides a run's steps: its options and its data.
fn course(args: &HandArgs, dataset: &Dataset, clips: Option<&Clips>) -> Result<Course> {
    let mut course = Course::of(
        &json!({
            "exclude": args.exclude,
            "clips": clips.is_some(),
            "steps": args.steps,
            "batch": args.batch,
            "size": args.size,
            "seed": args.run.seed,
        }),
        &[],
    )?;
    course.add_data(dataset.fingerprint(&args.data));
    course.add_data(clips.map(Clips::fingerprint).unwrap_or_default());
    Ok(course)
}

/// What came of the steps.
struct Learned {
    /// With averaged weights.
    net: FinderNet,
    /// How long it took, resumed parts added.
    time: Duration,
    /// Mean loss of the last steps.
    loss: Option<f64>,
}

fn learn(args: &HandArgs, source: &Arc<Pictures>, options: &LoopOptions) -> Result<Learned> {
    let device = Device::flex().autodiff();
    device.seed(args.run.seed);
    let mut net = FinderNet::new(&device);
    net.backbone = args.start.backbone.fill(net.backbone, &device)?;
    let how = TrainerOptions {
        schedule: Schedule::rising(args.steps, RATES.0, RATES.1),
        weight_decay: 0.02,
        average: 0.995,
        keep: 0.0,
    };
    let backbone = ids(&net.backbone);
    let trainer = Trainer::new(net, backbone, how);
    let mut run = TrainingLoop::begin(trainer, (), options)?;
    let first = run.trainer.steps_done();
    let mut batches = source.stream(first as u64, args.steps as u64, args.batch)?;
    let mut progress = Steps::new("pictures");
    while let Some(step) = run.next_step()? {
        let batch = batches.next_batch()?;
        let images = normalised(&batch.images, batch.targets.len(), args.size, &device);
        let output = run.trainer.net().forward(images, Mode::Train, FROZEN);
        let loss = loss(output, &batch.targets, &device);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let recent = run.learn(loss, value)?;
        progress.step(step + 1, args.steps, args.batch, recent);
    }
    Ok(Learned {
        net: run.trainer.averaged(),
        time: run.learned(),
        loss: run.recent_loss(),
    })
}

fn write(
    args: &HandArgs,
    places: &Places,
    net: &FinderNet,
    dataset: &Dataset,
    pictures: &Pictures,
) -> Result<QuantizeReport> {
    let crops = pictures.plain(CALIBRATION)?;
    let preprocessing = Preprocessing::new(args.size, 1.0);
    let stills = (dataset.scenes.iter())
        .filter(|scene| scene.split == Split::Train)
        .filter_map(|scene| scene.signer.as_deref());
    let moving = pictures.clips().iter().map(|frame| &*frame.signer);
    let people = |names: Vec<&str>| {
        (
            names.len(),
            names.into_iter().collect::<BTreeSet<_>>().len(),
        )
    };
    let (stills, still_signers) = people(stills.collect());
    let (moving, moving_signers) = people(moving.collect());
    let metadata = MapMetadata {
        preprocessing,
        threshold: THRESHOLD,
        license: "MIT OR Apache-2.0".to_owned(),
        training_commit: source_commit().unwrap_or_default(),
        data: format!(
            "{stills} webcam frames of {still_signers} signers, {moving} frames of clips of {moving_signers} people, \
             and crops of hands; backbone: MobileNetV2, ImageNet (torchvision, BSD-3-Clause)",
        ),
    };
    let graph = net.graph(args.size)?;
    write_models(
        &graph,
        &crops,
        &preprocessing,
        &metadata.to_props(),
        &places.network,
    )
}

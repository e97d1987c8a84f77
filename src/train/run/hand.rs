//! A run that trains a finder: data in, files and a report out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use burn::tensor::Device;
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::course::{Course, Kept};
use super::fit::normalised;
use super::options::Backbone;
use super::report::source_commit;
use super::trainer::{Schedule, Trainer, TrainerOptions, ids};
use crate::base::files::write_whole;
use crate::base::frame::Rect;
use crate::base::picture::Picture;
use crate::model::{MapMetadata, Preprocessing};
use crate::recognize::finder::Finder;
use crate::train::data::clips::{ClipFrame, Clips};
use crate::train::data::dataset::{DataSource, Dataset, Exclude, Split};
use crate::train::data::loader::seeded;
use crate::train::data::scenes::{Pictures, without_hand};
use crate::train::data::store::check_heads;
use crate::train::file::write::{QuantizeReport, write_models};
use crate::train::network::block::Mode;
use crate::train::network::finder::{FinderNet, loss};

/// Units of the backbone that keep their weights: what edges and colours are, ImageNet taught.
const FROZEN: usize = 4;

/// Highest learning rates of the backbone and of the layers on it.
const RATES: (f64, f64) = (7.5e-4, 2.5e-3);

/// The score from which on a file that is written here takes something for a hand.
const THRESHOLD: f32 = 0.4;

/// Scores at which a report says what would be found.
const SCORES: [f32; 8] = [0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6];

/// Training frames from whose activations the int8 scales are taken.
const CALIBRATION: usize = 256;

/// A box whose IoU with every hand is less than this lies on no hand.
const ELSEWHERE: f32 = 0.1;

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
    /// Where the int8 network goes
    #[arg(long, value_name = "FILE", default_value = "models/hand.onnx")]
    pub out: PathBuf,
    /// ImageNet weights to start from, which scripts/fetch-backbone downloads, or `none` for
    /// random ones
    #[arg(
        long,
        value_name = "FILE|none",
        default_value = "models/backbone/mobilenet_v2.pth"
    )]
    pub backbone: Backbone,
    /// Batches to learn from
    #[arg(long, value_name = "N", default_value_t = 2400)]
    pub steps: usize,
    /// Pictures that are learned from at once
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub batch: usize,
    /// Height and width of the network's input, in pixels; a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 192)]
    pub size: usize,
    /// Decides every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Go on from the last checkpoint, to the very step
    #[arg(long)]
    pub resume: bool,
    /// Minutes between checkpoints
    #[arg(long, value_name = "MINUTES", default_value_t = 3.0)]
    pub checkpoint_every: f32,
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

/// How well hands are found in whole frames of signers who are in no training picture.
#[derive(Debug, Serialize)]
pub struct Quality {
    /// Frames with a hand.
    pub frames: usize,
    /// Share of them whose likeliest box has an IoU of at least one half with a hand's,
    /// whatever its score.
    pub placed: f64,
    /// Mean IoU of the likeliest box.
    pub mean_iou: f64,
    /// Parts of these frames without a hand, or with the hand covered.
    pub empty: usize,
    /// For thresholds of the score.
    pub at: Vec<AtScore>,
    /// The share placed, by signer.
    pub signers: BTreeMap<String, SignerQuality>,
}

/// How well one signer's hands are found.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SignerQuality {
    /// Frames with a hand.
    pub frames: usize,
    /// Share of them whose likeliest box has an IoU of at least one half with a hand's.
    pub placed: f64,
}

/// What is found from a score on.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct AtScore {
    /// The threshold.
    pub score: f32,
    /// Share of frames with a hand where a box with an IoU of at least one half reaches it.
    pub found: f64,
    /// Share of frames with a hand where a box on no hand (IoU below 0.1) reaches it.
    pub elsewhere: f64,
    /// Share of frames without a hand where a box reaches it.
    pub false_boxes: f64,
}

impl Quality {
    fn of(looks: &[Look]) -> Self {
        let share = |count: usize, all: usize| count as f64 / all.max(1) as f64;
        let frames = looks.len();
        let count = |counts: &dyn Fn(&Look) -> bool| looks.iter().filter(|l| counts(l)).count();
        let empty: Vec<f32> = looks.iter().filter_map(|look| look.empty).collect();
        let at = SCORES.map(|score| AtScore {
            score,
            found: share(count(&|l| l.iou >= 0.5 && l.score >= score), frames),
            elsewhere: share(count(&|l| l.iou < ELSEWHERE && l.score >= score), frames),
            false_boxes: share(
                empty.iter().filter(|&&other| other >= score).count(),
                empty.len(),
            ),
        });
        let mut signers: BTreeMap<String, SignerQuality> = BTreeMap::new();
        for look in looks {
            let signer = signers.entry(look.signer.to_string()).or_default();
            signer.frames += 1;
            signer.placed += f64::from(u8::from(look.iou >= 0.5));
        }
        for signer in signers.values_mut() {
            signer.placed /= signer.frames as f64;
        }
        Quality {
            frames,
            placed: share(count(&|l| l.iou >= 0.5), frames),
            mean_iou: looks.iter().map(|l| f64::from(l.iou)).sum::<f64>() / frames.max(1) as f64,
            empty: empty.len(),
            at: at.to_vec(),
            signers,
        }
    }

    fn summary(&self, kind: &str) -> String {
        let mut text = format!(
            "of {} validation frames of {kind} the likeliest box fits {:.1} % (IoU at least 0.5), \
             mean IoU {:.2}\n\
             score   found   on no hand   boxes in {} frames without the hand\n",
            self.frames,
            100.0 * self.placed,
            self.mean_iou,
            self.empty,
        );
        for at in &self.at {
            text += &format!(
                "{:>5.2}  {:>5.1} %     {:>5.2} %   {:>5.2} %\n",
                at.score,
                100.0 * at.found,
                100.0 * at.elsewhere,
                100.0 * at.false_boxes
            );
        }
        let mut worst: Vec<_> = self.signers.iter().collect();
        worst.sort_by(|a, b| a.1.placed.total_cmp(&b.1.placed));
        for (signer, quality) in worst.into_iter().take(6) {
            text += &format!(
                "{:>5.1} % of {}'s {}\n",
                100.0 * quality.placed,
                signer,
                quality.frames
            );
        }
        text
    }
}

/// Trains as [`train`] does, logs how it goes, and returns what is to be printed.
///
/// # Errors
/// As [`train`].
pub fn run(args: &HandArgs) -> Result<String> {
    const EVERY: usize = 20;
    let started = Instant::now();
    let mut sum = 0.0;
    let report = train(args, |step, loss| {
        sum += loss;
        if step.is_multiple_of(EVERY) || step == args.steps {
            let mean = sum / ((step - 1) % EVERY + 1) as f64;
            let seconds = started.elapsed().as_secs();
            eprintln!("step {step} of {}: loss {mean:.3}, {seconds} s", args.steps);
            sum = 0.0;
        }
    })?;
    Ok(report.summary())
}

/// Trains, writes the files, and judges them.
///
/// # Errors
/// When the data, the backbone or the checkpoint cannot be read, the loss is no longer a number,
/// or a file cannot be written.
pub fn train(args: &HandArgs, mut progress: impl FnMut(usize, f64)) -> Result<HandReport> {
    ensure!(
        args.size.is_multiple_of(32) && args.size > 0,
        "--size {} does not fit: MobileNetV2 halves its input five times, so give a multiple of 32",
        args.size
    );
    ensure!(
        args.batch > 0 && args.steps > 0,
        "--batch and --steps need at least 1"
    );
    let source = DataSource {
        path: args.data.clone(),
        exclude: args.exclude.clone(),
        seed: args.seed,
        ..DataSource::default()
    };
    let dataset = Arc::new(Dataset::open(&source)?);
    check_heads(&dataset.paths())?;
    let clips = (args.clips.as_ref())
        .map(|folder| Clips::open(folder, &args.out.with_extension("frames"), &args.exclude))
        .transpose()?;
    let frames_of = |split| match &clips {
        Some(clips) => clips.frames(split, |done, all| {
            if done.is_multiple_of(100) || done == all {
                eprintln!("frames of {done} of {all} clips are there");
            }
        }),
        None => Ok(Vec::new()),
    };
    let source = Arc::new(Pictures::new(
        Arc::clone(&dataset),
        frames_of(Split::Train)?,
        args.size,
        args.seed,
    )?);
    let device = Device::flex().autodiff();
    device.seed(args.seed);
    let mut net = FinderNet::new(&device);
    if let Backbone::File(path) = &args.backbone {
        net.backbone = net.backbone.load_imagenet(path, &device)?;
    }
    let options = TrainerOptions {
        schedule: Schedule {
            steps: args.steps,
            warmup: (args.steps / 10).min(100),
            backbone: RATES.0,
            head: RATES.1,
        },
        weight_decay: 0.02,
        average: 0.995,
        keep: 0.0,
    };
    let backbone = ids(&net.backbone);
    let mut trainer = Trainer::new(net, backbone, options);
    let checkpoint = args.out.with_extension("checkpoint");
    let course = Course::of(
        &json!({
            "exclude": args.exclude,
            "clips": args.clips.is_some(),
            "steps": args.steps,
            "batch": args.batch,
            "size": args.size,
            "seed": args.seed,
        }),
        &[],
    )?;
    let mut earlier = Duration::ZERO;
    if args.resume {
        let kept: Kept<()> = Kept::resume(&checkpoint, &course)?;
        trainer = trainer.resume(&checkpoint)?;
        earlier = kept.learned;
    }
    let first = trainer.steps_done();
    let mut batches = source.stream(first as u64, args.steps as u64, args.batch)?;
    let every = Duration::from_secs_f32((args.checkpoint_every * 60.0).clamp(1.0, 1e6));
    let (started, mut saved) = (Instant::now(), Instant::now());
    let mut losses = Vec::new();
    for step in first..args.steps {
        let Some(batch) = batches.next().transpose()? else {
            break;
        };
        let images = normalised(&batch.images, batch.targets.len(), args.size, &device);
        let output = trainer.net().forward(images, Mode::Train, FROZEN);
        let loss = loss(output, &batch.targets, &device);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        ensure!(
            value.is_finite(),
            "the loss is no longer a number after {step} steps"
        );
        trainer.step(loss);
        losses.push(value);
        progress(step + 1, value);
        if saved.elapsed() >= every || step + 1 == args.steps {
            let kept = Kept {
                course: course.clone(),
                learned: earlier.saturating_add(started.elapsed()),
                network: (),
            };
            trainer.set_note(serde_json::to_string(&kept)?);
            trainer.save(&checkpoint)?;
            saved = Instant::now();
        }
    }
    let seconds = earlier.saturating_add(started.elapsed()).as_secs_f64();
    let last = &losses[losses.len().saturating_sub(50)..];
    let files = write(args, &trainer.averaged(), &dataset, &source)?;
    let (stills, clips) = judge(&args.out, &dataset, &frames_of(Split::Val)?)?;
    let report = HandReport {
        steps: args.steps,
        batch: args.batch,
        size: args.size,
        seed: args.seed,
        train_seconds: seconds,
        images_per_second: (args.steps * args.batch) as f64 / seconds,
        loss: (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64),
        files,
        stills,
        clips,
    };
    let path = args.out.with_extension("report.json");
    write_whole(&path, &serde_json::to_vec_pretty(&report)?)?;
    Ok(report)
}

fn write(
    args: &HandArgs,
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
        &args.out,
    )
}

/// A frame to judge by, and its hands.
struct Judged<'a> {
    path: &'a Path,
    signer: &'a str,
    hands: &'a [Rect],
}

/// What was found in a frame.
struct Look {
    signer: String,
    score: f32,
    /// With the hand that it fits best.
    iou: f32,
    /// The best score where the hand is left out of the frame, if there is a way to.
    empty: Option<f32>,
}

/// How the finder in the file `path` finds the hands of the validation signers in stills and in frames of clips.
///
/// # Errors
/// When the file is no finder, or a picture cannot be read.
pub fn judge(
    path: &Path,
    dataset: &Dataset,
    clips: &[ClipFrame],
) -> Result<(Quality, Option<Quality>)> {
    let finder = Finder::load(path)?;
    let stills: Vec<Judged> = (dataset.scenes.iter())
        .filter(|scene| scene.split == Split::Val)
        .map(|scene| Judged {
            path: &scene.path,
            signer: scene.signer.as_deref().unwrap_or_default(),
            hands: std::slice::from_ref(&scene.hand),
        })
        .collect();
    let clips: Vec<Judged> = (clips.iter())
        .map(|frame| Judged {
            path: &frame.path,
            signer: &frame.signer,
            hands: &frame.hands,
        })
        .collect();
    let quality = |frames: &[Judged]| -> Result<Quality> {
        let looks = frames
            .par_iter()
            .enumerate()
            .map_init(
                || finder.clone(),
                |finder, (at, frame)| look(finder, at, frame),
            )
            .collect::<Result<Vec<_>>>()?;
        Ok(Quality::of(&looks))
    };
    let of_clips = (!clips.is_empty()).then(|| quality(&clips)).transpose()?;
    Ok((quality(&stills)?, of_clips))
}

fn look(finder: &mut Finder, at: usize, frame: &Judged) -> Result<Look> {
    let picture = Picture::decode(frame.path)?;
    let found = finder.find(&picture.pixels, picture.width, picture.height, None)?;
    let ious = frame.hands.iter().map(|hand| found.hand.iou(hand));
    let mut rng = seeded(0, at as u64);
    // A second hand may still be there.
    let empty = match frame.hands {
        [hand] => without_hand(&picture, *hand, &mut rng),
        _ => None,
    };
    let empty = empty
        .map(|empty| finder.find(&empty.pixels, empty.width, empty.height, None))
        .transpose()?;
    Ok(Look {
        signer: frame.signer.to_owned(),
        score: found.score,
        iou: ious.fold(0.0, f32::max),
        empty: empty.map(|found| found.score),
    })
}

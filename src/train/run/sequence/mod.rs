//! A run that trains the network that reads sequences: clips, crops and joints in, a file and a report
//! out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use indicatif::ProgressBar;
use prost::Message;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use super::course::Course;
use super::fit::Progress;
use super::options::RunArgs;
use super::places::Places;
use super::progress::Steps;
use super::report::{source_commit, write_json};
use super::steps::{Interrupted, LoopOptions, TrainingLoop};
use super::trainer::{Schedule, Trainer, TrainerOptions};
use crate::base::files::write_whole;
use crate::base::hash::Fnv;
use crate::commands::eval::clips::{Outcome, figures};
use crate::commands::inputs::ReaderArgs;
use crate::model::{Model, NOTHING, SequenceMetadata, SequenceModel};
use crate::recognize::letter::LetterReader;
use crate::recognize::observation::Observation;
use crate::recognize::sequence::SequenceReader;
use crate::recognize::sequence::features::{RATE, width};
use crate::recognize::speller::{Speller, Spelling};
use crate::source::Origin;
use crate::source::clips::{self, Clip};
use crate::train::data::dataset::{DataSource, Dataset};
use crate::train::data::sequences::paths::Paths;
use crate::train::data::sequences::seen::{self, SeenClip};
use crate::train::data::sequences::{Counts, Example, Sequences};
use crate::train::file::export::sequence::{Block, Linear, to_sequence};
use crate::train::network::ctc::lay;
use crate::train::network::sequence::{DILATIONS, Layer, Layers, Norm, SequenceNet};
use crate::train::network::values;

/// What a network is called where `--out` does not say.
pub const NAME: &str = "sequence";

/// Highest learning rate.
const LEARNING_RATE: f64 = 2e-3;

/// Amounts of caution that are tried on the clips to be judged by.
const CAUTIONS: [f32; 5] = [-1.0, 0.0, 0.5, 1.0, 2.0];

/// Trains the network that reads sequences: which letters are held, passed or drawn.
///
/// What the finder and the letter network say of the clips and crops is kept in a folder beside the
/// output, so that a further run begins at once.
#[derive(Debug, Clone, Args)]
pub struct SequenceArgs {
    /// Table of clips to learn from and to be judged by (docs/clips.md), their split `train` or `dev`
    #[arg(long, value_name = "CSV")]
    pub clips: PathBuf,
    /// Folder with hands.csv: crops of letters, of which words are put together
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder with sequences.csv: sequences of joints; used where the letter network gives joints
    #[arg(long, value_name = "DIR")]
    pub joints: Option<PathBuf>,
    /// Leave out a signer's clips (repeatable)
    #[arg(long, value_name = "SIGNER")]
    pub exclude: Vec<String>,
    /// Folder for what the networks say of clips and crops [default: beside the network]
    #[arg(long, value_name = "DIR")]
    pub seen: Option<PathBuf>,
    /// Batches to learn from
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub steps: usize,
    /// Sequences that are learned from at once
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch: usize,
    /// Channels of the network
    #[arg(long, value_name = "N", default_value_t = 96)]
    pub channels: usize,
    /// Added to the logit that no letter begins: higher, and less is typed. The report says what others
    /// would give
    #[arg(
        long,
        value_name = "LOGIT",
        default_value_t = 0.5,
        allow_negative_numbers = true
    )]
    pub caution: f32,
    /// Where it writes, and where it begins
    #[command(flatten)]
    pub run: RunArgs,
}

/// What a run made.
#[derive(Debug, Serialize)]
struct SequenceReport {
    commit: Option<String>,
    steps: usize,
    batch: usize,
    channels: usize,
    seed: u64,
    caution: f32,
    excluded: Vec<String>,
    sequences: Counts,
    /// Seconds of training, resumed parts added.
    train_seconds: f64,
    /// Mean loss of the last fifty steps; `None` where all of them were done before a resumed run.
    loss: Option<f64>,
    bytes: usize,
    /// What `eval --clips` says of the clips to be judged by, read from what the networks say of them,
    /// by caution.
    dev: BTreeMap<String, Value>,
}

/// Trains, writes the network and its report to `places`, and returns what is to be printed.
///
/// # Errors
/// When the data cannot be read, a checkpoint is another run's, the loss is no longer a number, a file
/// cannot be written, or would take the place of another; and, with [`Interrupted`], when it is
/// interrupted.
pub fn run(args: &SequenceArgs, places: &Places, interrupted: &Arc<AtomicBool>) -> Result<String> {
    ensure!(
        args.batch > 0 && args.steps > 0 && args.channels > 0,
        "--batch, --steps and --channels need at least 1"
    );
    let model = Model::embedded()?;
    let labels: Vec<String> = model.labels().iter().map(ToString::to_string).collect();
    let letters: Vec<String> = (labels.iter())
        .filter(|label| *label != NOTHING)
        .cloned()
        .collect();
    let [inputs, outputs] = [width(labels.len()), letters.len() + 1];
    let net = SequenceNet::new(inputs, args.channels, outputs, &Device::flex());
    let _claim = args.run.claim(places, net.num_params())?;
    let seen = match &args.seen {
        Some(folder) => folder.clone(),
        None => places.beside("seen"),
    };
    let data = Data::read(args, &seen, (model, &letters), interrupted)?;
    let steps = args.run.steps(places, course(args, &data)?, interrupted)?;
    let (net, seconds, loss) = learn(args, &data.sequences, [inputs, outputs], &steps)?;
    let metadata = SequenceMetadata {
        labels,
        letters,
        rate: RATE,
        caution: args.caution,
        license: "MIT OR Apache-2.0".to_owned(),
        training_commit: source_commit().unwrap_or_default(),
        data: data.describe(),
    };
    let bytes = encode(&net.layers()?, &metadata)?;
    let mut dev = BTreeMap::new();
    let mut summary = String::new();
    for caution in CAUTIONS.iter().chain(std::iter::once(&args.caution)) {
        let metadata = SequenceMetadata {
            caution: *caution,
            ..metadata.clone()
        };
        let bytes = encode(&net.layers()?, &metadata)?;
        let model = SequenceModel::from_bytes("the network just trained", &bytes, width)?;
        let report = judge(&SequenceReader::new(model), &data.dev_clips, &data.dev);
        summary = report.table();
        dev.insert(caution.to_string(), serde_json::to_value(&report)?);
    }
    write_whole(&places.network, &bytes)?;
    let report = SequenceReport {
        commit: source_commit(),
        steps: args.steps,
        batch: args.batch,
        channels: args.channels,
        seed: args.run.seed,
        caution: args.caution,
        excluded: args.exclude.clone(),
        sequences: data.sequences.counts(),
        train_seconds: seconds,
        loss,
        bytes: bytes.len(),
        dev,
    };
    write_json(&places.report, &report)?;
    let loss = loss.map_or(String::new(), |loss| format!("loss {loss:.3} "));
    Ok(format!(
        "{summary}\n{loss}after {seconds:.0} s\nnetwork: {} ({} bytes)\nreport: {}\n",
        places.network.display(),
        bytes.len(),
        places.report.display()
    ))
}

/// What is learned from and judged by.
struct Data {
    sequences: Sequences,
    dev_clips: Vec<Clip>,
    dev: Vec<SeenClip>,
    signers: usize,
    /// What tells these data from others, by name.
    facts: BTreeMap<String, String>,
}

impl Data {
    /// Reads it; what `model`, the network that tells `letters` apart, and the finder say of it is kept in the
    /// folder `cache`.
    fn read(
        args: &SequenceArgs,
        cache: &Path,
        (model, letters): (Model, &[String]),
        interrupted: &AtomicBool,
    ) -> Result<Data> {
        let dataset = Dataset::open(&DataSource {
            path: args.data.clone(),
            ..DataSource::default()
        })?;
        let mut train = clips::clips(&args.clips, Some("train"))?;
        train.retain(|clip| !args.exclude.contains(&clip.signer));
        let dev_clips = clips::clips(&args.clips, Some("dev"))?;
        let labels = model.labels().len();
        let origin = Origin::Path(args.clips.with_extension("mp4"));
        let recognizer = ReaderArgs::default().recognizer_of_frames(&origin)?;
        let folder = seen::folder(cache)?;
        let check = || Interrupted::check(interrupted);
        let bar = ProgressBar::new((train.len() + dev_clips.len()) as u64);
        let told = |_: &Clip| {
            bar.inc(1);
            check()
        };
        let seen = seen::clips(&folder, &train, &recognizer, told)?;
        let dev = seen::clips(&folder, &dev_clips, &recognizer, told)?;
        bar.finish_and_clear();
        let crops = seen::crops(&folder, &dataset, &LetterReader::new(model), check)?;
        let drawn = seen::drawn(&folder, letters, &recognizer, check)?;
        let gives_joints = crops.iter().any(|crop| crop.joints.is_some());
        let paths = match &args.joints {
            Some(folder) if gives_joints => Some(Paths::read(folder, letters)?),
            _ => None,
        };
        let mut facts = dataset.fingerprint(&args.data);
        facts.extend(facts_of(&train, &dev_clips));
        let joints = paths.as_ref().map_or(0, Paths::count);
        facts.insert("sequences of joints".to_owned(), joints.to_string());
        let networks = folder.file_name().unwrap_or_default().to_string_lossy();
        facts.insert("seen by the networks".to_owned(), format!("#{networks}"));
        let mut signers: Vec<&String> = seen.iter().map(|clip| &clip.signer).collect();
        signers.sort();
        signers.dedup();
        let signers = signers.len();
        let seed = args.run.seed;
        Ok(Data {
            sequences: Sequences::new(labels, letters, &seen, &crops, drawn, paths, seed),
            dev_clips,
            dev,
            signers,
            facts,
        })
    }

    /// The data in a sentence, for the network's file.
    fn describe(&self) -> String {
        let counts = self.sequences.counts();
        format!(
            "{} clips of words, {} of letters, {} of J and Z, {} of signs by {} people; words put together \
             from crops of {} hands; a drawn hand; {} sequences of joints",
            counts.words,
            counts.letters,
            counts.moving[0] + counts.moving[1],
            counts.signs,
            self.signers,
            counts.hands,
            counts.joints
        )
    }
}

/// What tells clips from others: how many there are, and a hash of their names, sizes, signers and texts.
fn facts_of(train: &[Clip], dev: &[Clip]) -> BTreeMap<String, String> {
    let mut hash = Fnv::default();
    for clip in train.iter().chain(dev) {
        for word in [&*clip.name, &*clip.signer, clip.kind.name(), &*clip.text] {
            hash.add_bytes(word.as_bytes());
        }
        hash.add(fs::metadata(&clip.path).map_or(0, |file| file.len()));
    }
    BTreeMap::from([
        ("clips to learn from".to_owned(), train.len().to_string()),
        ("clips to be judged by".to_owned(), dev.len().to_string()),
        (
            "clips by name, size, signer and text".to_owned(),
            format!("#{:016x}", hash.value()),
        ),
    ])
}

/// What decides a run's steps: its options and its data.
fn course(args: &SequenceArgs, data: &Data) -> Result<Course> {
    let mut course = Course::of(
        &json!({
            "exclude": args.exclude,
            "steps": args.steps,
            "batch": args.batch,
            "channels": args.channels,
            "seed": args.run.seed,
        }),
        &[],
    )?;
    course.add_data(data.facts.clone());
    Ok(course)
}

/// Trains; returns the averaged network, seconds of training, and the last steps' mean loss.
fn learn(
    args: &SequenceArgs,
    sequences: &Sequences,
    [inputs, outputs]: [usize; 2],
    options: &LoopOptions,
) -> Result<(SequenceNet, f64, Option<f64>)> {
    let device = Device::flex().autodiff();
    device.seed(args.run.seed);
    let net = SequenceNet::new(inputs, args.channels, outputs, &device);
    let how = TrainerOptions {
        schedule: Schedule::rising(args.steps, LEARNING_RATE, LEARNING_RATE),
        weight_decay: 0.02,
        average: 0.998,
        keep: 0.0,
    };
    let trainer = Trainer::new(net, Vec::new(), how);
    let mut run = TrainingLoop::begin(trainer, (), options)?;
    let mut progress = Steps::new("sequences");
    while let Some(step) = run.next_step()? {
        let batch = sequences.batch(step as u64, args.batch)?;
        let (value, loss) = loss(run.trainer.net(), &batch, inputs, &device)?;
        let recent = run.learn(loss, value)?;
        progress.step(step + 1, args.steps, args.batch, recent);
    }
    let seconds = run.learned().as_secs_f64();
    Ok((run.trainer.averaged(), seconds, run.recent_loss()))
}

/// The loss of a batch, and a tensor whose derivatives are the loss's: each sequence counts by its
/// letters' mean.
fn loss(
    net: &SequenceNet,
    batch: &[Example],
    width: usize,
    device: &Device,
) -> Result<(f64, Tensor<1>)> {
    let steps = batch.iter().map(|example| example.steps).max().unwrap_or(1);
    let mut input = vec![0.0; batch.len() * steps * width];
    for (example, row) in batch.iter().zip(input.chunks_exact_mut(steps * width)) {
        row[..example.values.len()].copy_from_slice(&example.values);
    }
    let input = TensorData::new(input, [batch.len(), steps, width]);
    let logs = net.forward(Tensor::<3>::from_data(input, device));
    let outputs = logs.dims()[2];
    let read = values(logs.clone().detach())?;
    let mut sum = 0.0;
    let mut slopes = vec![0.0; read.len()];
    let rows = read.chunks_exact(steps * outputs);
    for ((example, logs), slopes) in
        (batch.iter().zip(rows)).zip(slopes.chunks_exact_mut(steps * outputs))
    {
        let letters: Vec<usize> = example.letters.iter().map(|letter| letter + 1).collect();
        let laid = lay(&logs[..example.steps * outputs], outputs, &letters);
        let share = 1.0 / (letters.len().max(1) * batch.len()) as f32;
        if laid.loss.is_finite() {
            sum += f64::from(share * laid.loss);
        }
        for (slope, expected) in slopes.iter_mut().zip(&laid.expected) {
            *slope = -share * expected;
        }
    }
    let slopes = TensorData::new(slopes, [batch.len(), steps, outputs]);
    let slopes = Tensor::<3>::from_data(slopes, device);
    Ok((sum, (logs * slopes).sum()))
}

fn encode(layers: &Layers, metadata: &SequenceMetadata) -> Result<Vec<u8>> {
    let linear =
        |layer: &'_ Layer| -> (Vec<f32>, Vec<f32>) { (layer.weight.clone(), layer.bias.clone()) };
    let block =
        |(layer, norm): &'_ (Layer, Norm), dilation: usize| (linear(layer), norm.clone(), dilation);
    let owned: Vec<_> = std::iter::once(block(&layers.input, 0))
        .chain(
            (layers.convolutions.iter().zip(DILATIONS)).map(|(of, dilation)| block(of, dilation)),
        )
        .collect();
    let blocks: Vec<Block> = (owned.iter())
        .map(|((weight, bias), norm, dilation)| Block {
            linear: Linear { weight, bias },
            gamma: &norm.gamma,
            beta: &norm.beta,
            dilation: *dilation,
        })
        .collect();
    let output = Linear {
        weight: &layers.output.weight,
        bias: &layers.output.bias,
    };
    let model = to_sequence(layers.width, &blocks, &output, &metadata.to_props()?)
        .context("cannot write the network")?;
    Ok(model.encode_to_vec())
}

/// What is typed of clips, from what the networks say of their frames.
fn judge(
    reader: &SequenceReader,
    clips: &[Clip],
    seen: &[SeenClip],
) -> crate::commands::eval::clips::Report {
    let (clips, outcomes): (Vec<Clip>, Vec<Result<Outcome, String>>) = (clips.par_iter())
        .filter_map(|clip| {
            let seen = seen.iter().find(|seen| seen.name == clip.name)?;
            let outcome = spell(reader.clone(), &seen.frames);
            Some((clip.clone(), outcome.map_err(|error| format!("{error:#}"))))
        })
        .unzip();
    figures(&clips, &outcomes)
}

fn spell(mut reader: SequenceReader, frames: &[Observation]) -> Result<Outcome> {
    let mut speller = Speller::new(Spelling::DEFAULT);
    let mut outcome = Outcome::default();
    for frame in frames {
        let steps = reader.read(frame)?;
        speller.spell(&steps, frame.time);
        outcome.length = frame.time;
    }
    let text = speller.text().chars();
    outcome.text = text.filter(|letter| !letter.is_whitespace()).collect();
    Ok(outcome)
}

#[cfg(test)]
mod tests;

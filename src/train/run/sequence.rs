//! A run that trains the network that reads sequences: clips, crops and joints in, a file and a report
//! out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use indicatif::ProgressBar;
use prost::Message;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use super::course::{Course, Kept};
use super::report::source_commit;
use super::trainer::{Schedule, Trainer, TrainerOptions};
use crate::base::files::write_whole;
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

/// Highest learning rate.
const LEARNING_RATE: f64 = 2e-3;

/// Amounts of caution that are tried on the clips to be judged by.
const CAUTIONS: [f32; 5] = [-1.0, 0.0, 1.0, 2.0, 3.0];

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
    /// Where the network goes
    #[arg(long, value_name = "FILE", default_value = "models/sequence.onnx")]
    pub out: PathBuf,
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
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub caution: f32,
    /// Decides every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Go on from the last checkpoint, to the very step
    #[arg(long)]
    pub resume: bool,
    /// Minutes between checkpoints
    #[arg(long, value_name = "MINUTES", default_value_t = 2.0)]
    pub checkpoint_every: f32,
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
    /// Mean loss of the last fifty steps.
    loss: f64,
    bytes: usize,
    /// What `eval --clips` says of the clips to be judged by, read from what the networks say of them,
    /// by caution.
    dev: BTreeMap<String, Value>,
}

/// Trains, writes the network and its report, and returns what is to be printed.
///
/// # Errors
/// When the data cannot be read, a checkpoint is another run's, the loss is no longer a number, or a file
/// cannot be written.
pub fn run(args: &SequenceArgs) -> Result<String> {
    ensure!(
        args.batch > 0 && args.steps > 0 && args.channels > 0,
        "--batch, --steps and --channels need at least 1"
    );
    let data = Data::read(args)?;
    let (net, seconds, loss) = learn(args, &data)?;
    let metadata = SequenceMetadata {
        labels: data.labels.clone(),
        letters: data.letters.clone(),
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
    write_whole(&args.out, &bytes)?;
    let report = SequenceReport {
        commit: source_commit(),
        steps: args.steps,
        batch: args.batch,
        channels: args.channels,
        seed: args.seed,
        caution: args.caution,
        excluded: args.exclude.clone(),
        sequences: data.sequences.counts(),
        train_seconds: seconds,
        loss,
        bytes: bytes.len(),
        dev,
    };
    let path = args.out.with_extension("report.json");
    write_whole(&path, &serde_json::to_vec_pretty(&report)?)?;
    Ok(format!(
        "{summary}\nloss {loss:.3} after {seconds:.0} s\nnetwork: {} ({} bytes)\nreport: {}\n",
        args.out.display(),
        bytes.len(),
        path.display()
    ))
}

/// What is learned from and judged by.
struct Data {
    labels: Vec<String>,
    letters: Vec<String>,
    sequences: Sequences,
    dev_clips: Vec<Clip>,
    dev: Vec<SeenClip>,
    signers: usize,
}

impl Data {
    fn read(args: &SequenceArgs) -> Result<Data> {
        let dataset = Dataset::open(&DataSource {
            path: args.data.clone(),
            ..DataSource::default()
        })?;
        let mut train = clips::clips(&args.clips, Some("train"))?;
        train.retain(|clip| !args.exclude.contains(&clip.signer));
        let dev_clips = clips::clips(&args.clips, Some("dev"))?;
        let model = Model::embedded()?;
        let labels: Vec<String> = model.labels().iter().map(ToString::to_string).collect();
        let letters: Vec<String> = (labels.iter())
            .filter(|label| *label != NOTHING)
            .cloned()
            .collect();
        let origin = Origin::Path(args.clips.with_extension("mp4"));
        let recognizer = ReaderArgs::default().recognizer_of_frames(&origin)?;
        let beside = args.out.with_extension("seen");
        let folder = seen::folder(args.seen.as_ref().unwrap_or(&beside))?;
        let bar = ProgressBar::new((train.len() + dev_clips.len()) as u64);
        let told = |_: &Clip| bar.inc(1);
        let seen = seen::clips(&folder, &train, &recognizer, told)?;
        let dev = seen::clips(&folder, &dev_clips, &recognizer, told)?;
        bar.finish_and_clear();
        let crops = seen::crops(&folder, &dataset, &LetterReader::new(model))?;
        let drawn = seen::drawn(&folder, &letters, &recognizer)?;
        let gives_joints = crops.iter().any(|crop| crop.joints.is_some());
        let paths = match &args.joints {
            Some(folder) if gives_joints => Some(Paths::read(folder, &letters)?),
            _ => None,
        };
        let mut signers: Vec<&String> = seen.iter().map(|clip| &clip.signer).collect();
        signers.sort();
        signers.dedup();
        let signers = signers.len();
        Ok(Data {
            sequences: Sequences::new(
                labels.len(),
                &letters,
                &seen,
                &crops,
                drawn,
                paths,
                args.seed,
            ),
            labels,
            letters,
            dev_clips,
            dev,
            signers,
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

/// Trains; returns the averaged network, seconds of training, and the last steps' mean loss.
fn learn(args: &SequenceArgs, data: &Data) -> Result<(SequenceNet, f64, f64)> {
    let device = Device::flex().autodiff();
    device.seed(args.seed);
    let inputs = width(data.labels.len());
    let net = SequenceNet::new(inputs, args.channels, data.letters.len() + 1, &device);
    let options = TrainerOptions {
        schedule: Schedule {
            steps: args.steps,
            warmup: (args.steps / 10).min(100),
            backbone: LEARNING_RATE,
            head: LEARNING_RATE,
        },
        weight_decay: 0.02,
        average: 0.998,
        keep: 0.0,
    };
    let mut trainer = Trainer::new(net, Vec::new(), options);
    let checkpoint = args.out.with_extension("checkpoint");
    let course = Course::of(
        &json!({
            "exclude": args.exclude,
            "steps": args.steps,
            "batch": args.batch,
            "channels": args.channels,
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
    let every = Duration::from_secs_f32((args.checkpoint_every * 60.0).clamp(1.0, 1e6));
    let (started, mut saved) = (Instant::now(), Instant::now());
    let mut losses = Vec::new();
    for step in trainer.steps_done()..args.steps {
        let batch = data.sequences.batch(step as u64, args.batch)?;
        let (value, loss) = loss(trainer.net(), &batch, inputs, &device)?;
        ensure!(
            value.is_finite(),
            "the loss is no longer a number after {step} steps"
        );
        trainer.step(loss);
        losses.push(value);
        if (step + 1).is_multiple_of(50) {
            let last = &losses[losses.len().saturating_sub(50)..];
            let mean = last.iter().sum::<f64>() / last.len() as f64;
            let seconds = started.elapsed().as_secs();
            eprintln!(
                "step {} of {}: loss {mean:.3}, {seconds} s",
                step + 1,
                args.steps
            );
        }
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
    let last = &losses[losses.len().saturating_sub(50)..];
    let mean = last.iter().sum::<f64>() / last.len().max(1) as f64;
    let seconds = earlier.saturating_add(started.elapsed()).as_secs_f64();
    Ok((trainer.averaged(), seconds, mean))
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
mod tests {
    use super::*;

    const LABELS: usize = 5;

    fn metadata() -> SequenceMetadata {
        let names = |count: usize| (0..count).map(|at| format!("L{at}")).collect();
        SequenceMetadata {
            labels: names(LABELS),
            letters: names(4),
            rate: RATE,
            caution: 0.0,
            license: String::new(),
            training_commit: String::new(),
            data: String::new(),
        }
    }

    fn rows(steps: usize) -> Vec<f32> {
        let number = |at: usize| ((at * 7919 % 1013) as f32 / 1013.0 - 0.5) * 2.0;
        (0..steps * width(LABELS)).map(number).collect()
    }

    #[test]
    fn the_file_says_step_by_step_what_the_network_says_of_the_whole() {
        let device = Device::flex();
        let net = SequenceNet::new(width(LABELS), 16, 5, &device);
        let bytes = encode(&net.layers().unwrap(), &metadata()).unwrap();
        let model = SequenceModel::from_bytes("a network", &bytes, width).unwrap();
        let steps = 40;
        let input = TensorData::new(rows(steps), [1, steps, width(LABELS)]);
        let whole = values(net.forward(Tensor::<3>::from_data(input, &device))).unwrap();
        let mut memory = model.fresh_memory();
        let mut logits = Vec::new();
        let rows = rows(steps);
        for (at, row) in rows.chunks_exact(width(LABELS)).enumerate() {
            model.step(row, &mut memory, &mut logits).unwrap();
            let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
            for (said, expected) in logits.iter().zip(&whole[5 * at..]) {
                let said = said - sum.ln();
                // Weights in the file are rounded to int8.
                assert!(
                    (said - expected).abs() < 0.05,
                    "step {at}: {said} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_network_learns_to_tell_two_letters_apart_in_a_sequence() {
        let device = Device::flex().autodiff();
        device.seed(1);
        let mut net = Trainer::new(
            SequenceNet::new(width(LABELS), 8, 5, &device),
            Vec::new(),
            TrainerOptions {
                schedule: Schedule {
                    steps: 60,
                    warmup: 5,
                    backbone: 1e-2,
                    head: 1e-2,
                },
                weight_decay: 0.0,
                average: 0.0,
                keep: 0.0,
            },
        );
        // A letter is what its own number says for some steps; the first one has none at all.
        let example = |letters: &[usize]| {
            let mut values = vec![0.0; 4 * width(LABELS)];
            for letter in letters {
                let mut step = vec![0.0; width(LABELS)];
                step[1 + letter] = 2.0;
                values.extend(step.repeat(3));
                values.extend(vec![0.0; 2 * width(LABELS)]);
            }
            Example {
                steps: values.len() / width(LABELS),
                values,
                letters: letters.to_vec(),
            }
        };
        let batch = [
            example(&[0, 1]),
            example(&[1, 0, 0]),
            example(&[]),
            example(&[2]),
        ];
        let mut losses = Vec::new();
        for _ in 0..60 {
            let (value, loss) = loss(net.net(), &batch, width(LABELS), &device).unwrap();
            losses.push(value);
            net.step(loss);
        }
        assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
        assert!(losses[59] < 0.3 * losses[0], "{losses:?}");
    }

    #[test]
    fn a_file_for_another_letter_network_is_refused_by_name() {
        let device = Device::flex();
        let net = SequenceNet::new(width(LABELS), 8, 5, &device);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sequence.onnx");
        std::fs::write(&path, encode(&net.layers().unwrap(), &metadata()).unwrap()).unwrap();
        let own: Vec<std::sync::Arc<str>> = metadata()
            .labels
            .iter()
            .map(|label| label.as_str().into())
            .collect();
        SequenceReader::load(&path, &own).unwrap();
        let error = SequenceReader::load(&path, &own[1..]).unwrap_err();
        assert!(format!("{error:#}").contains("sequence.onnx"), "{error:#}");
        std::fs::write(&path, b"no network").unwrap();
        let error = SequenceReader::load(&path, &own).unwrap_err();
        assert!(format!("{error:#}").contains("sequence.onnx"), "{error:#}");
    }
}

//! A whole training run: pictures in, network files and a report out.
//!
//! - [`places`]: where it writes; [`mod@gather`]: its pictures, those left out that cannot be read.
//! - [`options`]: what a run can be told; [`course`]: those of it that a checkpoint is kept with.
//! - [`origin`]: a trained network to start from; [`description`]: what it is.
//! - [`trainer`]: optimisation steps, weight averaging, checkpoints; [`steps`]: the loop around them,
//!   until the last step or until somebody asks it to stop.
//! - [`mod@fit`]: trains a letter network and judges it; [`mod@hand`], [`mod@sequence`]: runs that
//!   train a finder and a reader of sequences.
//! - [`progress`], [`report`]: a run's bar and results.

pub mod course;
pub mod description;
pub mod fit;
pub mod gather;
pub mod hand;
pub mod options;
pub mod origin;
pub mod places;
pub mod progress;
pub mod report;
pub mod sequence;
pub mod steps;
pub mod trainer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;

use self::course::Course;
use self::description::Description;
use self::fit::{FitOptions, Fitted, Predictions, fit, predict};
use self::gather::{Gathered, gather};
use self::options::{Compute, TrainOptions};
use self::origin::Origin;
use self::places::{Claim, Places};
use self::progress::Steps;
use self::report::{DataSummary, Figures, Reading, Report, source_commit};
use self::steps::LoopOptions;
use self::trainer::{Schedule, TrainerOptions, has_checkpoint};
use crate::model::{Metadata, Model, Preprocessing, Reads};
use crate::train::data::dataset::{Dataset, Split};
use crate::train::data::loader::Loader;
use crate::train::file::write::{QuantizeReport, write_models};
use crate::train::network::letter::{HeadOptions, LetterNet};
use crate::train::network::mobilenet::{BACKBONE_NUMBERS, FEATURES, UNITS};

/// Training pictures whose activations give the int8 scales.
const CALIBRATION: usize = 512;

/// Does what `options` ask for, starting from `origin` where there is one, and says in a few lines
/// what came of it. Where `interrupted` is set, it stops after the current step.
///
/// # Errors
/// As [`train`] and [`cross_validate`].
pub fn run(
    options: &TrainOptions,
    origin: Option<&Origin>,
    interrupted: &Arc<AtomicBool>,
) -> Result<String> {
    if let Some(folds) = options.folds {
        let figures = cross_validate(options, origin, folds.count, interrupted)?;
        return Ok(figures.to_string());
    }
    let report = train(options, origin, interrupted)?;
    let int8 = report.int8.as_ref().unwrap_or(&report.f32);
    let before = report.before.as_ref().map_or(String::new(), |before| {
        format!("before {:.2} %, after ", 100.0 * before.accuracy)
    });
    Ok(format!(
        "{int8}\n{}\nvalidation accuracy: {before}f32 {:.2} %, int8 {:.2} %; {:.0} s, {:.0} images/s\n\
         network: {}\nreport: {}\n",
        report.data.copies,
        100.0 * report.f32.accuracy,
        100.0 * int8.accuracy,
        report.wall_s,
        report.images_per_second,
        options.places.network.display(),
        options.places.report.display(),
    ))
}

/// Trains a network as `options` say, starting from `origin` where there is one, writes it in int8
/// and f32, and a report beside it.
///
/// Nothing is written before the data has been found sound and there is a place for what comes of
/// them; the network and the report appear whole or not at all.
///
/// # Errors
/// When the data or the backbone cannot be read, training fails, a file cannot be written, or would
/// take the place of another; and, with [`steps::Interrupted`], when it is interrupted.
pub fn train(
    options: &TrainOptions,
    origin: Option<&Origin>,
    interrupted: &Arc<AtomicBool>,
) -> Result<Report> {
    let started = Instant::now();
    let dataset = Dataset::open(&options.data)?;
    let places = &options.places;
    let _claim = claim(options, places, &dataset)?;
    if options.resume {
        places.ensure_checkpoint()?;
    }
    let gathered = gather(dataset, options, interrupted)?;
    let dataset = &gathered.dataset;
    let reads = gathered.reads;
    let Run {
        fitted,
        loader,
        before,
    } = fit_on(&gathered, options, origin, options.resume, interrupted)?;
    let f32_figures = figures(dataset, &fitted.predictions);

    let temperature = match options.calibrate {
        true => fitted.predictions.temperature() as f32,
        false => 1.0,
    };
    let graph = fitted.net.graph(options.size, temperature)?;
    let crop_scale = match reads {
        Reads::Hand => options.crop_scale,
        Reads::Squeezed | Reads::Cut => 1.0,
    };
    let preprocessing = Preprocessing::new(options.size, crop_scale);
    let metadata = Metadata {
        reads,
        license: "MIT OR Apache-2.0".to_owned(),
        training_commit: source_commit().unwrap_or_default(),
        data: describe(dataset),
        ..Metadata::new(dataset.labels.clone(), preprocessing)
    };
    let crops = calibration(&loader)?;
    let quantized = write_models(
        &graph,
        &crops,
        &preprocessing,
        &metadata.to_props()?,
        &places.network,
    )?;
    let int8_figures = figures(dataset, &read_back(&quantized, &loader)?);

    let wall_s = fitted
        .earlier
        .saturating_add(started.elapsed())
        .as_secs_f64();
    let speeds = fitted.epochs.iter().map(|epoch| epoch.images_per_second);
    let images_per_second = speeds.sum::<f64>() / fitted.epochs.len().max(1) as f64;
    let report = Report {
        options: options.clone(),
        commit: source_commit(),
        data: DataSummary::of(&gathered),
        images_per_second,
        epochs: fitted.epochs,
        wall_s,
        before: before.map(|before| figures(dataset, &before)),
        f32: f32_figures,
        int8: Some(int8_figures),
    };
    report.write(&places.report)?;
    Ok(report)
}

/// Trains once for each fold of signers on all others: how signers are read by networks that never
/// saw them. Writes no network.
///
/// # Errors
/// As [`train`], and when the data names too few signers.
pub fn cross_validate(
    options: &TrainOptions,
    origin: Option<&Origin>,
    folds: usize,
    interrupted: &Arc<AtomicBool>,
) -> Result<Figures> {
    let dataset = Dataset::open(&options.data)?;
    let places: Vec<Places> = (1..=folds).map(|fold| options.places.fold(fold)).collect();
    let claims = places.iter().map(|places| claim(options, places, &dataset));
    let _claims = claims.collect::<Result<Vec<_>>>()?;
    let mut readings = Vec::new();
    for (index, fold) in dataset.folds(folds)?.into_iter().enumerate() {
        tracing::info!("fold {} of {folds}", index + 1);
        let mut of_fold = options.clone();
        of_fold.places.clone_from(&places[index]);
        let resume = options.resume && has_checkpoint(&of_fold.places.checkpoint);
        let fold = gather(fold, options, interrupted)?;
        let run = fit_on(&fold, &of_fold, origin, resume, interrupted)?;
        readings.extend(read(&fold.dataset, &run.fitted.predictions));
    }
    Ok(Figures::of(&dataset.labels, readings))
}

/// A trained network, what it learned from, and what the one it started from made of the
/// validation pictures.
struct Run {
    fitted: Fitted,
    loader: Arc<Loader>,
    before: Option<Predictions>,
}

/// Takes the places of a run for it.
fn claim(options: &TrainOptions, places: &Places, dataset: &Dataset) -> Result<Claim> {
    let outputs = dataset.labels.len();
    let head = match options.hidden {
        Some(hidden) => hidden * (FEATURES + outputs),
        None => FEATURES * outputs,
    };
    places.claim(options.existing, BACKBONE_NUMBERS + head)
}

fn fit_on(
    gathered: &Gathered,
    options: &TrainOptions,
    origin: Option<&Origin>,
    resume: bool,
    interrupted: &Arc<AtomicBool>,
) -> Result<Run> {
    let Gathered {
        dataset,
        pictures,
        reads,
        ..
    } = gathered;
    let loader = Loader::new(
        Arc::clone(dataset),
        Arc::clone(pictures),
        options.loader(*reads, 1),
    )?;
    let loader = Arc::new(loader);
    let device = device(options.device).autodiff();
    device.seed(options.seed);
    let head = HeadOptions {
        hidden: options.hidden,
        dropout: options.dropout,
        points: options.points_weight > 0.0,
    };
    let mut before = None;
    let net = match origin {
        Some(origin) => {
            let net = origin.net(&dataset.labels, head, &device)?;
            let device = device.clone().inner();
            let is_stopped = || interrupted.load(Ordering::Acquire);
            before = predict(&net.valid(), &loader, &device, &is_stopped)?;
            net
        }
        None => {
            let mut net = LetterNet::new(dataset.labels.len(), head, &device);
            net.backbone = options.backbone.fill(net.backbone, &device)?;
            net
        }
    };
    let steps = loader.steps_per_epoch() as usize * options.epochs;
    let fit_options = FitOptions {
        trainer: TrainerOptions {
            schedule: Schedule {
                steps,
                warmup: (steps as f32 * options.warmup) as usize,
                backbone: options.lr,
                head: options.head_lr,
            },
            weight_decay: options.weight_decay,
            average: options.ema,
            keep: options.keep,
        },
        frozen: options.freeze.units(UNITS),
        mode: options.statistics.mode(),
        label_smoothing: options.label_smoothing,
        points_weight: options.points_weight,
        steps: LoopOptions {
            checkpoint: Some((options.places.checkpoint.clone(), options.checkpoint_every)),
            resume,
            interrupted: Arc::clone(interrupted),
            course: course(options, *reads, dataset)?,
        },
        blend: options.blend.clone(),
        network: Description {
            labels: dataset.labels.clone(),
            hidden: options.hidden,
            points: head.points,
            size: options.size,
            crop_scale: options.crop_scale,
            reads: *reads,
        },
    };
    let fitted = fit(
        net,
        &loader,
        &fit_options,
        &device,
        &mut Steps::new("images"),
    )?;
    Ok(Run {
        fitted,
        loader,
        before,
    })
}

/// What decides a run's steps: the data, and all options but where files lie, what computes, and what
/// is done after the last step.
fn course(options: &TrainOptions, reads: Reads, dataset: &Dataset) -> Result<Course> {
    let options = TrainOptions {
        // What the program took for granted before there was a choice.
        reads: Some(reads).filter(|reads| reads.is_whole()),
        ..options.clone()
    };
    let but = [
        "data.path",
        "data.frames",
        "out",
        "backbone",
        "from",
        "preset",
        "device",
        "calibrate",
        "blend",
    ];
    let mut course = Course::of(&options, &but)?;
    course.add_data(dataset.fingerprint(&options.data.path));
    Ok(course)
}

fn device(compute: Compute) -> Device {
    match compute {
        Compute::Cpu => Device::flex(),
        #[cfg(feature = "train-cuda")]
        Compute::Cuda => Device::cuda(0),
        #[cfg(feature = "train-wgpu")]
        Compute::Wgpu => Device::wgpu(Default::default()),
    }
}

/// Training crops as they are seen live.
fn calibration(loader: &Loader) -> Result<Vec<Vec<u8>>> {
    let mut crops = Vec::new();
    for number in 0.. {
        let Some(batch) = loader.plain_batch(number)? else {
            break;
        };
        let bytes = batch.size * batch.size * 3;
        crops.extend(batch.images.chunks_exact(bytes).map(<[u8]>::to_vec));
        if crops.len() >= CALIBRATION {
            break;
        }
    }
    crops.truncate(CALIBRATION);
    Ok(crops)
}

/// What the written int8 file makes of the validation pictures, as the program would run it.
fn read_back(quantized: &QuantizeReport, loader: &Arc<Loader>) -> Result<Predictions> {
    let mut model = Model::load(&quantized.int8).context("the network just written")?;
    let labels = model.labels().len();
    let mut row = vec![0.0; labels];
    let mut predictions = Predictions {
        labels,
        ..Predictions::default()
    };
    for batch in loader.stream_val(2)? {
        let batch = batch?;
        let bytes = batch.size * batch.size * 3;
        for crop in batch.images.chunks_exact(bytes) {
            model.read(crop, &mut row)?;
            // Logits up to a constant, which no use of them sees.
            predictions
                .logits
                .extend(row.iter().map(|p| p.max(f32::MIN_POSITIVE).ln()));
        }
        predictions
            .targets
            .extend(batch.targets.iter().map(|&target| target as usize));
        predictions.samples.extend(batch.samples.iter().flatten());
    }
    Ok(predictions)
}

fn figures(dataset: &Dataset, predictions: &Predictions) -> Figures {
    Figures::of(&dataset.labels, read(dataset, predictions))
}

fn read(dataset: &Dataset, predictions: &Predictions) -> Vec<Reading> {
    let rows = predictions.samples.iter().zip(&predictions.targets);
    rows.zip(predictions.top())
        .map(|((&sample, &class), read)| Reading {
            signer: dataset.samples[sample].signer.clone(),
            class,
            read,
        })
        .collect()
}

/// The data in a sentence, for the network file.
fn describe(dataset: &Dataset) -> String {
    let of = |split| {
        let signers = (dataset.samples.iter())
            .filter(|sample| sample.split == split)
            .filter_map(|sample| sample.signer.clone());
        let pictures = dataset.of_split(split).len();
        (
            pictures,
            signers.collect::<std::collections::BTreeSet<_>>().len(),
        )
    };
    let ((train, train_signers), (val, val_signers)) = (of(Split::Train), of(Split::Val));
    format!(
        "{train} training pictures of {train_signers} signers, \
         {val} validation pictures of {val_signers} other signers"
    )
}

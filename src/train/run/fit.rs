//! Trains a letter network on a loader's batches and judges it on the validation pictures.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::description::Description;
use super::steps::{LoopOptions, TrainingLoop};
use super::trainer::{Trainer, TrainerOptions, ids};
use crate::base::joints::JOINT_VALUES;
use crate::model::Preprocessing;
use crate::train::data::augment::CropPoints;
use crate::train::data::loader::{Batch, Loader};
use crate::train::network::block::Mode;
use crate::train::network::letter::{LetterNet, Output};
use crate::train::network::points::CENTRE;
use crate::train::network::values;

/// How a letter network is trained.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Learning rates, weight decay, averaging.
    pub trainer: TrainerOptions,
    /// Lowest units of the backbone that keep their weights and statistics.
    pub frozen: usize,
    /// What the others normalise with: [`Mode::Train`] or [`Mode::Tune`].
    pub mode: Mode,
    /// Share of the target that is spread over all labels (Szegedy et al. 2016), 0 to 1.
    pub label_smoothing: f32,
    /// Weight of the hand's points in the loss; used where the network has that output.
    pub points_weight: f32,
    /// Where it begins, and its checkpoints.
    pub steps: LoopOptions,
    /// Checkpoints of finished runs, with whose networks the weights are averaged at the end.
    pub blend: Vec<PathBuf>,
    /// What the network is, for its checkpoints.
    pub network: Description,
}

/// What a checkpoint tells of its network.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trained {
    /// What the network is.
    pub network: Description,
    /// The epochs done.
    pub epochs: Vec<Epoch>,
}

/// One epoch in figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss of the training batches, label smoothing and points included.
    pub train_loss: f64,
    /// Share of the augmented training crops that were read right.
    pub train_accuracy: f64,
    /// Figures of the averaged weights on the validation pictures.
    pub val: Option<Validation>,
    /// Training crops a second, validation excluded.
    pub images_per_second: f64,
}

/// Figures of a validation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Validation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of pictures whose most probable label is right.
    pub accuracy: f64,
}

/// Told about a run as it goes on.
pub trait Progress {
    /// A batch of `images` examples was learned from, `done` of `steps` are; `loss` is the mean of the
    /// last ones.
    fn step(&mut self, done: usize, steps: usize, images: usize, loss: f64);
    /// An epoch is over.
    fn epoch(&mut self, epoch: &Epoch);
}

/// A trained network with its history.
pub struct Fitted {
    /// With averaged weights, without autodiff.
    pub net: LetterNet,
    /// Epoch by epoch.
    pub epochs: Vec<Epoch>,
    /// What it reads of the validation pictures.
    pub predictions: Predictions,
    /// How long the parts of the run took that came before the last resumption.
    pub earlier: Duration,
}

/// Logits of the validation pictures, in the loader's order.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    /// `pictures x labels`, row by row.
    pub logits: Vec<f32>,
    /// Each picture's label.
    pub targets: Vec<usize>,
    /// Each picture's sample, as an index into the dataset's.
    pub samples: Vec<usize>,
    /// Labels in a row.
    pub labels: usize,
}

impl Predictions {
    /// The most probable label of each picture.
    pub fn top(&self) -> Vec<usize> {
        self.logits
            .chunks_exact(self.labels.max(1))
            .map(|row| {
                let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                best.map_or(0, |(label, _)| label)
            })
            .collect()
    }

    /// Share of pictures whose most probable label is right.
    pub fn accuracy(&self) -> f64 {
        let top = self.top();
        let right = top
            .iter()
            .zip(&self.targets)
            .filter(|(top, target)| top == target);
        right.count() as f64 / self.targets.len().max(1) as f64
    }

    /// Mean cross-entropy with logits divided by `temperature`, in nats.
    pub fn loss(&self, temperature: f64) -> f64 {
        let rows = self.logits.chunks_exact(self.labels.max(1));
        let losses = rows.zip(&self.targets).map(|(row, &target)| {
            let scaled = || row.iter().map(|logit| f64::from(*logit) / temperature);
            let highest = scaled().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scaled().map(|logit| (logit - highest).exp()).sum();
            highest + sum.ln() - f64::from(row[target]) / temperature
        });
        losses.sum::<f64>() / self.targets.len().max(1) as f64
    }

    /// The temperature of the lowest cross-entropy (Guo et al. 2017), by golden section between a
    /// quarter and four.
    pub fn temperature(&self) -> f64 {
        const RATIO: f64 = 0.618_033_988_749_895;
        let (mut low, mut high) = (0.25f64.ln(), 4f64.ln());
        for _ in 0..40 {
            let (left, right) = (high - RATIO * (high - low), low + RATIO * (high - low));
            if self.loss(left.exp()) < self.loss(right.exp()) {
                high = right;
            } else {
                low = left;
            }
        }
        ((low + high) / 2.0).exp()
    }
}

/// Trains `net` on `loader`'s batches.
///
/// # Errors
/// When a picture cannot be read, the checkpoint cannot be resumed from, the loss is no longer a
/// number, or, with [`Interrupted`], when it is interrupted.
///
/// [`Interrupted`]: super::steps::Interrupted
pub fn fit(
    net: LetterNet,
    loader: &Arc<Loader>,
    options: &FitOptions,
    device: &Device,
    progress: &mut dyn Progress,
) -> Result<Fitted> {
    let backbone = ids(&net.backbone);
    let trainer = Trainer::new(net, backbone, options.trainer);
    let network = Trained {
        network: options.network.clone(),
        epochs: Vec::new(),
    };
    let mut run = TrainingLoop::begin(trainer, network, &options.steps)?;
    run.network.network.clone_from(&options.network);
    let per_epoch = loader.steps_per_epoch() as usize;
    let (start, steps) = (run.trainer.steps_done(), run.trainer.steps());
    let is_stopped = || options.steps.interrupted.load(Ordering::Acquire);
    let validate = |trainer: &Trainer<LetterNet>| -> Result<Option<Validation>> {
        if loader.val_len() == 0 {
            return Ok(None);
        }
        let device = device.clone().inner();
        let predictions = predict(&trainer.averaged(), loader, &device, &is_stopped)?;
        Ok(predictions.map(|predictions| Validation {
            loss: predictions.loss(1.0),
            accuracy: predictions.accuracy(),
        }))
    };
    // It may have been interrupted while it judged the last epoch.
    if let Some(last) = run.network.epochs.last_mut()
        && last.val.is_none()
        && start == last.epoch * per_epoch
    {
        last.val = validate(&run.trainer)?;
        progress.epoch(last);
    }
    let mut batches = loader.stream(start as u64, steps as u64, 4)?;
    let mut running = Running::new();
    while let Some(step) = run.next_step()? {
        let batch = batches.next_batch()?;
        // Dropout draws from the device: a resumed run must draw the same.
        device.seed(loader.options().seed ^ (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let targets = targets(&batch, device);
        let net = run.trainer.net();
        let output = net.forward(images(&batch, device), options.mode, options.frozen);
        let logits = values(output.logits.clone().detach())?;
        let loss = loss(output, targets, &batch, options, device);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let recent = run.learn(loss, value)?;
        running.add(&batch, value, &logits);
        progress.step(step + 1, steps, batch.len, recent);
        if (step + 1) % per_epoch == 0 {
            let epoch = (step + 1) / per_epoch;
            let mut figures = running.take(epoch);
            figures.val = validate(&run.trainer)?;
            progress.epoch(&figures);
            run.network.epochs.push(figures);
            running = Running::new();
        }
    }
    let net = run.trainer.blended(&options.blend)?;
    let device = device.clone().inner();
    let predictions = predict(&net, loader, &device, &is_stopped)?;
    let predictions = predictions.ok_or_else(|| run.stopped())?;
    Ok(Fitted {
        net,
        earlier: run.earlier(),
        epochs: run.network.epochs,
        predictions,
    })
}

/// What `net` makes of the validation pictures; `None` where `is_stopped` says to stop before the end.
///
/// # Errors
/// When a picture cannot be read.
pub fn predict(
    net: &LetterNet,
    loader: &Arc<Loader>,
    device: &Device,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Option<Predictions>> {
    let mut predictions = Predictions::default();
    let mut batches = loader.stream_val(2)?;
    while let Some(batch) = batches.next().transpose()? {
        if is_stopped() {
            return Ok(None);
        }
        let logits = net.forward(images(&batch, device), Mode::Infer, 0).logits;
        predictions.labels = logits.dims()[1];
        predictions.logits.extend(values(logits)?);
        predictions
            .targets
            .extend(batch.targets.iter().map(|&target| target as usize));
        predictions.samples.extend(batch.samples.iter().flatten());
    }
    Ok(Some(predictions))
}

/// Figures of the epoch that is under way.
struct Running {
    started: Instant,
    images: usize,
    right: usize,
    loss: f64,
    batches: usize,
}

impl Running {
    fn new() -> Self {
        Running {
            started: Instant::now(),
            images: 0,
            right: 0,
            loss: 0.0,
            batches: 0,
        }
    }

    fn add(&mut self, batch: &Batch, loss: f64, logits: &[f32]) {
        let predictions = Predictions {
            labels: logits.len() / batch.len.max(1),
            logits: logits.to_vec(),
            ..Predictions::default()
        };
        let top = predictions.top();
        self.right += (top.iter().zip(&batch.targets))
            .filter(|(top, target)| **top == **target as usize)
            .count();
        self.images += batch.len;
        self.loss += loss;
        self.batches += 1;
    }

    fn take(&self, epoch: usize) -> Epoch {
        Epoch {
            epoch,
            train_loss: self.loss / self.batches.max(1) as f64,
            train_accuracy: self.right as f64 / self.images.max(1) as f64,
            val: None,
            images_per_second: self.images as f64 / self.started.elapsed().as_secs_f64(),
        }
    }
}

/// A batch's crops, normalised, N x S x S x 3.
fn images(batch: &Batch, device: &Device) -> Tensor<4> {
    normalised(&batch.images, batch.len, batch.size, device)
}

/// `count` pictures of `size` x `size` RGB bytes as a network's input, N x S x S x 3.
pub(super) fn normalised(bytes: &[u8], count: usize, size: usize, device: &Device) -> Tensor<4> {
    let (mean, std) = (Preprocessing::MEAN, Preprocessing::STD);
    let table: [f32; 256] = std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std);
    let pixels: Vec<f32> = bytes
        .par_iter()
        .with_min_len(1 << 16)
        .map(|byte| table[usize::from(*byte)])
        .collect();
    Tensor::from_data(TensorData::new(pixels, [count, size, size, 3]), device)
}

fn targets(batch: &Batch, device: &Device) -> Tensor<1, Int> {
    let targets: Vec<i64> = batch
        .targets
        .iter()
        .map(|&target| i64::from(target))
        .collect();
    Tensor::from_data(TensorData::new(targets, [batch.len]), device)
}

/// Cross-entropy with label smoothing, plus the mean distance of the points that are visible.
fn loss(
    output: Output,
    targets: Tensor<1, Int>,
    batch: &Batch,
    options: &FitOptions,
    device: &Device,
) -> Tensor<1> {
    let smoothing = Some(options.label_smoothing).filter(|share| *share > 0.0);
    let letters = CrossEntropyLossConfig::new()
        .with_smoothing(smoothing)
        .init(device)
        .forward(output.logits, targets);
    let Some(points) = output.points else {
        return letters;
    };
    let (known, mask) = point_targets(&batch.points);
    let visible: f32 = mask.iter().sum();
    let shape = [batch.len, JOINT_VALUES];
    let known = Tensor::<2>::from_data(TensorData::new(known, shape), device);
    let mask = Tensor::<2>::from_data(TensorData::new(mask, shape), device);
    let distance = ((points - known).abs() * mask).sum() / visible.max(1.0);
    letters + distance * options.points_weight
}

/// Coordinates and which of them count, `crops x` [`JOINT_VALUES`] each; centred on the crop.
fn point_targets(points: &[Option<CropPoints>]) -> (Vec<f32>, Vec<f32>) {
    let mut known = vec![0.0; points.len() * JOINT_VALUES];
    let mut mask = vec![0.0; points.len() * JOINT_VALUES];
    for (index, crop) in points.iter().enumerate() {
        let Some(crop) = crop else { continue };
        for (joint, (point, visible)) in crop.points.iter().zip(crop.visible).enumerate() {
            let at = index * JOINT_VALUES + 2 * joint;
            known[at] = point[0] - CENTRE;
            known[at + 1] = point[1] - CENTRE;
            mask[at..at + 2].fill(if visible { 1.0 } else { 0.0 });
        }
    }
    (known, mask)
}

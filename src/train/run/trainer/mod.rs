//! One optimisation step after the other, whatever the network: learning rates, weight averaging,
//! checkpoints that continue to the very step.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::base::files::open_bounded;

/// Learning rates over a run: a linear rise, then half a cosine down to a hundredth (Loshchilov
/// and Hutter 2017).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Steps of the whole run.
    pub steps: usize,
    /// Steps of the rise.
    pub warmup: usize,
    /// Highest rate of the backbone.
    pub backbone: f64,
    /// Highest rate of all that stands on it.
    pub head: f64,
}

impl Schedule {
    /// So many steps, the first tenth of which, at most a hundred, are the rise.
    pub fn rising(steps: usize, backbone: f64, head: f64) -> Schedule {
        Schedule {
            steps,
            warmup: (steps / 10).min(100),
            backbone,
            head,
        }
    }

    /// The share of the highest rates that step `step` learns with, 0 to 1.
    pub fn factor(&self, step: usize) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / self.warmup as f64;
        }
        let length = self.steps.saturating_sub(self.warmup).max(1);
        let progress = ((step - self.warmup) as f64 / length as f64).min(1.0);
        let cosine = (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0;
        0.01 + 0.99 * cosine
    }
}

/// What a run does besides following gradients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainerOptions {
    /// Learning rates.
    pub schedule: Schedule,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Decay of the exponential average of the weights, below 1; 0 for the last weights themselves.
    pub average: f32,
    /// Share of the weights that the run started from in those that come of it, below 1: a network
    /// between the two has learned nearly as much and forgotten far less (WiSE-FT, Wortsman et al.
    /// 2022).
    pub keep: f32,
}

/// A network in training.
pub struct Trainer<M: Module> {
    net: M,
    options: TrainerOptions,
    backbone: Vec<ParamId>,
    head: Vec<ParamId>,
    optimizers: [ModuleOptimizer; 2],
    averaged: Vec<Vec<f32>>,
    /// Where the run started; empty where nothing of it is kept.
    start: Vec<Vec<f32>>,
    step: usize,
    note: String,
}

#[derive(Serialize, Deserialize)]
struct Progress {
    step: usize,
    note: String,
    options: TrainerOptions,
}

/// What a checkpoint takes at most, in bytes, of a network of `parameters` weights and as many statistics
/// at most: its own file, the average, and two moments of each weight, in four bytes each, and what
/// describes them.
pub fn checkpoint_bytes(parameters: usize) -> u64 {
    5 * 4 * parameters as u64 + (1 << 20)
}

/// Whether a checkpoint lies in the folder `path`, whole or as it was when the program died.
pub fn has_checkpoint(path: &Path) -> bool {
    newest(path).join(PROGRESS).exists()
}

const NETWORK: &str = "network.bpk";
const BACKBONE: &str = "optimizer-backbone.bpk";
const HEAD: &str = "optimizer-head.bpk";
const AVERAGE: &str = "average.f32";
const PROGRESS: &str = "progress.json";

/// A larger file of progress is refused unread, in bytes: a run of a thousand epochs notes less.
const MOST_PROGRESS: u64 = 16 << 20;

impl<M: Module> Trainer<M> {
    /// Starts with `net`, on an autodiff device; `backbone` names the parameters that learn with
    /// the backbone's rate.
    pub fn new(net: M, backbone: Vec<ParamId>, options: TrainerOptions) -> Self {
        let head = ids(&net)
            .into_iter()
            .filter(|id| !backbone.contains(id))
            .collect();
        let optimizer = || {
            AdamWConfig::new()
                .with_weight_decay(options.weight_decay)
                .with_epsilon(1e-8)
                .init()
        };
        let averaged = collect(&net);
        let start = match options.keep > 0.0 {
            true => averaged.clone(),
            false => Vec::new(),
        };
        Trainer {
            net,
            options,
            backbone,
            head,
            optimizers: [optimizer(), optimizer()],
            averaged,
            start,
            step: 0,
            note: String::new(),
        }
    }

    /// The network with its newest weights.
    pub fn net(&self) -> &M {
        &self.net
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.step
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> usize {
        self.options.schedule.steps
    }

    /// Replaces the text kept with checkpoints for whoever drives the run, which [`read_note`] reads; empty
    /// at first.
    pub fn set_note(&mut self, note: String) {
        self.note = note;
    }

    /// The network with averaged weights, as much of the start as is kept among them, without
    /// autodiff: what is judged and exported.
    pub fn averaged(&self) -> M {
        self.filled(&self.averaged)
    }

    /// The network with the mean of the averaged weights of this run and of those with these
    /// checkpoints (model soup, Wortsman et al. 2022).
    ///
    /// # Errors
    /// When a checkpoint cannot be read or is another network's.
    pub fn blended(&self, checkpoints: &[PathBuf]) -> Result<M> {
        let mut blend = self.averaged.clone();
        for path in checkpoints {
            let tried = || format!("cannot blend with the checkpoint {}", path.display());
            let other = read_average(path, &self.averaged).with_context(tried)?;
            for (sum, value) in blend.iter_mut().flatten().zip(other.iter().flatten()) {
                *sum += value;
            }
        }
        let runs = (1 + checkpoints.len()) as f32;
        blend.iter_mut().flatten().for_each(|sum| *sum /= runs);
        Ok(self.filled(&blend))
    }

    fn filled(&self, values: &[Vec<f32>]) -> M {
        let keep = self.options.keep;
        let mut values = values.to_vec();
        for (values, start) in values.iter_mut().zip(&self.start) {
            for (value, start) in values.iter_mut().zip(start) {
                *value += keep * (start - *value);
            }
        }
        fill(self.net.valid(), &values)
    }

    /// Follows the gradients of `loss`, which came from [`Trainer::net`].
    pub fn step(&mut self, loss: Tensor<1>) {
        let factor = self.options.schedule.factor(self.step);
        let rates = [self.options.schedule.backbone, self.options.schedule.head];
        let mut grads = loss.backward();
        for (index, ids) in [&self.backbone, &self.head].into_iter().enumerate() {
            let grads = GradientsParams::from_params(&mut grads, &self.net, ids);
            if !grads.is_empty() {
                let net = self.net.clone();
                self.net = self.optimizers[index].step(rates[index] * factor, net, grads);
            }
        }
        self.step += 1;
        // Early on the average forgets faster, so that it leaves the first weights behind.
        let early = (1 + self.step) as f32 / (10 + self.step) as f32;
        let decay = self.options.average.min(early);
        for (average, now) in self.averaged.iter_mut().zip(collect(&self.net)) {
            for (average, now) in average.iter_mut().zip(now) {
                *average = decay * *average + (1.0 - decay) * now;
            }
        }
    }

    /// Writes all that a later run needs to go on from here to the folder `path`, which holds
    /// either the old checkpoint or the new one, whenever the program dies.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let fresh = beside(path, "new");
        let old = beside(path, "old");
        let write = || -> Result<()> {
            remove(&fresh)?;
            fs::create_dir_all(&fresh)?;
            self.net.clone().save_file(fresh.join(NETWORK))?;
            self.optimizers[0].save(fresh.join(BACKBONE))?;
            self.optimizers[1].save(fresh.join(HEAD))?;
            let average: Vec<u8> = (self.averaged.iter().flatten())
                .flat_map(|value| value.to_le_bytes())
                .collect();
            fs::write(fresh.join(AVERAGE), average)?;
            let progress = Progress {
                step: self.step,
                note: self.note.clone(),
                options: self.options,
            };
            fs::write(fresh.join(PROGRESS), serde_json::to_vec_pretty(&progress)?)?;
            remove(&old)?;
            if path.exists() {
                fs::rename(path, &old)?;
            }
            fs::rename(&fresh, path)?;
            remove(&old)
        };
        let written = write();
        if written.is_err() {
            // A part of one is of no use; on a full disk, its room is.
            let _ = remove(&fresh);
        }
        written.with_context(|| format!("cannot write the checkpoint {}", path.display()))
    }

    /// Goes on from the checkpoint in the folder `path`.
    ///
    /// # Errors
    /// When there is none, it is damaged, or it comes from a run with other options.
    pub fn resume(mut self, path: &Path) -> Result<Self> {
        let path = &newest(path);
        let read = || -> Result<(Progress, Vec<Vec<f32>>)> {
            let progress = read_progress(path)?;
            Ok((progress, read_average(path, &self.averaged)?))
        };
        let tried = || format!("cannot resume from the checkpoint {}", path.display());
        let (progress, average) = read().with_context(tried)?;
        ensure!(
            progress.options == self.options,
            "{}: its run had other options ({:?}); start anew without --resume, or give the same ones",
            tried(),
            progress.options
        );
        self.averaged = average;
        let record = burn::store::ModuleRecord::load(path.join(NETWORK)).with_context(tried)?;
        let before = ids(&self.net);
        let net = self.net.clone();
        let result = net.try_load_record(record);
        self.net = result.map_err(|error| anyhow!("{}: {error}", tried()))?;
        // Loading gives the parameters the identities they had in the earlier run.
        let after = ids(&self.net);
        for id in self.backbone.iter_mut().chain(&mut self.head) {
            if let Some(at) = before.iter().position(|before| before == id) {
                *id = after[at];
            }
        }
        let [backbone, head] = self.optimizers;
        self.optimizers = [
            backbone.load(path.join(BACKBONE)).with_context(tried)?,
            head.load(path.join(HEAD)).with_context(tried)?,
        ];
        self.step = progress.step;
        self.note = progress.note;
        Ok(self)
    }
}

/// `net` with the averaged weights of the checkpoint in the folder `path`, where a run of such a
/// network wrote them.
///
/// # Errors
/// When there is none, or it is another network's.
pub fn fill_average<M: Module>(net: M, path: &Path) -> Result<M> {
    let average = read_average(&newest(path), &collect(&net))?;
    Ok(fill(net, &average))
}

/// The text that was kept with the checkpoint in the folder `path`.
///
/// # Errors
/// When there is no checkpoint, or it is damaged.
pub fn read_note(path: &Path) -> Result<String> {
    let path = newest(path);
    let progress = read_progress(&path)
        .with_context(|| format!("cannot read {}", path.join(PROGRESS).display()))?;
    Ok(progress.note)
}

fn read_progress(path: &Path) -> Result<Progress> {
    let file = open_bounded(&path.join(PROGRESS), MOST_PROGRESS)?;
    Ok(serde_json::from_reader(BufReader::new(file))?)
}

/// The averaged weights in a checkpoint of a network whose parameters are as long as those of `like`.
fn read_average(path: &Path, like: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let expected: usize = like.iter().map(Vec::len).sum();
    let path = path.join(AVERAGE);
    let held = fs::metadata(&path)?.len();
    ensure!(
        held == 4 * expected as u64,
        "{AVERAGE} holds {held} bytes where {} belong",
        4 * expected
    );
    let bytes = fs::read(path)?;
    let mut numbers = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .copied()
        .map(f32::from_le_bytes);
    let lengths = like.iter().map(Vec::len);
    Ok(lengths
        .map(|length| numbers.by_ref().take(length).collect())
        .collect())
}

/// Where the checkpoint `path` lies: the old one if the program died between the two.
fn newest(path: &Path) -> PathBuf {
    match path.exists() {
        true => path.to_owned(),
        false => beside(path, "old"),
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    path.with_file_name(name)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// The identities of a module's parameters.
pub fn ids<M: Module>(module: &M) -> Vec<ParamId> {
    struct Ids(Vec<ParamId>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    let mut ids = Ids(Vec::new());
    module.visit(&mut ids);
    ids.0
}

fn collect<M: Module>(module: &M) -> Vec<Vec<f32>> {
    struct Collect(Vec<Vec<f32>>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = crate::train::network::values(param.val());
            self.0.push(values.unwrap_or_default());
        }
    }
    let mut collect = Collect(Vec::new());
    module.visit(&mut collect);
    collect.0
}

/// `module` with these values, in the order of its parameters.
fn fill<M: Module>(module: M, values: &[Vec<f32>]) -> M {
    let mut fill = Fill {
        values: values.iter(),
    };
    module.map(&mut fill)
}

struct Fill<'a> {
    values: std::slice::Iter<'a, Vec<f32>>,
}

impl ModuleMapper for Fill<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = self.values.next();
        param.map(|tensor| match values {
            None => tensor,
            Some(values) => {
                let device: Device = tensor.device();
                let data = TensorData::new(values.clone(), tensor.dims());
                Tensor::from_data(data, &device)
            }
        })
    }
}

#[cfg(test)]
mod tests;

//! The training loop, whatever learns: step after step until the last one, or until somebody asks it to
//! stop, with checkpoints on the way.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use burn::module::Module;
use burn::tensor::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::course::{Course, Kept};
use super::trainer::Trainer;

/// Steps whose losses' mean is told: single ones jump.
const RECENT: usize = 50;

/// Where a training loop begins, and what it leaves behind on its way.
#[derive(Clone, Debug)]
pub struct LoopOptions {
    /// Folder of the checkpoint, and how often it is written.
    pub checkpoint: Option<(PathBuf, Duration)>,
    /// Whether to go on from that checkpoint.
    pub resume: bool,
    /// Set from outside to stop after the current step, with a checkpoint.
    pub interrupted: Arc<AtomicBool>,
    /// What decides the run's steps: a checkpoint of another course is not gone on from.
    pub course: Course,
}

/// Why a run ended early: somebody asked it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Steps that are done.
    pub done: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// Where all that was learned is kept; `None` where nothing was learned yet.
    pub checkpoint: Option<PathBuf>,
}

impl Interrupted {
    /// Ends what comes before the first step where `interrupted` is set.
    ///
    /// # Errors
    /// With [`Interrupted`], where it is.
    pub fn check(interrupted: &AtomicBool) -> Result<()> {
        if interrupted.load(Ordering::Acquire) {
            bail!(Interrupted {
                done: 0,
                steps: 0,
                checkpoint: None,
            });
        }
        Ok(())
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.checkpoint {
            Some(path) => write!(
                f,
                "interrupted after step {} of {}; all that was learned is kept in {}",
                self.done,
                self.steps,
                path.display()
            ),
            None => f.write_str(
                "interrupted before the first step: nothing was learned, and what was there stays",
            ),
        }
    }
}

impl std::error::Error for Interrupted {}

/// A network on its way through its steps: [`TrainingLoop::next_step`] says which one is to be taken,
/// [`TrainingLoop::learn`] takes it.
pub struct TrainingLoop<'a, M: Module, T> {
    /// What learns.
    pub trainer: Trainer<M>,
    /// What its checkpoints tell of it.
    pub network: T,
    options: &'a LoopOptions,
    /// What the parts before the last resumption took.
    earlier: Duration,
    started: Instant,
    saved: Instant,
    /// The steps that the last checkpoint holds.
    kept: usize,
    /// The losses of the last steps.
    recent: VecDeque<f64>,
}

impl<'a, M: Module, T: Serialize + DeserializeOwned> TrainingLoop<'a, M, T> {
    /// Begins at the first step, or goes on from the checkpoint, which replaces `network`.
    ///
    /// # Errors
    /// When the checkpoint is missing, damaged, or of a run that took another course.
    pub fn begin(
        mut trainer: Trainer<M>,
        mut network: T,
        options: &'a LoopOptions,
    ) -> Result<Self> {
        let mut earlier = Duration::ZERO;
        if let (Some((path, _)), true) = (&options.checkpoint, options.resume) {
            let kept: Kept<T> = Kept::resume(path, &options.course)?;
            trainer = trainer.resume(path)?;
            network = kept.network;
            earlier = kept.learned;
        }
        let now = Instant::now();
        Ok(TrainingLoop {
            kept: trainer.steps_done(),
            trainer,
            network,
            options,
            earlier,
            started: now,
            saved: now,
            recent: VecDeque::with_capacity(RECENT),
        })
    }

    /// What the parts before the last resumption took.
    pub fn earlier(&self) -> Duration {
        self.earlier
    }

    /// How long it has learned, all its parts together.
    pub fn learned(&self) -> Duration {
        self.earlier.saturating_add(self.started.elapsed())
    }

    /// The mean loss of the last steps, at most fifty; `None` before the first one since it began or
    /// was resumed.
    pub fn recent_loss(&self) -> Option<f64> {
        let sum: f64 = self.recent.iter().sum();
        (!self.recent.is_empty()).then(|| sum / self.recent.len() as f64)
    }

    /// The number of the step that is to be taken, from 0; `None` after the last one. Writes a
    /// checkpoint when it is time for one, after the last step, and when the loop is asked to stop. Where
    /// one cannot be written, the old one stays and the loop goes on, with a warning.
    ///
    /// # Errors
    /// With [`Interrupted`], when somebody asked it to stop; when the checkpoint cannot be written that
    /// this takes.
    pub fn next_step(&mut self) -> Result<Option<usize>> {
        let (done, steps) = (self.trainer.steps_done(), self.trainer.steps());
        // Asked once, so that what is kept is what is told.
        let stopping = self.options.interrupted.load(Ordering::Acquire);
        if let Some((path, every)) = &self.options.checkpoint
            && done > self.kept
            && (stopping || done == steps || self.saved.elapsed() >= *every)
        {
            match self.keep(path) {
                Ok(()) => self.kept = done,
                Err(error) if stopping => return Err(error),
                // What was learned is in memory still, and there may be room again.
                Err(error) => tracing::warn!("{error:#}; the training goes on without it"),
            }
            self.saved = Instant::now();
        }
        if stopping {
            bail!(self.stopped());
        }
        Ok((done < steps).then_some(done))
    }

    /// Follows the gradients of `loss`, whose value for people is `value`; returns what
    /// [`TrainingLoop::recent_loss`] is then.
    ///
    /// # Errors
    /// When the value is not a number; the last checkpoint stays as it is.
    pub fn learn(&mut self, loss: Tensor<1>, value: f64) -> Result<f64> {
        ensure!(
            value.is_finite(),
            "the loss is no longer a number after {} steps: a lower learning rate or larger batches may \
             help",
            self.trainer.steps_done()
        );
        self.trainer.step(loss);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(value);
        Ok(self.recent_loss().unwrap_or(value))
    }

    /// What is told where it ends here because somebody asked it to.
    pub fn stopped(&self) -> Interrupted {
        let done = self.trainer.steps_done();
        let checkpoint = self.options.checkpoint.as_ref();
        Interrupted {
            done,
            steps: self.trainer.steps(),
            checkpoint: (checkpoint.filter(|_| done > 0)).map(|(path, _)| path.clone()),
        }
    }

    fn keep(&mut self, path: &Path) -> Result<()> {
        let kept = Kept {
            course: self.options.course.clone(),
            learned: self.learned(),
            network: &self.network,
        };
        self.trainer.set_note(serde_json::to_string(&kept)?);
        self.trainer.save(path)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Initializer, Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;
    use crate::train::network::values;
    use crate::train::run::trainer::{Schedule, TrainerOptions, has_checkpoint};

    const STEPS: usize = 12;

    #[derive(Module, Debug)]
    struct Net {
        layer: Linear,
    }

    fn trainer(device: &Device) -> Trainer<Net> {
        let always = Initializer::Constant { value: 0.3 };
        let net = Net {
            layer: LinearConfig::new(3, 2)
                .with_initializer(always)
                .init(device),
        };
        let options = TrainerOptions {
            schedule: Schedule::rising(STEPS, 1e-2, 1e-2),
            weight_decay: 0.0,
            average: 0.5,
            keep: 0.0,
        };
        Trainer::new(net, Vec::new(), options)
    }

    fn options(folder: &Path, every: Duration, resume: bool) -> LoopOptions {
        LoopOptions {
            checkpoint: Some((folder.join("net.checkpoint"), every)),
            resume,
            interrupted: Arc::default(),
            course: Course::default(),
        }
    }

    /// Takes the steps that are left, asked to stop during step `stop`; returns the weights.
    fn go(options: &LoopOptions, stop: usize, device: &Device) -> Result<Vec<f32>> {
        let mut run = TrainingLoop::begin(trainer(device), (), options)?;
        while let Some(step) = run.next_step()? {
            let input = Tensor::<2>::from_data([[1.0, step as f32, -2.0]], device);
            let output = run.trainer.net().layer.forward(input);
            let loss = (output.clone() * output).sum();
            let value = f64::from(loss.clone().into_scalar::<f32>());
            run.learn(loss, value)?;
            options.interrupted.store(step == stop, Ordering::Release);
        }
        values(run.trainer.averaged().layer.weight.val())
    }

    #[test]
    fn a_loop_that_is_stopped_keeps_its_last_step_and_goes_on_to_the_same_weights() {
        let device = Device::flex().autodiff();
        let whole = tempfile::tempdir().unwrap();
        let rarely = Duration::from_secs(3600);
        let expected = go(&options(whole.path(), rarely, false), STEPS, &device).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let first = options(folder.path(), rarely, false);
        let error = go(&first, 4, &device).unwrap_err();
        let told = error.downcast_ref::<Interrupted>().unwrap();
        assert_eq!((told.done, told.steps), (5, STEPS));
        assert!(has_checkpoint(told.checkpoint.as_ref().unwrap()));
        let second = options(folder.path(), rarely, true);
        // Asked to stop in the last step, it has still kept that.
        let error = go(&second, STEPS - 1, &device).unwrap_err();
        let told = error.downcast_ref::<Interrupted>().unwrap();
        assert_eq!(told.done, STEPS);
        second.interrupted.store(false, Ordering::Release);
        assert_eq!(go(&second, STEPS, &device).unwrap(), expected);
    }

    #[test]
    fn a_loop_that_is_stopped_before_its_first_step_writes_nothing() {
        let device = Device::flex().autodiff();
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), Duration::ZERO, false);
        options.interrupted.store(true, Ordering::Release);
        let error = go(&options, STEPS, &device).unwrap_err();
        let told = error.downcast_ref::<Interrupted>().unwrap();
        assert_eq!(told.checkpoint, None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_stops_a_loop_only_where_it_is_the_last_chance() {
        let device = Device::flex().autodiff();
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder.path().join("missing\0"), Duration::ZERO, false);
        go(&options, STEPS, &device).unwrap();
        let error = format!("{:#}", go(&options, 4, &device).unwrap_err());
        assert!(error.contains("cannot write the checkpoint"), "{error}");
    }

    #[test]
    fn a_loss_that_is_no_number_ends_a_loop_and_leaves_its_checkpoint() {
        let device = Device::flex().autodiff();
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), Duration::ZERO, false);
        let mut run = TrainingLoop::begin(trainer(&device), (), &options).unwrap();
        let loss = || Tensor::<1>::from_data([1.0], &device);
        let input = Tensor::<2>::from_data([[1.0, 2.0, 3.0]], &device);
        run.next_step().unwrap();
        let first = run.trainer.net().layer.forward(input).sum();
        run.learn(first, 1.0).unwrap();
        run.next_step().unwrap();
        let error = run.learn(loss(), f64::NAN).unwrap_err().to_string();
        assert!(error.contains("after 1 steps"), "{error}");
        let kept = trainer(&device)
            .resume(&folder.path().join("net.checkpoint"))
            .unwrap();
        assert_eq!(kept.steps_done(), 1);
    }
}

//! Reads letters from what the last two seconds of frames say: which are held, passed or drawn.
//!
//! ```text
//! Observation ──▶ features ──▶ network ──▶ Steps ──▶ decoder ──▶ letters
//! (a frame)       (15 a second) (sequence.onnx)      (in the speller)
//! ```
//!
//! The network is causal and keeps its memory from step to step. Of each step it says how likely
//! each letter begins to be signed there, or none (connectionist temporal classification, Graves et
//! al. 2006).

pub mod decoder;
pub mod features;
pub mod holding;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::model::{Model, SequenceMetadata, SequenceModel};
use crate::recognize::motion;
use crate::recognize::observation::Observation;
use features::{Features, Step};
use holding::{Held, Holding, Still};

/// The network that is built into the program.
const EMBEDDED: &[u8] = include_bytes!("../../../models/sequence.onnx");

/// What the network says of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The step's media time.
    pub time: Duration,
    /// Whether what came before belongs to another scene.
    pub fresh: bool,
    /// Logarithms of probabilities: of no letter, and of each letter.
    pub logs: Vec<f32>,
    /// The letter that is plainly held.
    pub held: Option<Held>,
}

/// What was said of the steps up to a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// The letters that the network knows.
    pub letters: Arc<[Arc<str>]>,
    /// Step after step; none, where no step ends with the frame.
    pub said: Vec<Said>,
}

/// Reads one frame after the other.
#[derive(Debug, Clone)]
pub struct SequenceReader {
    model: SequenceModel,
    letters: Arc<[Arc<str>]>,
    /// For each label of the letter network, the letter that is typed when it is held.
    still: Vec<Option<Still>>,
    features: Features,
    holding: Holding,
    memory: Vec<f32>,
    logits: Vec<f32>,
}

impl SequenceReader {
    /// A reader with the network in this file, for a letter network with these labels.
    ///
    /// # Errors
    /// As [`SequenceModel::load`], and when it reads what another letter network says.
    pub fn load(path: &Path, labels: &[Arc<str>]) -> Result<Self> {
        let model = SequenceModel::load(path, features::width)?;
        let known = &model.metadata().labels;
        ensure!(
            (known.iter().map(String::as_str)).eq(labels.iter().map(|label| &**label)),
            "the network {} reads sequences of {}, which the letter network does not tell: {}",
            path.display(),
            known.join(" "),
            labels.join(" ")
        );
        Ok(Self::new(model))
    }

    /// A reader with the network that is built into the program; `None` for a letter network that
    /// it has never seen: one with other labels, or without joints.
    ///
    /// # Errors
    /// Only where the program was built with a file that [`SequenceReader::load`] would refuse.
    pub fn embedded(letters: &Model) -> Result<Option<Self>> {
        let model = SequenceModel::from_bytes(
            "the built-in reader of sequences",
            EMBEDDED,
            features::width,
        )?;
        let known = model.metadata().labels.iter().map(String::as_str);
        let fits = letters.has_joints() && known.eq(letters.labels().iter().map(|label| &**label));
        Ok(fits.then(|| Self::new(model)))
    }

    /// A reader with this network.
    pub fn new(model: SequenceModel) -> Self {
        let SequenceMetadata {
            labels, letters, ..
        } = model.metadata();
        let still = labels.iter().map(|label| match motion::is_drawn(label) {
            true => None,
            false => Some(Still {
                letter: letters.iter().position(|letter| letter == label)?,
                drawn: letters
                    .iter()
                    .position(|letter| motion::begins(label, letter)),
            }),
        });
        SequenceReader {
            still: still.collect(),
            letters: (letters.iter())
                .map(|letter| Arc::from(letter.as_str()))
                .collect(),
            features: Features::default(),
            holding: Holding::default(),
            memory: model.fresh_memory(),
            logits: Vec::new(),
            model,
        }
    }

    /// Takes a frame in, later than the last one.
    ///
    /// # Errors
    /// When the network fails.
    pub fn read(&mut self, observation: &Observation) -> Result<Steps> {
        let mut said = Vec::new();
        let SequenceReader {
            model,
            still,
            features,
            holding,
            memory,
            logits,
            ..
        } = self;
        let caution = model.metadata().caution;
        features
            .push(observation, |step: Step| {
                if step.fresh {
                    memory.fill(0.0);
                    *holding = Holding::default();
                }
                model.step(step.values, memory, logits)?;
                if let Some(none) = logits.first_mut() {
                    *none += caution;
                }
                let probabilities = features::probabilities(step.values, still.len());
                said.push(Said {
                    time: step.time,
                    fresh: step.fresh,
                    logs: log_softmax(logits),
                    held: holding.step(step.time, probabilities, still),
                });
                Ok(())
            })
            .context("cannot read a sequence")?;
        Ok(Steps {
            letters: Arc::clone(&self.letters),
            said,
        })
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    let norm = most + sum.ln();
    logits.iter().map(|logit| logit - norm).collect()
}

//! The network that reads sequences: one step in, one step on, its memory handed in and out.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::prelude::*;

use super::constants;
use super::file::OnnxFile;
use super::metadata::{needed, number};

/// The value of the key `kind` in such a file.
const KIND: &str = "sequence";

/// The most numbers that its memory may have.
const MOST_MEMORY: usize = 1 << 20;

/// What such a file says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceMetadata {
    /// Labels of the letter network whose probabilities it reads, in their order.
    pub labels: Vec<String>,
    /// What its outputs mean, after the first one: that no letter begins.
    pub letters: Vec<String>,
    /// Steps a second.
    pub rate: f32,
    /// Added to the logit that no letter begins: higher, and less is typed.
    pub caution: f32,
    /// Under what terms the weights may be used; empty where the file does not say.
    pub license: String,
    /// The commit of this project that trained it; empty where the file does not say.
    pub training_commit: String,
    /// The training data in a sentence; empty where the file does not say.
    pub data: String,
}

impl SequenceMetadata {
    /// Keys and values as they stand in a file, those that are needed last.
    ///
    /// # Errors
    /// When the names cannot be written as JSON.
    pub fn to_props(&self) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("license", self.license.clone()),
            ("training_commit", self.training_commit.clone()),
            ("data", self.data.clone()),
            ("rate", self.rate.to_string()),
            ("caution", self.caution.to_string()),
            ("kind", KIND.to_owned()),
            ("letters", serde_json::to_string(&self.letters)?),
            ("labels", serde_json::to_string(&self.labels)?),
        ])
    }

    /// Reads a file's keys and values.
    ///
    /// # Errors
    /// When a key that is needed is missing or makes no sense.
    pub fn from_props(props: &BTreeMap<String, String>) -> Result<Self> {
        let text = |key: &str| props.get(key).cloned().unwrap_or_default();
        let kind = needed(props, "kind")?;
        ensure!(
            kind == KIND,
            "it is of kind {kind:?}, not a network that reads sequences"
        );
        let names = |key: &str| -> Result<Vec<String>> {
            serde_json::from_str(needed(props, key)?)
                .with_context(|| format!("its {key} are no JSON array of strings"))
        };
        let metadata = SequenceMetadata {
            labels: names("labels")?,
            letters: names("letters")?,
            rate: number(props, "rate")?,
            caution: number(props, "caution")?,
            license: text("license"),
            training_commit: text("training_commit"),
            data: text("data"),
        };
        ensure!(
            !metadata.letters.is_empty() && metadata.caution.is_finite(),
            "it names no letters, or its caution is no number"
        );
        Ok(metadata)
    }
}

/// A network that reads sequences. Clones share the weights; the memory is the caller's.
#[derive(Debug, Clone)]
pub struct SequenceModel {
    name: String,
    metadata: SequenceMetadata,
    plan: Arc<TypedRunnableModel>,
    width: usize,
    memory: [usize; 2],
}

impl SequenceModel {
    /// Loads a file.
    ///
    /// # Errors
    /// With the path and the reason: as [`SequenceModel::from_bytes`], or the file cannot be read.
    pub fn load(path: &Path, width: impl Fn(usize) -> usize) -> Result<Self> {
        OnnxFile::read(path)
            .and_then(|file| Self::from_file(file, width))
            .with_context(|| format!("cannot load the model {}", path.display()))
    }

    /// Loads a file's content; `name` says in messages what it is, and `width` how many numbers a
    /// step of a letter network with so many labels has.
    ///
    /// # Errors
    /// When it is no ONNX file or one of another kind, its inputs and outputs are not a step and a
    /// memory, or the runtime cannot run it.
    pub fn from_bytes(name: &str, bytes: &[u8], width: impl Fn(usize) -> usize) -> Result<Self> {
        OnnxFile::parse(name, bytes)
            .and_then(|file| Self::from_file(file, width))
            .with_context(|| format!("cannot load the model {name}"))
    }

    fn from_file(file: OnnxFile, width: impl Fn(usize) -> usize) -> Result<Self> {
        let metadata = SequenceMetadata::from_props(&file.props)?;
        let width = width(metadata.labels.len());
        // As for other networks: the runtime asserts where a file contradicts itself.
        let load = || -> Result<(Arc<TypedRunnableModel>, [usize; 2])> {
            if let Some(graph) = &file.proto.graph {
                constants::check(graph)?;
            }
            let model = tract_onnx::onnx()
                .model_for_proto_model(&file.proto)
                .and_then(|model| model.into_typed())
                .context("the runtime cannot load it")?;
            let shape = |fact: &TypedFact| fact.shape.as_concrete().map(<[usize]>::to_vec);
            let (ins, outs) = (model.input_outlets()?.len(), model.output_outlets()?.len());
            ensure!(
                ins == 2 && outs == 2,
                "it has {ins} inputs and {outs} outputs, not 2 and 2"
            );
            let inputs = [shape(model.input_fact(0)?), shape(model.input_fact(1)?)];
            let outputs = [shape(model.output_fact(0)?), shape(model.output_fact(1)?)];
            let [Some(step), Some(memory)] = &inputs else {
                bail!("its inputs are of open size");
            };
            let &[rows, columns] = &memory[..] else {
                bail!("its memory is {memory:?}, not rows and columns");
            };
            ensure!(
                *step == [1, width] && rows.saturating_mul(columns) <= MOST_MEMORY,
                "it reads steps of {step:?} with a memory of {memory:?}, where steps are [1, {width}]"
            );
            let expected = [vec![1, metadata.letters.len() + 1], memory.clone()];
            ensure!(
                outputs.each_ref().map(Option::as_ref) == expected.each_ref().map(Some),
                "it gives {outputs:?}, where {expected:?} fit its letters and its memory"
            );
            let plan = model
                .into_optimized()
                .and_then(|model| model.into_runnable())
                .context("the runtime cannot prepare it")?;
            Ok((plan, [rows, columns]))
        };
        let (plan, memory) = catch_unwind(AssertUnwindSafe(load))
            .unwrap_or_else(|_| bail!("the runtime gave up on it; is the file damaged?"))?;
        Ok(SequenceModel {
            name: file.name,
            metadata,
            plan,
            width,
            memory,
        })
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &SequenceMetadata {
        &self.metadata
    }

    /// The memory before the first step.
    pub fn fresh_memory(&self) -> Vec<f32> {
        vec![0.0; self.memory[0] * self.memory[1]]
    }

    /// Takes a step of `width` numbers on from `memory`, which it renews, and puts a logit for no
    /// letter and for each letter into `logits`.
    ///
    /// # Errors
    /// When the step or the memory has another size, or the runtime fails.
    pub fn step(&self, step: &[f32], memory: &mut [f32], logits: &mut Vec<f32>) -> Result<()> {
        let mut run = || -> Result<()> {
            let step = Tensor::from_shape(&[1, self.width], step)?;
            let before = Tensor::from_shape(&self.memory, memory)?;
            let outputs = self.plan.run(tvec!(step.into(), before.into()))?;
            let [said, after] = &outputs[..] else {
                bail!("it gives {} outputs", outputs.len());
            };
            logits.clear();
            logits.extend_from_slice(said.try_as_plain_ram()?.as_slice::<f32>()?);
            memory.copy_from_slice(after.try_as_plain_ram()?.as_slice::<f32>()?);
            Ok(())
        };
        run().with_context(|| format!("cannot run {}", self.name))
    }
}

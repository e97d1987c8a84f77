//! Loads an ONNX file with its labels and preprocessing; refuses what does not fit.

mod constants;
mod engine;
pub mod file;
mod maps;
mod metadata;
pub mod stock;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

pub use maps::{MapMetadata, MapModel};
pub use metadata::{Metadata, NOTHING, Preprocessing};

use engine::Engine;
use file::OnnxFile;

/// The letter network that is built into the program.
const EMBEDDED: &[u8] = include_bytes!("../../models/asl.onnx");

/// A letter network: a crop in, a probability for each label out.
///
/// It has buffers of its own, so that each thread needs a clone.
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    metadata: Metadata,
    labels: Vec<Arc<str>>,
    engine: Engine,
}

impl Model {
    /// The network that is built into the program.
    ///
    /// # Errors
    /// Only where the program was built with a file that [`Model::load`] would refuse.
    pub fn embedded() -> Result<Self> {
        Self::from_bytes("the built-in model", EMBEDDED)
    }

    /// Loads a file.
    ///
    /// # Errors
    /// With the path and the reason: the file is missing, truncated or no ONNX file; its metadata
    /// lack what is needed to read pictures; its input or output does not fit them; or the runtime
    /// cannot run it.
    pub fn load(path: &Path) -> Result<Self> {
        OnnxFile::read(path)
            .and_then(Self::from_file)
            .with_context(|| format!("cannot load the model {}", path.display()))
    }

    /// Loads a file's content; `name` says in messages what it is.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        OnnxFile::parse(name, bytes)
            .and_then(Self::from_file)
            .with_context(|| format!("cannot load the model {name}"))
    }

    fn from_file(file: OnnxFile) -> Result<Self> {
        let metadata = Metadata::from_props(&file.props)?;
        let size = metadata.preprocessing.input_size;
        file.check_input(size)?;
        // The runtimes index and assert where a file contradicts itself in ways that the checks
        // above do not know.
        let engine = catch_unwind(AssertUnwindSafe(|| {
            Engine::new(&file, &metadata.preprocessing)
        }))
        .unwrap_or_else(|_| bail!("the runtime gave up on it; is the file damaged?"))?;
        let [output] = &engine.outputs()[..] else {
            bail!(
                "it has {} outputs, but a letter network has one",
                engine.outputs().len()
            );
        };
        ensure!(
            output[..] == [1, metadata.labels.len()],
            "its metadata name {} labels, but its output is {output:?}, not [1, {0}]",
            metadata.labels.len()
        );
        Ok(Model {
            name: file.name,
            labels: metadata.labels.iter().map(|l| l.as_str().into()).collect(),
            engine,
            metadata,
        })
    }

    /// The file's path, or what else it was loaded from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the outputs mean, in order.
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The crop's height and width, in pixels.
    pub fn input_size(&self) -> usize {
        self.metadata.preprocessing.input_size
    }

    /// Shares the work of large layers among `count` threads, the caller's own among them; 1 at
    /// first. The results stay the same to the bit.
    pub fn set_threads(&mut self, count: usize) {
        self.engine.set_threads(count);
    }

    /// Reads a crop of `input_size` x `input_size` RGB pixels and writes the probability of each
    /// label, 0 to 1 and together 1, to `out`.
    ///
    /// # Errors
    /// When a buffer has another size, the runtime fails, or the network gives no finite numbers.
    pub fn probabilities(&mut self, crop: &[u8], out: &mut [f32]) -> Result<()> {
        let size = self.input_size();
        ensure!(
            crop.len() == size * size * 3 && out.len() == self.labels.len(),
            "{} takes a crop of {} bytes and gives {} probabilities, not {} and {}",
            self.name,
            size * size * 3,
            self.labels.len(),
            crop.len(),
            out.len()
        );
        self.engine
            .run(crop, |_, logits| out.copy_from_slice(logits))
            .with_context(|| format!("cannot run {}", self.name))?;
        softmax(out);
        ensure!(
            out.iter().all(|p| p.is_finite()),
            "{} gives numbers that are not finite; is the file damaged?",
            self.name
        );
        Ok(())
    }
}

/// Logits to probabilities, in place.
fn softmax(values: &mut [f32]) {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = (*value - max).exp();
        sum += *value;
    }
    for value in values {
        *value /= sum;
    }
}

#[cfg(test)]
mod tests;

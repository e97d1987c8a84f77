//! Loads an ONNX file with its labels and preprocessing; refuses what does not fit.

mod constants;
mod engine;
pub mod file;
mod maps;
mod metadata;
mod normal_form;
mod sequence;
pub mod stock;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

pub use maps::{MapMetadata, MapModel};
pub use metadata::{MAX_INPUT_SIZE, Metadata, NOTHING, Preprocessing, Reads, is_letter};
pub use sequence::{SequenceMetadata, SequenceModel};

use engine::Engine;
use file::OnnxFile;

use crate::base::joints::{JOINT_VALUES, JOINTS, Joints};

/// The letter network that is built into the program.
pub(crate) const EMBEDDED: &[u8] = include_bytes!("../../models/asl.onnx");

/// The output that gives a hand's joints, where a letter network has it: x and y of each, in
/// fractions of the crop.
pub const JOINTS_OUTPUT: &str = "joints";

/// A letter network: a crop in, a probability for each label out, and where the hand's joints are
/// where it knows.
///
/// It has buffers of its own, so that each thread needs a clone.
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    metadata: Metadata,
    labels: Vec<Arc<str>>,
    engine: Engine,
    has_joints: bool,
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
        Self::load_as(path, None)
    }

    /// As [`Model::load`]; `reads` says what of a picture the network reads, whatever the file does.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_as(path: &Path, reads: Option<Reads>) -> Result<Self> {
        OnnxFile::read(path)
            .and_then(|mut file| {
                if let Some(reads) = reads {
                    file.props.insert("reads".to_owned(), reads.to_string());
                }
                Self::from_file(file)
            })
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

    fn from_file(mut file: OnnxFile) -> Result<Self> {
        let metadata = Metadata::from_props(&file.props)?;
        if let Some(graph) = &mut file.proto.graph {
            normal_form::end_in_logits(graph);
        }
        let size = metadata.preprocessing.input_size;
        file.check_input(size)?;
        // The runtimes index and assert where a file contradicts itself in ways that the checks
        // above do not know.
        let engine = catch_unwind(AssertUnwindSafe(|| {
            Engine::new(&file, &metadata.preprocessing)
        }))
        .unwrap_or_else(|_| bail!("the runtime gave up on it; is the file damaged?"))?;
        let shapes = engine.outputs();
        let names = file.outputs().collect::<Vec<_>>();
        let (letters, has_joints) = match (&shapes[..], &names[..]) {
            ([letters], _) => (letters, false),
            ([letters, joints], [_, JOINTS_OUTPUT]) => {
                ensure!(
                    joints[..] == [1, JOINT_VALUES],
                    "its output {JOINTS_OUTPUT} is {joints:?}, not [1, {JOINT_VALUES}]"
                );
                (letters, true)
            }
            _ => bail!(
                "its outputs are {}, but a letter network has one, and after it at most one named \
                 {JOINTS_OUTPUT}",
                names.join(", ")
            ),
        };
        ensure!(
            letters[..] == [1, metadata.labels.len()],
            "its metadata name {} labels, but its output is {letters:?}, not [1, {0}]",
            metadata.labels.len()
        );
        Ok(Model {
            name: file.name,
            labels: metadata.labels.iter().map(|l| l.as_str().into()).collect(),
            engine,
            has_joints,
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

    /// What of a picture it reads.
    pub fn reads(&self) -> Reads {
        self.metadata.reads
    }

    /// Whether any of its labels is a single letter, so that what it reads can be spelled with.
    pub fn spells(&self) -> bool {
        (self.labels.iter()).any(|label| label.chars().count() == 1)
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

    /// Whether [`Model::read`] tells where the hand's joints are.
    pub fn has_joints(&self) -> bool {
        self.has_joints
    }

    /// Reads a crop of `input_size` x `input_size` RGB pixels and writes the probability of each
    /// label, 0 to 1 and together 1, to `probabilities`. Returns the hand's joints in fractions of
    /// the crop, beyond 0 to 1 where one lies outside, if the network gives them.
    ///
    /// # Errors
    /// When a buffer has another size, the runtime fails, or the network gives no finite numbers.
    pub fn read(&mut self, crop: &[u8], probabilities: &mut [f32]) -> Result<Option<Joints>> {
        let size = self.input_size();
        ensure!(
            crop.len() == size * size * 3 && probabilities.len() == self.labels.len(),
            "{} takes a crop of {} bytes and gives {} probabilities, not {} and {}",
            self.name,
            size * size * 3,
            self.labels.len(),
            crop.len(),
            probabilities.len()
        );
        let mut joints: Joints = [[0.0; 2]; JOINTS];
        self.engine
            .run(crop, |at, values| match at {
                0 => probabilities.copy_from_slice(values),
                _ => joints.as_flattened_mut().copy_from_slice(values),
            })
            .with_context(|| format!("cannot run {}", self.name))?;
        softmax(probabilities);
        let mut numbers = probabilities.iter().chain(joints.as_flattened());
        ensure!(
            numbers.all(|number| number.is_finite()),
            "{} gives numbers that are not finite; is the file damaged?",
            self.name
        );
        Ok(self.has_joints.then_some(joints))
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

//! Networks whose outputs are maps: the hand finder's files.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::engine::Engine;
use super::file::OnnxFile;
use super::metadata::{Preprocessing, channels, channels_text, check_needed, needed, number};

/// The value of the key `kind` in a finder's file.
const KIND: &str = "hand";

/// What a finder's file says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct MapMetadata {
    /// How a picture becomes the input; the crop is the whole frame.
    pub preprocessing: Preprocessing,
    /// The score from which on something is taken for a hand, 0 to 1.
    pub threshold: f32,
    /// Under what terms the weights may be used; empty where the file does not say.
    pub license: String,
    /// The commit of this project that trained it; empty where the file does not say.
    pub training_commit: String,
    /// The training data in a sentence; empty where the file does not say.
    pub data: String,
}

impl MapMetadata {
    /// Keys and values as they stand in a file, those that are needed last.
    pub fn to_props(&self) -> Vec<(&'static str, String)> {
        vec![
            ("license", self.license.clone()),
            ("training_commit", self.training_commit.clone()),
            ("data", self.data.clone()),
            ("input_size", self.preprocessing.input_size.to_string()),
            ("mean", channels_text(self.preprocessing.mean)),
            ("std", channels_text(self.preprocessing.std)),
            ("threshold", self.threshold.to_string()),
            ("kind", KIND.to_owned()),
        ]
    }

    /// Reads a file's keys and values.
    ///
    /// # Errors
    /// When keys that are needed are missing, naming all of them, or a value makes no sense.
    pub fn from_props(props: &BTreeMap<String, String>) -> Result<Self> {
        check_needed(props, ["kind", "input_size", "mean", "std", "threshold"])?;
        let text = |key: &str| props.get(key).cloned().unwrap_or_default();
        let kind = needed(props, "kind")?;
        ensure!(
            kind == KIND,
            "it is a model of kind {kind:?}, where a finder of hands ({KIND:?}) is needed"
        );
        let metadata = MapMetadata {
            preprocessing: Preprocessing {
                input_size: number(props, "input_size")?,
                mean: channels(props, "mean")?,
                std: channels(props, "std")?,
                crop_scale: 1.0,
            },
            threshold: number(props, "threshold")?,
            license: text("license"),
            training_commit: text("training_commit"),
            data: text("data"),
        };
        metadata.preprocessing.check()?;
        ensure!(
            (0.0..=1.0).contains(&metadata.threshold),
            "its threshold is {}, but must be 0 to 1",
            metadata.threshold
        );
        Ok(metadata)
    }
}

/// A network that makes maps of a picture.
///
/// It has buffers of its own, so that each thread needs a clone.
#[derive(Debug, Clone)]
pub struct MapModel {
    name: String,
    metadata: MapMetadata,
    engine: Engine,
}

impl MapModel {
    /// Loads a file.
    ///
    /// # Errors
    /// With the path and the reason: the file is missing, truncated or no ONNX file; its metadata
    /// lack what is needed; its input does not fit them; or the runtime cannot run it.
    pub fn load(path: &Path) -> Result<Self> {
        OnnxFile::read(path)
            .and_then(Self::from_file)
            .with_context(|| format!("cannot load the model {}", path.display()))
    }

    /// Loads a file's content; `name` says in messages what it is.
    ///
    /// # Errors
    /// As [`MapModel::load`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        OnnxFile::parse(name, bytes)
            .and_then(Self::from_file)
            .with_context(|| format!("cannot load the model {name}"))
    }

    fn from_file(file: OnnxFile) -> Result<Self> {
        let metadata = MapMetadata::from_props(&file.props)?;
        file.check_input(metadata.preprocessing.input_size)?;
        // As for letter networks: the runtimes assert where a file contradicts itself.
        let engine = catch_unwind(AssertUnwindSafe(|| {
            Engine::new(&file, &metadata.preprocessing)
        }))
        .unwrap_or_else(|_| bail!("the runtime gave up on it; is the file damaged?"))?;
        Ok(MapModel {
            name: file.name,
            metadata,
            engine,
        })
    }

    /// The file's path, or what else it was loaded from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a picture becomes the input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.metadata.preprocessing
    }

    /// The score from which on something is taken for a hand, 0 to 1.
    pub fn threshold(&self) -> f32 {
        self.metadata.threshold
    }

    /// Shares the work of large layers among `count` threads, as [`super::Model::set_threads`].
    pub fn set_threads(&mut self, count: usize) {
        self.engine.set_threads(count);
    }

    /// Shape of each output, batch included.
    pub fn outputs(&self) -> Vec<Vec<usize>> {
        self.engine.outputs()
    }

    /// Runs a picture of `input_size` x `input_size` RGB pixels and hands each output's values to
    /// `take` in order.
    ///
    /// # Errors
    /// When the picture has another size, or the runtime fails.
    pub fn run(&mut self, picture: &[u8], take: impl FnMut(usize, &[f32])) -> Result<()> {
        let size = self.metadata.preprocessing.input_size;
        ensure!(
            picture.len() == size * size * 3,
            "{} takes a picture of {} bytes, not {}",
            self.name,
            size * size * 3,
            picture.len()
        );
        self.engine
            .run(picture, take)
            .with_context(|| format!("cannot run {}", self.name))
    }
}

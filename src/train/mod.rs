//! Makes the models: from labelled pictures to network files.
//!
//! - [`dataset`]: which pictures there are, of which class and signer, for training or validation.
//! - [`store`]: decoded pictures, kept in memory up to a budget.
//! - [`augment`]: from a picture and a hand box to a network's input, varied for training.
//! - [`loader`]: batches, made ahead by threads, the same ones for the same seed and step.
//! - [`kernels`], [`block`]: the network's building block with its own backward pass.
//! - [`mobilenet`], [`letter`]: the networks.
//! - [`trainer`]: optimisation steps, weight averaging, checkpoints.
//! - [`course`]: the options that a checkpoint is kept with.
//! - [`origin`]: a trained network to start from.
//! - [`fit`]: trains a letter network and judges it.
//! - [`finder`]: the network that finds hands, its pictures and its training.
//! - [`options`], [`progress`], [`report`]: a run's command line, bar and results.
//! - [`run`]: all of it, from the options to the files.
//! - [`graph`]: a trained network as plain arrays, batch normalisation folded.
//! - [`sketch`]: networks of published shapes with random weights, for tests and benches.
//! - [`quantize`]: ranges of activations from training pictures, and int8 weights.
//! - [`export`]: a graph as an ONNX file, in f32 or int8.
//! - [`import`]: such a file read back.
//!
//! The last five need no deep-learning framework and are always built, so that tests and benches
//! of the model runtime can make their own files. What learns needs the feature `train`.

#[cfg(feature = "train")]
pub mod augment;
#[cfg(feature = "train")]
pub mod block;
#[cfg(feature = "train")]
pub mod course;
#[cfg(feature = "train")]
pub mod dataset;
#[cfg(feature = "train")]
#[doc(hidden)]
pub mod drawn;
pub mod export;
#[cfg(feature = "train")]
pub mod finder;
#[cfg(feature = "train")]
pub mod fit;
pub mod graph;
pub mod import;
#[cfg(feature = "train")]
pub mod kernels;
#[cfg(feature = "train")]
pub mod letter;
#[cfg(feature = "train")]
pub mod loader;
#[cfg(feature = "train")]
pub mod mobilenet;
#[cfg(feature = "train")]
pub mod options;
#[cfg(feature = "train")]
pub mod origin;
#[cfg(feature = "train")]
pub mod progress;
pub mod quantize;
#[cfg(feature = "train")]
pub mod report;
#[cfg(feature = "train")]
pub mod run;
pub mod sketch;
#[cfg(feature = "train")]
pub mod store;
#[cfg(feature = "train")]
pub mod trainer;

/// A tensor's values in row-major order.
///
/// # Errors
/// When they cannot be read from the device.
#[cfg(feature = "train")]
fn values<const D: usize>(tensor: burn::tensor::Tensor<D>) -> anyhow::Result<Vec<f32>> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|error| anyhow::anyhow!("cannot read a tensor from its device: {error:?}"))
}

//! Makes the models: from labelled pictures to network files.
//!
//! - [`dataset`]: which pictures there are, of which class and signer, for training or validation.
//! - [`store`]: decoded pictures, kept in memory up to a budget.
//! - [`augment`]: from a picture and a hand box to a network's input, varied for training.
//! - [`loader`]: batches, made ahead by threads, the same ones for the same seed and step.
//! - [`graph`]: a trained network as plain arrays, batch normalisation folded.
//! - [`sketch`]: networks of published shapes with random weights, for tests and benches.
//! - [`quantize`]: ranges of activations from training pictures, and int8 weights.
//! - [`export`]: a graph as an ONNX file, in f32 or int8.
//!
//! The last four need no deep-learning framework and are always built, so that tests and benches
//! of the model runtime can make their own files. What learns needs the feature `train`.

#[cfg(feature = "train")]
pub mod augment;
#[cfg(feature = "train")]
pub mod dataset;
#[cfg(feature = "train")]
#[doc(hidden)]
pub mod drawn;
pub mod export;
pub mod graph;
#[cfg(feature = "train")]
pub mod loader;
pub mod quantize;
pub mod sketch;
#[cfg(feature = "train")]
pub mod store;

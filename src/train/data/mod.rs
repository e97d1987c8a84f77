//! What networks learn from.
//!
//! - [`dataset`]: which pictures there are, of which class and signer, for training or validation.
//! - [`store`]: decoded pictures, kept in memory up to a budget.
//! - [`copies`]: which validation pictures are copies of training pictures.
//! - [`augment`]: from a picture and a hand box to a network's input, varied for training.
//! - [`loader`]: batches, made ahead by threads, the same ones for the same seed and step.
//! - [`clips`]: frames of videos whose hands are known.
//! - [`scenes`]: what the finder learns from; [`sequences`]: what the reader of sequences does.

pub mod augment;
mod batches;
pub mod clips;
pub mod copies;
pub mod dataset;
#[doc(hidden)]
pub mod drawn;
pub mod loader;
pub mod scenes;
pub mod sequences;
pub mod store;
mod windows;

//! Makes the models: from labelled pictures to network files.
//!
//! - `data`: which pictures there are, and batches of them, varied for training.
//! - `network`: the networks and their building block with its own backward pass.
//! - `run`: from the options to the files: schedules, checkpoints, progress, reports.
//! - `cli`: the trainer's command line.
//! - [`mod@file`]: a trained network as plain arrays, its int8 scales, and the ONNX file.
//!
//! `file` needs no deep-learning framework and is always built, so that tests and benches of the
//! model runtime can make their own files. What learns needs the feature `train`.

#[cfg(feature = "train")]
pub mod cli;
#[cfg(feature = "train")]
pub mod data;
pub mod file;
#[cfg(feature = "train")]
pub mod network;
#[cfg(feature = "train")]
pub mod run;

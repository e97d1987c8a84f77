//! Reads American Sign Language fingerspelling letters from a camera, live.
//!
//! A frame's way through the crate:
//!
//! ```text
//! source ──▶ mailbox ──▶ recognize ──▶ Reading ──▶ sink
//! (camera,   (newest     (hand, crop,  (letter,    (window, JSON lines,
//!  video,     wins,       letter)       confidence, recorder)
//!  pictures)  counted)                  box, times)
//! ```
//!
//! From the ground up; each room uses those above it and none below:
//!
//! - [`base`]: frames, picture files, files written whole, recordings' boxes.
//! - [`model`]: loads an ONNX file with its labels and preprocessing, refuses what does not fit.
//! - [`int8`]: quantised operators for the model runtime; knows nothing of signs.
//! - [`demo`]: a signing hand, drawn.
//! - [`source`]: where frames come from, behind one trait.
//! - [`mailbox`]: hands the newest frame from one thread to another and counts what it replaces.
//! - [`recognize`]: frame in, [`recognize::Reading`] out; readings in, text out.
//! - [`stats`]: times per stage, rates, drops.
//! - [`overlay`]: draws a reading into a framebuffer.
//! - [`sink`]: where readings and pictures go.
//! - [`live`]: the threads, wired together.
//! - [`commands`]: what the command line can be asked.
//! - [`cli`]: the command line.
//!
//! Beside them [`train`] makes the models, with the same preprocessing as [`recognize`]; what
//! learns needs the feature `train`.
//!
//! Dependencies point one way: `base` ◀ `model`, `int8` ◀ `source`, `recognize`, `overlay`, `sink` ◀
//! `live` ◀ `commands` ◀ `cli`.

pub mod base;
pub mod cli;
pub mod commands;
pub mod demo;
pub mod int8;
pub mod live;
pub mod mailbox;
pub mod model;
pub mod overlay;
pub mod recognize;
pub mod sink;
pub mod source;
pub mod stats;
pub mod train;

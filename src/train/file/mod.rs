//! Network files, written and read.
//!
//! - [`graph`]: a trained network as plain arrays, batch normalisation folded.
//! - [`sketch`]: networks of published shapes with random weights, for tests and benches.
//! - [`integers`]: what an int8 network's numbers stand for.
//! - [`export`]: a graph as an ONNX file, in f32 or int8.
//! - [`quantize`]: scales of activations from training pictures.
//! - [`write`](mod@write): a network's two files.
//! - [`import`]: such a file read back.

pub mod export;
pub mod graph;
pub mod import;
pub mod integers;
pub mod quantize;
pub mod sketch;
pub mod write;

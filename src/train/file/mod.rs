//! Network files, written and read.
//!
//! - [`graph`]: a trained network as plain arrays, batch normalisation folded.
//! - [`sketch`]: networks of published shapes with random weights, for tests and benches.
//! - [`quantize`]: ranges of activations from training pictures, and int8 weights.
//! - [`export`]: a graph as an ONNX file, in f32 or int8.
//! - [`import`]: such a file read back.

pub mod export;
pub mod graph;
pub mod import;
pub mod quantize;
pub mod sketch;

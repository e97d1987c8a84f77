//! A network's two files: int8, and f32 beside it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use prost::Message;
use serde::Serialize;

use super::export;
use super::graph::Graph;
use super::quantize::{Choice, quantize};
use crate::base::files::write_whole;
use crate::model::Preprocessing;

/// The files of a network and what quantising it lost.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizeReport {
    /// The int8 file.
    pub int8: PathBuf,
    /// Its size, in bytes.
    pub int8_bytes: usize,
    /// The f32 file.
    pub f32: PathBuf,
    /// Pictures whose activations gave the scales.
    pub pictures: usize,
    /// Every rule tried for the scales with what it lost, and which was taken.
    #[serde(flatten)]
    pub choice: Choice,
}

/// Quantises a network and writes it to `path` in int8, and beside it, with `f32` before the
/// extension, in f32: `asl.onnx` and `asl.f32.onnx`.
///
/// `crops` are pictures of the training data as the network sees them, `size` x `size` RGB bytes
/// each; 200 or more are needed for good scales. `props` become the files' `metadata_props`
/// ([`crate::model::Metadata::to_props`] for a letter network).
///
/// # Errors
/// When there are no crops or one has another size, `preprocessing` is not the graph's, the
/// runtime cannot run the network, or a file cannot be written.
pub fn write_models(
    graph: &Graph,
    crops: &[Vec<u8>],
    preprocessing: &Preprocessing,
    props: &[(&str, String)],
    path: &Path,
) -> Result<QuantizeReport> {
    let (quantization, choice) = quantize(graph, crops, preprocessing)?;
    let int8 = export::to_qdq(graph, &quantization, props)?.encode_to_vec();
    let beside = path.with_extension("f32.onnx");
    write_whole(&beside, &export::to_f32(graph, props)?.encode_to_vec())?;
    write_whole(path, &int8)?;
    Ok(QuantizeReport {
        int8: path.to_owned(),
        int8_bytes: int8.len(),
        f32: beside,
        pictures: crops.len(),
        choice,
    })
}

//! Quantised operators for the model runtime, and their kernels.
//!
//! Stock tract runs a quantised (QDQ) ONNX file in f32 between its quantise and dequantise nodes. Here such a file
//! becomes integer layers: u8 activations in NHWC order, s8 weights with one scale per output channel, i32 sums, and
//! rounding and clamp fused into each layer's store.
//!
//! - [`lower`] reads the ONNX graph and finds the layers ([`plan`]), or names the node that keeps it from doing so.
//! - [`quant`] defines the arithmetic; every kernel family gives the bytes it defines.
//! - [`kernels`] holds the loops, one module per family; [`Isa`] says which there are and picks one.
//! - [`Network`] is a plan with its weights packed and its buffers reserved: pictures in, f32 results out.

mod graph;
mod isa;
pub mod kernels;
pub mod lower;
pub mod plan;
mod program;
pub mod quant;
mod tract_op;
mod unsupported;

pub use isa::Isa;
pub use program::{InputTransform, LayerInfo, Lowering, Network, NetworkOutput};
pub use unsupported::Unsupported;

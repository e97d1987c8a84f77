//! The families for x86-64: the innermost loops of [`tiled`](super::tiled) and [`depthwise`](super::depthwise).

pub mod avx2;
pub mod avx512;
pub mod avxvnni;
mod ymm;

//! The families for 64-bit ARM: the innermost loops of [`tiled`](super::tiled) and [`depthwise`](super::depthwise).
//!
//! Only I8MM multiplies bytes with a sign by bytes without. The others move a picture's bytes by -128, which turns over
//! their uppermost bit, and the biases by 128 times the sum of the weights: the sums end where they would have.
//!
//! The instructions for dot products and matrices are written out: their functions in `std::arch` aren't stable.

pub mod dot;
pub mod i8mm;
mod lines;
pub mod neon;
mod store;

use super::{DepthwiseShape, Store};

/// A store for sums whose bytes were moved by -128, of weights `[channel][weight]`.
fn moved(weights: &[i8], store: &Store) -> Store {
    let mut store = store.clone();
    let row = weights.len() / store.used;
    for (bias, row) in store.bias.iter_mut().zip(weights.chunks_exact(row)) {
        let sum: i32 = row.iter().map(|&w| i32::from(w)).sum();
        // What doesn't fit comes back into range with the sum, which does.
        *bias = bias.wrapping_add(sum.wrapping_mul(128));
    }
    store
}

//! What the families for x86-64 share: the order of channels in vectors, and the loops around the innermost ones.
//!
//! A vector of sums holds as many output channels as it has 32-bit elements. Which ones is chosen so that the
//! saturating packs of the store, which work within 128-bit lanes, bring the bytes out in channel order.

pub mod avx2;
pub mod avx512;
pub mod avxvnni;
mod depthwise;
mod tiled;
mod ymm;

pub use depthwise::Depthwise;
pub use tiled::Conv;

use super::Store;

/// The channel, within a group of `vectors` vectors, of element `i` of vector `v`: within each 128-bit lane, four
/// channels of the first vector, then four of the second, and so on.
fn channel(vectors: usize, v: usize, i: usize) -> usize {
    4 * (vectors * (i / 4) + v) + i % 4
}

/// Reorders one value per channel to the order of groups of vectors of `lanes` elements.
fn ordered<T: Copy>(values: &[T], groups: &[usize], lanes: usize) -> Vec<T> {
    let mut at = 0;
    let mut out = Vec::with_capacity(values.len());
    for &vectors in groups {
        for v in 0..vectors {
            out.extend((0..lanes).map(|i| values[at + channel(vectors, v, i)]));
        }
        at += vectors * lanes;
    }
    out
}

/// Zero point and clamp of a store.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    zero_point: u8,
    low: u8,
    high: u8,
}

impl Bounds {
    fn of(store: &Store) -> Self {
        Self {
            zero_point: store.zero_point,
            low: store.low,
            high: store.high,
        }
    }

    /// Whether the saturating packs alone give the result.
    fn plain(self) -> bool {
        self.zero_point == 0 && self.low == 0 && self.high == 255
    }
}

/// What a tile of a convolution needs to know beside its pixels.
struct Group<'a> {
    weights: *const u8,
    bias: *const i32,
    scale: *const f32,
    taps: &'a [usize],
    run: usize,
    target_step: usize,
    bounds: Bounds,
}

/// Most pixels in a tile of any family.
const MOST: usize = 12;

/// Where the pixels of a tile begin to read.
type Pixels = [*const u8; MOST];

/// Computes the pixels and channels of one tile.
///
/// Its contract: the processor has the family's instructions. As many pointers of `Pixels` as the tile has pixels are
/// valid for `run` bytes from each tap on; the group's weights, biases and scales are those of the tile's channels;
/// the target is valid for the bytes of these channels at as many multiples of `target_step` as there are pixels.
type Tile = unsafe fn(&Group, &Pixels, *mut u8);

//! Convolutions with a dot-product instruction: the loops over chunks, groups of channels and tiles of pixels.

use super::{Bounds, Group, MOST, Pixels, Store, Tile, channel, ordered};
use crate::int8::kernels::{Buffer, Reads};

/// What a family brings to [`Conv`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Channels in a vector of sums.
    pub lanes: usize,
    /// Sizes of groups, in vectors, largest first; the last divides any number of channels.
    pub groups: &'static [usize],
    /// The tiles of 1, 2, 3... pixels for a group of that many vectors; the flag is [`Bounds::plain`].
    pub tiles: fn(usize, bool) -> &'static [Tile],
}

/// A convolution's weights, `[group][four bytes of a run][vector][channel][byte]`.
#[derive(Debug, Clone)]
pub struct Conv {
    family: Family,
    weights: Buffer,
    groups: Vec<usize>,
    bias: Vec<i32>,
    scale: Vec<f32>,
    bounds: Bounds,
}

/// Bytes of input and output that should stay in the first-level cache while the weights pass by.
const CHUNK_BYTES: usize = 24 * 1024;

impl Conv {
    /// Takes weights as `[output channel][byte of all runs]`.
    pub(super) fn pack(family: Family, weights: &[i8], store: &Store) -> Self {
        let channels = store.channels();
        let lanes = family.lanes;
        let row = weights.len() / store.used;
        let mut groups = Vec::new();
        let mut left = channels / lanes;
        for &vectors in family.groups {
            groups.extend(std::iter::repeat_n(vectors, left / vectors));
            left %= vectors;
        }
        assert_eq!(
            left, 0,
            "{channels} channels in groups of {:?} vectors",
            family.groups
        );
        let mut packed = Buffer::zeroed(channels * row);
        let bytes = packed.bytes_mut();
        let (mut at, mut first) = (0, 0);
        for &vectors in &groups {
            for k in (0..row).step_by(4) {
                for v in 0..vectors {
                    for i in 0..lanes {
                        let n = first + channel(vectors, v, i);
                        for byte in k..k + 4 {
                            bytes[at] = weights.get(n * row + byte).map_or(0, |&w| w as u8);
                            at += 1;
                        }
                    }
                }
            }
            first += vectors * lanes;
        }
        Self {
            family,
            weights: packed,
            bias: ordered(&store.bias, &groups, lanes),
            scale: ordered(&store.scale, &groups, lanes),
            groups,
            bounds: Bounds::of(store),
        }
    }

    /// Computes the pixels from `first` on that fill `target`.
    ///
    /// # Safety
    ///
    /// The processor has the family's instructions. `source` holds every byte that `reads` names for these pixels;
    /// `target` is whole pixels of this convolution's channels; the weights were packed for these `reads`.
    pub unsafe fn run(&self, reads: &Reads, source: &[u8], target: &mut [u8], first: usize) {
        let step = self.bias.len();
        let lanes = self.family.lanes;
        let pixels = target.len() / step;
        let row = reads.taps.len() * reads.run;
        let chunk = (CHUNK_BYTES / (step + row)).clamp(2 * MOST, 48 * MOST);
        let mut start = 0;
        while start < pixels {
            let end = pixels.min(start + chunk);
            let (mut weights, mut channel) = (0, 0);
            for &vectors in &self.groups {
                let group = Group {
                    weights: self.weights.bytes()[weights..].as_ptr(),
                    bias: self.bias[channel..].as_ptr(),
                    scale: self.scale[channel..].as_ptr(),
                    taps: &reads.taps,
                    run: reads.run,
                    target_step: step,
                    bounds: self.bounds,
                };
                let tiles = (self.family.tiles)(vectors, self.bounds.plain());
                // Tiles of nearly equal size: a short last one would wait on its few sums.
                let count = (end - start).div_ceil(tiles.len());
                let mut pixel = start;
                for tile in 0..count {
                    let size = (end - pixel) / (count - tile);
                    let mut at: Pixels = [source.as_ptr(); MOST];
                    for (p, at) in at.iter_mut().enumerate().take(size) {
                        *at = source[reads.starts.start(first + pixel + p)..].as_ptr();
                    }
                    let target = &mut target[pixel * step + channel..];
                    // SAFETY: the caller vouches for the instructions and that runs lie in `source`; each of `size`
                    // pixels has this group's channels of its `step` bytes at `target`; the group's pointers come
                    // from slices that hold its weights, biases and scales by construction.
                    unsafe { tiles[size - 1](&group, &at, target.as_mut_ptr()) };
                    pixel += size;
                }
                weights += vectors * lanes * row;
                channel += vectors * lanes;
            }
            start = end;
        }
    }
}

//! Convolutions of pixels beside channels: the loops over chunks, groups of channels and tiles of pixels, around the
//! innermost ones, which families with instructions of their own bring.
//!
//! A vector of sums holds some output channels. Which ones is chosen so that the narrowing of the store brings the
//! bytes out in channel order: on x86-64 its packs work within 128-bit lanes.

use super::{Buffer, Reads, Store};

/// The channel, within a group of `vectors` vectors of `lanes` channels, of element `i` of vector `v`: four channels of
/// the first vector, then four of the second, and so on; then the vectors' next four. Vectors of at most four hold
/// channels in their order.
pub(super) fn channel(lanes: usize, vectors: usize, v: usize, i: usize) -> usize {
    let beside = lanes.min(4);
    beside * (vectors * (i / beside) + v) + i % beside
}

/// Reorders one value per channel to the order of groups of vectors of `lanes` elements.
pub(super) fn ordered<T: Copy>(values: &[T], groups: &[usize], lanes: usize) -> Vec<T> {
    let mut at = 0;
    let mut out = Vec::with_capacity(values.len());
    for &vectors in groups {
        for v in 0..vectors {
            out.extend((0..lanes).map(|i| values[at + channel(lanes, vectors, v, i)]));
        }
        at += vectors * lanes;
    }
    out
}

/// Zero point and clamp of a store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub zero_point: u8,
    pub low: u8,
    pub high: u8,
}

impl Bounds {
    pub fn of(store: &Store) -> Self {
        Self {
            zero_point: store.zero_point,
            low: store.low,
            high: store.high,
        }
    }

    /// Whether saturation alone gives the result.
    pub fn plain(self) -> bool {
        self.zero_point == 0 && self.low == 0 && self.high == 255
    }
}

/// What a tile of a convolution needs to know beside its pixels.
pub(super) struct Group<'a> {
    pub weights: *const u8,
    pub bias: *const i32,
    pub scale: *const f32,
    pub taps: &'a [usize],
    pub run: usize,
    pub target_step: usize,
    pub bounds: Bounds,
}

/// Most pixels in a tile of any family.
pub(super) const MOST: usize = 12;

/// Where the pixels of a tile begin to read.
pub(super) type Pixels = [*const u8; MOST];

/// Computes the pixels and channels of one tile.
///
/// Its contract: the processor has the family's instructions. As many pointers of `Pixels` as the tile has pixels are
/// valid for `run` bytes from each tap on; the group's weights, biases and scales are those of the tile's channels;
/// the target is valid for the bytes of these channels at as many multiples of `target_step` as there are pixels.
pub(super) type Tile = unsafe fn(&Group, &Pixels, *mut u8);

/// What a family brings to [`Conv`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Channels in a vector of sums.
    pub lanes: usize,
    /// Bytes of a run that meet each channel's weights at once: runs are filled up with zero weights to whole steps.
    pub step: usize,
    /// Sizes of groups, in vectors, largest first; the last divides any number of channels.
    pub groups: &'static [usize],
    /// The tiles of 1, 2, 3... pixels for a group of that many vectors; the flag is [`Bounds::plain`].
    pub tiles: fn(usize, bool) -> &'static [Tile],
}

/// A convolution's weights, `[group][step of a run][vector][channel][byte]`.
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
    pub(super) fn pack(family: Family, reads: &Reads, weights: &[i8], store: &Store) -> Self {
        let channels = store.channels();
        let lanes = family.lanes;
        let row = reads.taps.len() * reads.run;
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
        let row_packed = family.row(reads);
        let mut packed = Buffer::zeroed(channels * row_packed);
        let bytes = packed.bytes_mut();
        let (mut at, mut first) = (0, 0);
        for &vectors in &groups {
            for tap in 0..reads.taps.len() {
                for k in (0..reads.run).step_by(family.step) {
                    for v in 0..vectors {
                        for i in 0..lanes {
                            let n = first + channel(lanes, vectors, v, i);
                            if n < store.used {
                                let run = &weights[n * row + tap * reads.run..][..reads.run];
                                for (to, &w) in
                                    bytes[at..at + family.step].iter_mut().zip(&run[k..])
                                {
                                    *to = w as u8;
                                }
                            }
                            at += family.step;
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
        let row = self.family.row(reads);
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

impl Family {
    /// Bytes of one channel's weights.
    fn row(&self, reads: &Reads) -> usize {
        reads.taps.len() * reads.run.next_multiple_of(self.step)
    }
}

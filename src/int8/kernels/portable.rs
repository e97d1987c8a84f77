//! The kernels in plain Rust, written so that the compiler vectorises them for any processor.
//!
//! The small loops are `inline(always)`: the other families compile the same source again with their instructions.

use super::{AddQuant, BLOCK, DepthwiseShape, Reads, Store};

/// 1.5 * 2^23: adding it to an f32 of at most 2^22 rounds that to an integer, half to even, in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Rounds half to even; anything beyond +-1024 comes out as +-1024, which saturates a byte all the same.
#[inline(always)]
fn round(value: f32) -> i32 {
    let value = if value > -1024.0 { value } else { -1024.0 };
    let value = if value < 1024.0 { value } else { 1024.0 };
    (value + ROUND).to_bits() as i32 - ROUND.to_bits() as i32
}

/// Requantises a block of sums that already hold their bias.
#[inline(always)]
fn store_block(store: &Store, at: usize, sums: &[i32; BLOCK], target: &mut [u8]) {
    let scale: &[f32; BLOCK] = store.scale[at..].first_chunk().expect("whole blocks");
    let target: &mut [u8; BLOCK] = target.first_chunk_mut().expect("whole blocks");
    let (zero_point, low, high) = (
        i32::from(store.zero_point),
        i32::from(store.low),
        i32::from(store.high),
    );
    for ((target, &sum), &scale) in target.iter_mut().zip(sums).zip(scale) {
        let q = round(sum as f32 * scale) + zero_point;
        *target = q.clamp(low, high) as u8;
    }
}

/// A block of biases, for sums to start from.
#[inline(always)]
fn bias_block(store: &Store, at: usize) -> [i32; BLOCK] {
    *store.bias[at..].first_chunk().expect("whole blocks")
}

/// Sum of products. The weights are kept as i16: compilers know how to multiply and add pairs of those.
#[inline(always)]
fn dot(source: &[u8], weights: &[i16]) -> i32 {
    source
        .iter()
        .zip(weights)
        .map(|(&a, &w)| i32::from(a) * i32::from(w))
        .sum()
}

/// A convolution's weights as rows of i16, one row for each output channel.
#[derive(Debug, Clone)]
pub struct Conv {
    weights: Vec<i16>,
    store: Store,
}

impl Conv {
    /// Takes weights as they come, `[output channel][tap][byte of the run]`.
    pub fn pack(weights: &[i8], store: Store) -> Self {
        Self {
            weights: weights.iter().map(|&w| w.into()).collect(),
            store,
        }
    }

    pub fn run(&self, reads: &Reads, source: &[u8], target: &mut [u8], first: usize) {
        let step = self.store.channels();
        let row = reads.taps.len() * reads.run;
        for (p, target) in target.chunks_exact_mut(step).enumerate() {
            let start = reads.starts.start(first + p);
            for (block, target) in target.chunks_exact_mut(BLOCK).enumerate() {
                let at = block * BLOCK;
                let mut sums = bias_block(&self.store, at);
                let rows = self.weights[(at * row).min(self.weights.len())..].chunks_exact(row);
                for (sum, weights) in sums.iter_mut().zip(rows) {
                    for (&tap, weights) in reads.taps.iter().zip(weights.chunks_exact(reads.run)) {
                        *sum += dot(&source[start + tap..][..reads.run], weights);
                    }
                }
                store_block(&self.store, at, &sums, target);
            }
        }
    }
}

/// Depthwise weights as nine planes of i16, `[row][column][channel]`.
#[derive(Debug, Clone)]
pub struct Depthwise {
    weights: Vec<i16>,
    /// One pixel of padding.
    pad: Vec<u8>,
    store: Store,
}

impl Depthwise {
    /// Takes weights as `[channel][row][column]`.
    pub fn pack(weights: &[i8], pad: u8, store: Store) -> Self {
        let channels = store.channels();
        let mut planes = vec![0; 9 * channels];
        for (channel, kernel) in weights.chunks_exact(9).enumerate() {
            for (position, &w) in kernel.iter().enumerate() {
                planes[position * channels + channel] = w.into();
            }
        }
        Self {
            weights: planes,
            pad: vec![pad; channels],
            store,
        }
    }

    pub fn run(&self, shape: &DepthwiseShape, source: &[u8], target: &mut [u8], first: usize) {
        let step = self.store.channels();
        let width = shape.input[1];
        for (y, row) in target.chunks_exact_mut(shape.output[1] * step).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(step).enumerate() {
                let near: [&[u8]; 9] = std::array::from_fn(|position| {
                    match (
                        shape.row(first + y, position / 3),
                        shape.column(x, position % 3),
                    ) {
                        (Some(r), Some(c)) => &source[(r * width + c) * step..][..step],
                        _ => &self.pad,
                    }
                });
                for (block, target) in pixel.chunks_exact_mut(BLOCK).enumerate() {
                    let at = block * BLOCK;
                    let mut sums = bias_block(&self.store, at);
                    for (near, weights) in near.iter().zip(self.weights.chunks_exact(step)) {
                        let near: &[u8; BLOCK] = near[at..].first_chunk().expect("whole blocks");
                        let weights: &[i16; BLOCK] =
                            weights[at..].first_chunk().expect("whole blocks");
                        for ((sum, &a), &w) in sums.iter_mut().zip(near).zip(weights) {
                            *sum += i32::from(a) * i32::from(w);
                        }
                    }
                    store_block(&self.store, at, &sums, target);
                }
            }
        }
    }
}

/// Adds two maps.
#[inline(always)]
pub fn add(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    let [za, zb] = quant.input_zero_points.map(i32::from);
    let [ra, rb] = quant.ratios;
    let (zero_point, low, high) = (
        i32::from(quant.zero_point),
        i32::from(quant.low),
        i32::from(quant.high),
    );
    for ((target, &a), &b) in target.iter_mut().zip(a).zip(b) {
        let a = (i32::from(a) - za) as f32 * ra;
        let b = (i32::from(b) - zb) as f32 * rb;
        *target = (round(a + b) + zero_point).clamp(low, high) as u8;
    }
}

/// Adds up each channel over all pixels.
#[inline(always)]
pub fn sum_pixels(source: &[u8], sums: &mut [i32]) {
    sums.fill(0);
    for pixel in source.chunks_exact(sums.len()) {
        for (sum, &q) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(q);
        }
    }
}

/// Products of a vector with the rows of a matrix.
#[inline(always)]
pub fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    sums.fill(0);
    for (sum, weights) in sums
        .iter_mut()
        .zip(weights.chunks_exact(source.len().max(1)))
    {
        *sum = source
            .iter()
            .zip(weights)
            .map(|(&a, &w)| i32::from(a) * i32::from(w))
            .sum();
    }
}

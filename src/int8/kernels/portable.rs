//! The kernels in plain Rust, written so that the compiler vectorises them for any processor.
//!
//! The small loops are `inline(always)`: the other families compile the same source again with their instructions.

use super::lanes::Lanes;
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

/// Most pixels in a tile.
const MOST: usize = 4;

/// Room for the widened pixels of a tile.
const WIDE: usize = MOST * 2048;

/// Weights of a block of channels for two bytes of a run, pair by pair.
type Pairs = [[i16; 8]; BLOCK / 4];

/// A convolution's weights as 16-bit numbers, `[block][two bytes of a run][channel][byte]`.
#[derive(Debug, Clone)]
pub struct Conv {
    weights: Vec<Pairs>,
    store: Store,
}

impl Conv {
    /// Takes weights as `[output channel][byte of all runs]`.
    pub fn pack(weights: &[i8], store: Store) -> Self {
        let row = weights.len() / store.used;
        let mut packed = Vec::with_capacity(store.channels() / BLOCK * row / 2);
        for first in (0..store.channels()).step_by(BLOCK) {
            for k in (0..row).step_by(2) {
                packed.push(std::array::from_fn(|v| {
                    std::array::from_fn(|i| {
                        let at = (first + v * 4 + i / 2) * row + k + i % 2;
                        weights.get(at).map_or(0, |&w| w.into())
                    })
                }));
            }
        }
        Self {
            weights: packed,
            store,
        }
    }

    pub fn run(&self, reads: &Reads, source: &[u8], target: &mut [u8], first: usize) {
        let row = reads.taps.len() * reads.run;
        let most = (WIDE / row).min(MOST);
        if most == 0 {
            return self.run_long(reads, source, target, first);
        }
        let mut wide = [0i16; WIDE];
        let mut pixel = first;
        for target in target.chunks_mut(self.store.channels() * most) {
            let count = target.len() / self.store.channels();
            for (p, wide) in wide.chunks_exact_mut(row).take(count).enumerate() {
                let start = reads.starts.start(pixel + p);
                for (&tap, wide) in reads.taps.iter().zip(wide.chunks_exact_mut(reads.run)) {
                    for (to, &from) in wide.iter_mut().zip(&source[start + tap..]) {
                        *to = from.into();
                    }
                }
            }
            match count {
                4 => self.tile::<4>(&wide, row, target),
                3 => self.tile::<3>(&wide, row, target),
                2 => self.tile::<2>(&wide, row, target),
                _ => self.tile::<1>(&wide, row, target),
            }
            pixel += count;
        }
    }

    /// `P` pixels of all channels, from `P` widened rows.
    fn tile<const P: usize>(&self, wide: &[i16], row: usize, target: &mut [u8]) {
        let step = self.store.channels();
        let pairs: [&[[i16; 2]]; P] = std::array::from_fn(|p| wide[p * row..][..row].as_chunks().0);
        for (block, weights) in self.weights.chunks_exact(row / 2).enumerate() {
            let at = block * BLOCK;
            let bias = bias_block(&self.store, at);
            let mut sums = [[Lanes::new([0; 4]); BLOCK / 4]; P];
            for (k, weights) in weights.iter().enumerate() {
                for (sums, pairs) in sums.iter_mut().zip(&pairs) {
                    let pair = pairs[k];
                    for (sums, weights) in sums.iter_mut().zip(weights) {
                        sums.add_products(pair, weights);
                    }
                }
            }
            for (p, sums) in sums.iter().enumerate() {
                let mut totals = bias;
                for (totals, sums) in totals.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
                    totals
                        .iter_mut()
                        .zip(sums.sums())
                        .for_each(|(total, sum)| *total += sum);
                }
                store_block(&self.store, at, &totals, &mut target[p * step + at..]);
            }
        }
    }

    /// Pixels too long for a tile.
    fn run_long(&self, reads: &Reads, source: &[u8], target: &mut [u8], first: usize) {
        let row = reads.taps.len() * reads.run;
        for (p, target) in target.chunks_exact_mut(self.store.channels()).enumerate() {
            let start = reads.starts.start(first + p);
            let byte =
                |k: usize| i16::from(source[start + reads.taps[k / reads.run] + k % reads.run]);
            let blocks = self
                .weights
                .chunks_exact(row / 2)
                .zip(target.chunks_exact_mut(BLOCK));
            for (block, (weights, target)) in blocks.enumerate() {
                let bias = bias_block(&self.store, block * BLOCK);
                let mut sums = bias.as_chunks().0.iter().map(|&bias| Lanes::new(bias));
                let mut sums: [Lanes; BLOCK / 4] =
                    std::array::from_fn(|_| sums.next().expect("whole blocks"));
                for (k, weights) in weights.iter().enumerate() {
                    let pair = [byte(2 * k), byte(2 * k + 1)];
                    sums.iter_mut()
                        .zip(weights)
                        .for_each(|(sums, w)| sums.add_products(pair, w));
                }
                let totals = std::array::from_fn(|n| sums[n / 4].sums()[n % 4]);
                store_block(&self.store, block * BLOCK, &totals, target);
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

/// Adds two maps, on any processor.
pub fn add_anywhere(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    for ((target, &a), &b) in target.iter_mut().zip(a).zip(b) {
        *target = quant.apply(a, b);
    }
}

/// Adds two maps, in code that is compiled for a processor with multiply-adds.
#[inline(always)]
pub fn add(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    for ((target, &a), &b) in target.iter_mut().zip(a).zip(b) {
        *target = quant.apply_fused(a, b);
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

//! Kernels for AVX-512 VNNI: `vpdpbusd` on 512-bit registers, 64 multiply-adds an instruction.
//!
//! A vector of sums holds 16 output channels. Which 16 is chosen so that the saturating packs of the store, which
//! work within 128-bit lanes, bring the bytes out in channel order: in a group of `n` vectors, element `e` of lane
//! `l` of vector `v` is channel `4 * (n * l + v) + e`.

use std::arch::x86_64::*;

use super::{AddQuant, Buffer, DepthwiseShape, Reads, Store, portable};

/// Channels in a vector of sums.
const LANES: usize = 16;

/// The channel, within a group of `vectors` vectors, of element `i` of vector `v`.
fn channel(vectors: usize, v: usize, i: usize) -> usize {
    4 * (vectors * (i / 4) + v) + i % 4
}

/// Reorders one value per channel to the order of the vectors.
fn ordered<T: Copy>(values: &[T], groups: &[usize]) -> Vec<T> {
    let mut at = 0;
    let mut out = Vec::with_capacity(values.len());
    for &vectors in groups {
        for v in 0..vectors {
            out.extend((0..LANES).map(|i| values[at + channel(vectors, v, i)]));
        }
        at += vectors * LANES;
    }
    out
}

/// Splits output channels into groups of four, two and one vectors.
fn groups(channels: usize) -> Vec<usize> {
    let vectors = channels / LANES;
    let mut groups = vec![4; vectors / 4];
    groups.extend([2, 1].into_iter().filter(|&n| vectors & n != 0));
    groups
}

/// The bounds of a store.
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

/// A convolution's weights, `[group][four bytes of a run][vector][channel][byte]`.
#[derive(Debug, Clone)]
pub struct Conv {
    weights: Buffer,
    groups: Vec<usize>,
    bias: Vec<i32>,
    scale: Vec<f32>,
    bounds: Bounds,
}

/// What a tile needs to know beside its pixels. All pointers are valid for what [`tile`] says it reads.
struct Group<'a> {
    weights: *const u8,
    bias: *const i32,
    scale: *const f32,
    taps: &'a [usize],
    run: usize,
    target_step: usize,
    bounds: Bounds,
}

/// Most pixels in a tile.
const MOST: usize = 12;

/// Where the pixels of a tile begin to read.
type Pixels = [*const u8; MOST];

type Tile = unsafe fn(&Group, &Pixels, *mut u8);

/// The tiles of `vectors` vectors and 1, 2, 3... pixels, as many as the registers hold sums for.
macro_rules! tiles {
    ($vectors:literal, $plain:literal: $($pixels:literal)*) => {
        &[$(tile::<$pixels, $vectors, $plain>),*]
    };
}

fn tiles(vectors: usize, plain: bool) -> &'static [Tile] {
    match (vectors, plain) {
        (4, false) => tiles!(4, false: 1 2 3 4 5 6),
        (4, true) => tiles!(4, true: 1 2 3 4 5 6),
        (2, false) => tiles!(2, false: 1 2 3 4 5 6 7 8 9 10 11 12),
        (2, true) => tiles!(2, true: 1 2 3 4 5 6 7 8 9 10 11 12),
        (_, false) => tiles!(1, false: 1 2 3 4 5 6 7 8 9 10 11 12),
        (_, true) => tiles!(1, true: 1 2 3 4 5 6 7 8 9 10 11 12),
    }
}

/// Bytes of input and output that should stay in the first-level cache while the weights pass by.
const CHUNK_BYTES: usize = 24 * 1024;

impl Conv {
    /// Takes weights as `[output channel][byte of all runs]`.
    pub fn pack(weights: &[i8], store: &Store) -> Self {
        let channels = store.channels();
        let row = weights.len() / store.used;
        let groups = groups(channels);
        let mut packed = Buffer::zeroed(channels * row);
        let bytes = packed.bytes_mut();
        let (mut at, mut first) = (0, 0);
        for &vectors in &groups {
            for k in (0..row).step_by(4) {
                for v in 0..vectors {
                    for i in 0..LANES {
                        let n = first + channel(vectors, v, i);
                        for byte in k..k + 4 {
                            bytes[at] = weights.get(n * row + byte).map_or(0, |&w| w as u8);
                            at += 1;
                        }
                    }
                }
            }
            first += vectors * LANES;
        }
        Self {
            weights: packed,
            bias: ordered(&store.bias, &groups),
            scale: ordered(&store.scale, &groups),
            groups,
            bounds: Bounds::of(store),
        }
    }

    /// Computes the pixels from `first` on that fill `target`.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512 F, BW, VL and VNNI. `source` holds every byte that `reads` names for these pixels;
    /// `target` is whole pixels of this convolution's channels; the weights were packed for these `reads`.
    pub unsafe fn run(&self, reads: &Reads, source: &[u8], target: &mut [u8], first: usize) {
        let step = self.bias.len();
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
                let tiles = tiles(vectors, self.bounds.plain());
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
                    // pixels has `vectors * 16` bytes of its `step` at `target`; the group's pointers come from
                    // slices that hold this group's weights, biases and scales by construction.
                    unsafe { tiles[size - 1](&group, &at, target.as_mut_ptr()) };
                    pixel += size;
                }
                weights += vectors * LANES * row;
                channel += vectors * LANES;
            }
            start = end;
        }
    }
}

/// From sums to rounded steps, before zero point and clamp.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn scaled(sums: __m512i, scale: __m512) -> __m512i {
    _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale))
}

/// Four vectors of steps to 64 bytes: zero point, saturation, clamp.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn packed<const PLAIN: bool>(q: [__m512i; 4], bounds: Bounds) -> __m512i {
    let (ab, cd) = (
        _mm512_packs_epi32(q[0], q[1]),
        _mm512_packs_epi32(q[2], q[3]),
    );
    if PLAIN {
        return _mm512_packus_epi16(ab, cd);
    }
    let zero_point = _mm512_set1_epi16(i16::from(bounds.zero_point));
    let bytes = _mm512_packus_epi16(
        _mm512_adds_epi16(ab, zero_point),
        _mm512_adds_epi16(cd, zero_point),
    );
    let bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(bounds.low as i8));
    _mm512_min_epu8(bytes, _mm512_set1_epi8(bounds.high as i8))
}

/// `MR` pixels of `NR` vectors of channels.
///
/// # Safety
///
/// The processor has the features. Each of the first `MR` pointers of `pixels` is valid for `run` bytes from each tap
/// on; `group.weights` for `taps * run / 4 * NR * 64` bytes, `bias` and `scale` for `NR * 16` values; `target` for
/// `NR * 16` bytes at each of `MR` multiples of `target_step`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const MR: usize, const NR: usize, const PLAIN: bool>(
    group: &Group,
    pixels: &Pixels,
    target: *mut u8,
) {
    // SAFETY: all pointers stay within what the caller vouches for: `v < NR`, `m < MR`, `k < run`.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); NR]; MR];
        for v in 0..NR {
            let bias = _mm512_loadu_si512(group.bias.add(v * LANES).cast());
            for row in &mut sums {
                row[v] = bias;
            }
        }
        let mut weights = group.weights;
        for &tap in group.taps {
            let at: [*const u8; MR] = std::array::from_fn(|m| pixels[m].add(tap));
            for k in (0..group.run).step_by(4) {
                let w: [__m512i; NR] =
                    std::array::from_fn(|v| _mm512_loadu_si512(weights.add(v * 64).cast()));
                weights = weights.add(NR * 64);
                for m in 0..MR {
                    let four = _mm512_set1_epi32(at[m].add(k).cast::<i32>().read_unaligned());
                    for v in 0..NR {
                        sums[m][v] = _mm512_dpbusd_epi32(sums[m][v], four, w[v]);
                    }
                }
            }
        }
        let scale: [__m512; NR] =
            std::array::from_fn(|v| _mm512_loadu_ps(group.scale.add(v * LANES)));
        let step = group.target_step;
        match NR {
            4 => {
                for (m, sums) in sums.iter().enumerate() {
                    let q = std::array::from_fn(|v| scaled(sums[v], scale[v]));
                    _mm512_storeu_si512(
                        target.add(m * step).cast(),
                        packed::<PLAIN>(q, group.bounds),
                    );
                }
            }
            2 => {
                // Two pixels share the packs: each lane gets eight bytes of either.
                for m in (0..MR).step_by(2) {
                    let other = (m + 1).min(MR - 1);
                    let q = [sums[m][0], sums[m][1], sums[other][0], sums[other][1]];
                    let q = std::array::from_fn(|v| scaled(q[v], scale[v % 2]));
                    let bytes = packed::<PLAIN>(q, group.bounds);
                    let bytes =
                        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes);
                    _mm256_storeu_si256(target.add(m * step).cast(), _mm512_castsi512_si256(bytes));
                    if other > m {
                        _mm256_storeu_si256(
                            target.add(other * step).cast(),
                            _mm512_extracti64x4_epi64::<1>(bytes),
                        );
                    }
                }
            }
            _ => {
                // Four pixels share the packs: each lane gets four bytes of each.
                for m in (0..MR).step_by(4) {
                    let q = std::array::from_fn(|i| scaled(sums[(m + i).min(MR - 1)][0], scale[0]));
                    let order =
                        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
                    let bytes = _mm512_permutexvar_epi32(order, packed::<PLAIN>(q, group.bounds));
                    let lanes = [
                        _mm512_castsi512_si128(bytes),
                        _mm512_extracti32x4_epi32::<1>(bytes),
                        _mm512_extracti32x4_epi32::<2>(bytes),
                        _mm512_extracti32x4_epi32::<3>(bytes),
                    ];
                    for (i, lane) in lanes.into_iter().enumerate().take(MR - m) {
                        _mm_storeu_si128(target.add((m + i) * step).cast(), lane);
                    }
                }
            }
        }
    }
}

/// Depthwise weights, `[64 channels][phase][column][vector][channel][row]`: the four bytes of a channel meet four
/// input rows, of which phase 0 uses the first three and phase 1 the last three.
#[derive(Debug, Clone)]
pub struct Depthwise {
    weights: Buffer,
    bias: Vec<i32>,
    scale: Vec<f32>,
    bounds: Bounds,
    /// One row of padding.
    pad: Buffer,
    channels: usize,
}

/// Bytes of depthwise weights for 64 channels and one phase.
const PHASE: usize = 3 * 4 * 64;

impl Depthwise {
    /// Takes weights as `[channel][row][column]`.
    pub fn pack(weights: &[i8], pad: u8, store: &Store) -> Self {
        let channels = store.channels();
        let blocks = channels.div_ceil(64);
        let mut packed = Buffer::zeroed(blocks * 2 * PHASE);
        let bytes = packed.bytes_mut();
        let mut at = 0;
        for block in 0..blocks {
            for phase in 0..2 {
                for column in 0..3 {
                    for v in 0..4 {
                        for i in 0..LANES {
                            let n = block * 64 + channel(4, v, i);
                            for row in 0..3 {
                                let w = weights.get(n * 9 + row * 3 + column);
                                bytes[at + phase + row] = w.map_or(0, |&w| w as u8);
                            }
                            at += 4;
                        }
                    }
                }
            }
        }
        let groups = vec![4; blocks];
        let (mut bias, mut scale) = (store.bias.clone(), store.scale.clone());
        bias.resize(blocks * 64, 0);
        scale.resize(blocks * 64, 0.0);
        let mut padding = Buffer::zeroed(blocks * 64);
        padding.bytes_mut().fill(pad);
        Self {
            weights: packed,
            bias: ordered(&bias, &groups),
            scale: ordered(&scale, &groups),
            bounds: Bounds::of(store),
            pad: padding,
            channels,
        }
    }

    /// Computes the rows from `first` on that fill `target`.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512 F, BW, VL and VNNI. `source` is the whole input map of `shape` in this convolution's
    /// channels, `target` whole rows of the output.
    pub unsafe fn run(
        &self,
        shape: &DepthwiseShape,
        source: &[u8],
        target: &mut [u8],
        first: usize,
    ) {
        let row = shape.output[1] * self.channels;
        let rows = target.len() / row;
        let mut y = 0;
        while y < rows {
            // Two output rows share the input rows between them where they are neighbours.
            let two = shape.stride[0] == 1 && y + 1 < rows;
            let mut lines: [Line; 4] = std::array::from_fn(|i| match shape.row(first + y, i) {
                Some(r) => {
                    let bytes = shape.input[1] * self.channels;
                    Line {
                        start: source[r * bytes..][..bytes].as_ptr(),
                        step: self.channels,
                    }
                }
                None => Line {
                    start: self.pad.bytes().as_ptr(),
                    step: 0,
                },
            });
            if !two {
                lines[3] = lines[2];
            }
            for block in 0..self.channels.div_ceil(64) {
                let channel = block * 64;
                let left = (self.channels - channel).min(64);
                let job = Lines {
                    lines: lines.map(|line| Line {
                        start: line.start.wrapping_add(channel),
                        ..line
                    }),
                    pad: self.pad.bytes()[channel..].as_ptr(),
                    mask: u64::MAX >> (64 - left),
                    weights: self.weights.bytes()[block * 2 * PHASE..].as_ptr(),
                    bias: self.bias[channel..].as_ptr(),
                    scale: self.scale[channel..].as_ptr(),
                    bounds: self.bounds,
                    target: target[y * row + channel..].as_mut_ptr(),
                    target_row: row,
                    target_step: self.channels,
                };
                // SAFETY: the caller vouches for the instructions; each line is a whole input row or padding read
                // with step 0, both from channel `channel` on with `left` channels under the mask; the target has one
                // or two rows from there on.
                unsafe {
                    match (two, self.bounds.plain()) {
                        (false, false) => lines_kernel::<1, false>(shape, &job),
                        (false, true) => lines_kernel::<1, true>(shape, &job),
                        (true, false) => lines_kernel::<2, false>(shape, &job),
                        (true, true) => lines_kernel::<2, true>(shape, &job),
                    }
                }
            }
            y += 1 + usize::from(two);
        }
    }
}

/// A row of pixels: `step` bytes from one to the next, 0 for padding.
#[derive(Clone, Copy)]
struct Line {
    start: *const u8,
    step: usize,
}

/// Four input lines and what becomes of them, for up to 64 channels.
struct Lines {
    lines: [Line; 4],
    pad: *const u8,
    mask: __mmask64,
    weights: *const u8,
    bias: *const i32,
    scale: *const f32,
    bounds: Bounds,
    target: *mut u8,
    target_row: usize,
    target_step: usize,
}

/// `ROWS` output rows of up to 64 channels from four input lines.
///
/// # Safety
///
/// The processor has the features. For each line and each input column, the bytes under the mask are readable, as
/// they are at `pad`; for each of `ROWS` rows and each output column, they are writable at `target`. Weights, biases
/// and scales are those of 64 channels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn lines_kernel<const ROWS: usize, const PLAIN: bool>(shape: &DepthwiseShape, job: &Lines) {
    // SAFETY: columns are checked against the input's width, `x` against the output's; the rest is the caller's word.
    unsafe {
        // A column of four input bytes for each of 64 channels, as four vectors in the order of the packs.
        let column = |x: usize, j: usize| -> [__m512i; 4] {
            let bytes: [__m512i; 4] = match shape.column(x, j) {
                Some(c) => std::array::from_fn(|i| {
                    let line = job.lines[i];
                    _mm512_maskz_loadu_epi8(job.mask, line.start.add(c * line.step).cast())
                }),
                None => [_mm512_maskz_loadu_epi8(job.mask, job.pad.cast()); 4],
            };
            let (a, b) = (
                _mm512_unpacklo_epi8(bytes[0], bytes[1]),
                _mm512_unpackhi_epi8(bytes[0], bytes[1]),
            );
            let (c, d) = (
                _mm512_unpacklo_epi8(bytes[2], bytes[3]),
                _mm512_unpackhi_epi8(bytes[2], bytes[3]),
            );
            [
                _mm512_unpacklo_epi16(a, c),
                _mm512_unpackhi_epi16(a, c),
                _mm512_unpacklo_epi16(b, d),
                _mm512_unpackhi_epi16(b, d),
            ]
        };
        let mut columns = [column(0, 0), column(0, 1), column(0, 2)];
        for x in 0..shape.output[1] {
            if x > 0 {
                columns = match shape.stride[1] {
                    1 => [columns[1], columns[2], column(x, 2)],
                    2 => [columns[2], column(x, 1), column(x, 2)],
                    _ => [column(x, 0), column(x, 1), column(x, 2)],
                };
            }
            for row in 0..ROWS {
                let q = std::array::from_fn(|v| {
                    let mut sums = _mm512_loadu_si512(job.bias.add(v * LANES).cast());
                    for (j, column) in columns.iter().enumerate() {
                        let weights = job.weights.add(row * PHASE + (j * 4 + v) * 64);
                        sums = _mm512_dpbusd_epi32(
                            sums,
                            column[v],
                            _mm512_loadu_si512(weights.cast()),
                        );
                    }
                    scaled(sums, _mm512_loadu_ps(job.scale.add(v * LANES)))
                });
                let target = job.target.add(row * job.target_row + x * job.target_step);
                _mm512_mask_storeu_epi8(target.cast(), job.mask, packed::<PLAIN>(q, job.bounds));
            }
        }
    }
}

/// Adds two maps.
///
/// # Safety
///
/// The processor has AVX-512 F, BW and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn add(quant: &AddQuant, a: &[u8], b: &[u8], target: &mut [u8]) {
    portable::add(quant, a, b, target);
}

/// Adds up each channel over all pixels.
///
/// # Safety
///
/// The processor has AVX-512 F, BW and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn sum_pixels(source: &[u8], sums: &mut [i32]) {
    portable::sum_pixels(source, sums);
}

/// Products of a vector with the rows of a matrix.
///
/// # Safety
///
/// The processor has AVX-512 F, BW, VL and VNNI; `weights` is `sums.len()` rows of `source.len()`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn dense(source: &[u8], weights: &[i8], sums: &mut [i32]) {
    let length = source.len();
    for (n, sums) in sums.chunks_mut(4).enumerate() {
        let mut totals = [_mm512_setzero_si512(); 4];
        for k in (0..length).step_by(64) {
            let mask = u64::MAX >> (64 - (length - k).min(64));
            // SAFETY: the mask covers what is left of the vector and of each row; rows past the last repeat the last.
            unsafe {
                let a = _mm512_maskz_loadu_epi8(mask, source.as_ptr().add(k).cast());
                for (i, total) in totals.iter_mut().enumerate() {
                    let row = n * 4 + i.min(sums.len() - 1);
                    let w = _mm512_maskz_loadu_epi8(mask, weights.as_ptr().add(row * length + k));
                    *total = _mm512_dpbusd_epi32(*total, a, w);
                }
            }
        }
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = _mm512_reduce_add_epi32(total);
        }
    }
}

//! One layer at work: bytes of its input maps in, bytes of its output map out.

use crate::int8::isa::Isa;
use crate::int8::kernels::{self, Buffer, Conv, Depthwise, Pool as Threads, padded};
use crate::int8::plan::{Map, Pool, Window};
use crate::int8::quant::{AddQuant, Requant};

/// Where a step finds its input.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Image,
    Slot(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) sources: Vec<Source>,
    pub(super) target: usize,
    /// The output map, and its bytes.
    pub(super) map: Map,
    pub(super) len: usize,
    /// Most threads it is worth.
    pub(super) parts: usize,
    pub(super) work: Work,
}

#[derive(Debug, Clone)]
pub(super) enum Work {
    Conv(Conv),
    /// A convolution that reads a padded copy of its input.
    BorderedConv(Border, Conv),
    Depthwise(Depthwise),
    Dense {
        channels: usize,
        weights: Vec<i8>,
        requant: Requant,
    },
    Add(AddQuant),
    Pool {
        pixels: usize,
        pool: Pool,
    },
    Lookup {
        tables: Vec<[u8; 256]>,
        step: usize,
    },
    Concat {
        parts: Vec<(usize, Option<Box<[u8; 256]>>)>,
        step: usize,
    },
    Upsample {
        factor: usize,
        width: usize,
        step: usize,
    },
}

/// How a map is copied with padding around it.
#[derive(Debug, Clone)]
pub(super) struct Border {
    /// Bytes of an input row and of one pixel.
    pub(super) row: usize,
    pub(super) pixel: usize,
    pub(super) rows: usize,
    /// Rows above, pixels to the left.
    pub(super) before: [usize; 2],
    /// Rows and bytes per row of the copy.
    pub(super) target: [usize; 2],
    pub(super) fill: u8,
}

impl Step {
    pub(super) fn run<'a>(
        &self,
        isa: Isa,
        threads: Option<&Threads>,
        source: impl Fn(usize) -> &'a [u8],
        target: &mut [u8],
        bordered: &mut Buffer,
        sums: &mut [i32],
    ) {
        let fill =
            |target: &mut [u8], unit: usize, job: &(dyn Fn(usize, &mut [u8]) + Sync)| match threads
            {
                Some(threads) => threads.fill(target, unit, self.parts, job),
                None => job(0, target),
            };
        match &self.work {
            Work::Conv(conv) => {
                let source = source(0);
                fill(target, conv.target_step(), &|first, run| {
                    conv.run(source, run, first)
                });
            }
            Work::BorderedConv(border, conv) => {
                border.copy(source(0), bordered.bytes_mut());
                let source = bordered.bytes();
                fill(target, conv.target_step(), &|first, run| {
                    conv.run(source, run, first)
                });
            }
            Work::Depthwise(depthwise) => {
                let source = source(0);
                fill(target, depthwise.target_row(), &|first, run| {
                    depthwise.run(source, run, first)
                });
            }
            Work::Dense {
                channels,
                weights,
                requant,
            } => {
                let sums = &mut sums[..requant.bias.len()];
                kernels::dense(isa, &source(0)[..*channels], weights, sums);
                for (n, (target, &sum)) in target.iter_mut().zip(sums.iter()).enumerate() {
                    *target = requant.apply(n, sum);
                }
            }
            Work::Add(quant) => kernels::add(
                isa,
                quant,
                &source(0)[..self.len],
                &source(1)[..self.len],
                target,
            ),
            Work::Pool { pixels, pool } => {
                let sums = &mut sums[..target.len()];
                kernels::sum_pixels(isa, &source(0)[..pixels * target.len()], sums);
                let zero = *pixels as i32 * i32::from(pool.input_zero_point);
                for (target, &sum) in target.iter_mut().zip(sums.iter()) {
                    let q = ((sum - zero) as f32 * pool.scale).round_ties_even() as i32
                        + i32::from(pool.zero_point);
                    *target = q.clamp(pool.low.into(), pool.high.into()) as u8;
                }
            }
            Work::Lookup { tables, step } => {
                let source = &source(0)[..self.len];
                match tables.as_slice() {
                    [table] => lookup(table, source, target),
                    tables => {
                        for (from, to) in source
                            .chunks_exact(*step)
                            .zip(target.chunks_exact_mut(*step))
                        {
                            for ((&q, to), table) in from.iter().zip(to).zip(tables) {
                                *to = table[usize::from(q)];
                            }
                        }
                    }
                }
            }
            Work::Concat { parts, step } => {
                let mut at = 0;
                for (index, (channels, table)) in parts.iter().enumerate() {
                    let source = source(index).chunks_exact(padded(*channels));
                    for (from, to) in source.zip(target.chunks_exact_mut(*step)) {
                        let (from, to) = (&from[..*channels], &mut to[at..at + channels]);
                        match table {
                            None => to.copy_from_slice(from),
                            Some(table) => lookup(table, from, to),
                        }
                    }
                    at += channels;
                }
            }
            Work::Upsample {
                factor,
                width,
                step,
            } => {
                let row = width * step;
                for (from, rows) in source(0)
                    .chunks_exact(row)
                    .zip(target.chunks_exact_mut(row * factor * factor))
                {
                    let (first, others) = rows.split_at_mut(row * factor);
                    for (pixel, repeats) in from
                        .chunks_exact(*step)
                        .zip(first.chunks_exact_mut(step * factor))
                    {
                        repeats
                            .chunks_exact_mut(*step)
                            .for_each(|to| to.copy_from_slice(pixel));
                    }
                    others
                        .chunks_exact_mut(row * factor)
                        .for_each(|to| to.copy_from_slice(first));
                }
            }
        }
    }
}

fn lookup(table: &[u8; 256], source: &[u8], target: &mut [u8]) {
    for (to, &q) in target.iter_mut().zip(source) {
        *to = table[usize::from(q)];
    }
}

impl Border {
    /// Around a map for a convolution; the copy has exactly the rows and columns that `window` reads.
    pub(super) fn new(map: &Map, pixel: usize, window: &Window, out: &Map) -> Self {
        let reach = |axis: usize, n: usize| (n - 1) * window.stride[axis] + window.kernel[axis];
        Self {
            row: map.width * pixel,
            pixel,
            rows: map.height,
            before: window.before,
            target: [
                reach(0, out.height),
                reach(1, out.width).max(map.width + window.before[1]) * pixel,
            ],
            fill: map.quant.zero_point,
        }
    }

    fn copy(&self, source: &[u8], target: &mut [u8]) {
        let [rows, row] = self.target;
        let left = self.before[1] * self.pixel;
        for (y, target) in target.chunks_exact_mut(row).take(rows).enumerate() {
            match y.checked_sub(self.before[0]).filter(|&y| y < self.rows) {
                None => target.fill(self.fill),
                Some(y) => {
                    let (before, rest) = target.split_at_mut(left);
                    let (inside, after) = rest.split_at_mut(self.row);
                    before.fill(self.fill);
                    inside.copy_from_slice(&source[y * self.row..][..self.row]);
                    after.fill(self.fill);
                }
            }
        }
    }
}

/// Bytes of a map as it is kept between layers.
pub(super) fn bytes(map: &Map) -> usize {
    map.height * map.width * padded(map.channels)
}

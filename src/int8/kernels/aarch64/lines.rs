//! Depthwise kernels on dot products: one instruction adds up the four rows of a column for four channels.

use crate::int8::kernels::depthwise;

/// What the families have in common: blocks of eight channels, whose weights for two output rows stay in registers.
pub const TWO_ROWS: depthwise::Family = depthwise::Family {
    lanes: 4,
    vectors: 2,
    beside: 4,
    width: 1,
    kernels: [[none; 2]; 2],
};

/// Stands where each family puts its own kernels.
unsafe fn none(_: &super::DepthwiseShape, _: &depthwise::Lines) {}

/// Defines `lines`: `ROWS` output rows of eight channels from four input rows.
///
/// `$dot` multiplies with the given features, `$ready` makes of a picture's bytes what it takes.
macro_rules! lines {
    ($features:literal, $dot:ident, |$bytes:ident| $ready:expr) => {
        /// `ROWS` output rows of eight channels from four input rows.
        ///
        /// # Safety
        ///
        /// That of [`depthwise::Kernel`].
        #[target_feature(enable = $features)]
        unsafe fn lines<const ROWS: usize, const PLAIN: bool>(shape: &DepthwiseShape, job: &Lines) {
            // SAFETY: columns are checked against the input's width, `x` against the output's; the rest is the
            // caller's word.
            unsafe {
                let starts = job.lines.map(|line| line.start);
                let steps = job.lines.map(|line| line.step);
                // A column of four input bytes for each of eight channels, as two vectors.
                let column = |x: usize, j: usize| {
                    let place = shape.column(x, j);
                    let row = |i: usize| {
                        vld1_u8(match place {
                            Some(c) => starts[i].add(c * steps[i]),
                            None => job.pad,
                        })
                    };
                    let ready = |$bytes: uint8x16_t| $ready;
                    let (ac, bd) = (vcombine_u8(row(0), row(2)), vcombine_u8(row(1), row(3)));
                    interleaved(ready(ac), ready(bd))
                };
                let weights: [[[int8x16_t; 2]; 3]; ROWS] = std::array::from_fn(|row| {
                    std::array::from_fn(|j| {
                        [0, 1].map(|v| {
                            let at = row * DEPTHWISE.phase() + (j * 2 + v) * 16;
                            vld1q_s8(job.weights.add(at).cast())
                        })
                    })
                });
                let bias = [vld1q_s32(job.bias), vld1q_s32(job.bias.add(4))];
                let scale = [vld1q_f32(job.scale), vld1q_f32(job.scale.add(4))];
                for_columns!(shape, column, |x, columns| {
                    let mut sums = [bias; ROWS];
                    for (sums, weights) in sums.iter_mut().zip(&weights) {
                        for (column, weights) in columns.iter().zip(weights) {
                            for v in 0..2 {
                                sums[v] = $dot(sums[v], weights[v], column[v]);
                            }
                        }
                    }
                    let target = job.target.add(x * job.target_step);
                    store::rows::<ROWS, PLAIN>(sums, scale, job.bounds, target, job.target_row);
                });
            }
        }
    };
}
pub(super) use lines;

//! Depthwise 3x3 convolution of one picture in HWC order, zero-padded by one, and its gradients.
//!
//! Channels are the vector axis: a block of them keeps its nine weights in registers while it
//! moves along a row.

use super::vectorized::vectorized;

/// Sizes of one picture's convolution.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    /// Input rows.
    pub height: usize,
    /// Input columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// 1 or 2.
    pub stride: usize,
}

impl Plane {
    /// Output rows: `ceil(height / stride)`.
    pub fn out_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Output columns: `ceil(width / stride)`.
    pub fn out_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }
}

/// Runs `$kernel::<LANES>(first channel, ...)` over all channels, in blocks as wide as fit.
macro_rules! by_blocks {
    ($channels:expr, $kernel:ident, $($argument:expr),*) => {{
        let mut channel = 0;
        while channel + 16 <= $channels {
            $kernel::<16>(channel, $($argument),*);
            channel += 16;
        }
        while channel + 8 <= $channels {
            $kernel::<8>(channel, $($argument),*);
            channel += 8;
        }
        while channel < $channels {
            $kernel::<1>(channel, $($argument),*);
            channel += 1;
        }
    }};
}

/// Runs `$body` for every tap that meets the picture at output column `$ox`: `$tap` is its place
/// among the nine, `$at` where the block of channels that it meets begins. Kernel rows and input
/// rows are those of [`input_rows`]. A closure's call might stay outside of the code with the
/// processor's features.
macro_rules! for_taps {
    ($plane:ident, $rows:ident, $ox:ident, $channel:ident, |$tap:ident, $at:ident| $body:block) => {{
        let (width, channels) = ($plane.width, $plane.channels);
        let left = $ox * $plane.stride;
        if left > 0 && left + 1 < width {
            for &(ky, iy) in $rows.iter().flatten() {
                let first = (iy * width + left - 1) * channels + $channel;
                for kx in 0..3 {
                    let ($tap, $at) = (ky * 3 + kx, first + kx * channels);
                    $body
                }
            }
        } else {
            for &(ky, iy) in $rows.iter().flatten() {
                for kx in 0..3 {
                    let ix = left + kx;
                    if ix >= 1 && ix <= width {
                        let ($tap, $at) =
                            (ky * 3 + kx, (iy * width + ix - 1) * channels + $channel);
                        $body
                    }
                }
            }
        }
    }};
}

#[inline(always)]
fn lanes<const LANES: usize>(values: &[f32], at: usize) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    out.copy_from_slice(&values[at..at + LANES]);
    out
}

#[inline(always)]
fn add_product<const LANES: usize>(
    sum: &mut [f32; LANES],
    left: &[f32; LANES],
    right: &[f32; LANES],
) {
    for lane in 0..LANES {
        sum[lane] = left[lane].mul_add(right[lane], sum[lane]);
    }
}

/// The weights of a channel block: nine taps, row by row.
#[inline(always)]
fn taps<const LANES: usize>(weight: &[f32], channels: usize, channel: usize) -> [[f32; LANES]; 9] {
    std::array::from_fn(|tap| lanes(weight, tap * channels + channel))
}

vectorized! {
    /// Convolves: `y` (out_height x out_width x channels) from `x` (height x width x channels) and
    /// `weight` (9 x channels).
    pub fn forward<'a>(plane: Plane, x: &'a [f32], weight: &'a [f32], y: &'a mut [f32]) {
        let row = plane.out_width() * plane.channels;
        for (oy, y) in y.chunks_exact_mut(row).enumerate() {
            by_blocks!(plane.channels, forward_row, plane, oy, x, weight, y);
        }
    }
}

#[inline(always)]
fn forward_row<const LANES: usize>(
    channel: usize,
    plane: Plane,
    oy: usize,
    x: &[f32],
    weight: &[f32],
    y: &mut [f32],
) {
    let weight = taps::<LANES>(weight, plane.channels, channel);
    let channels = plane.channels;
    let rows = input_rows(plane, oy);
    for ox in 0..plane.out_width() {
        let mut sum = [0.0; LANES];
        for_taps!(plane, rows, ox, channel, |tap, at| {
            add_product(&mut sum, &lanes::<LANES>(x, at), &weight[tap]);
        });
        let at = ox * channels + channel;
        y[at..at + LANES].copy_from_slice(&sum);
    }
}

/// The kernel rows that meet the picture at output row `oy`, with the input row each meets.
#[inline(always)]
fn input_rows(plane: Plane, oy: usize) -> [Option<(usize, usize)>; 3] {
    std::array::from_fn(|ky| {
        let row = oy * plane.stride + ky;
        (row >= 1 && row <= plane.height).then(|| (ky, row - 1))
    })
}

vectorized! {
    /// Adds the weight gradient (9 x channels) of one picture to `dweight`.
    pub fn weight_gradient<'a>(plane: Plane, x: &'a [f32], dy: &'a [f32], dweight: &'a mut [f32]) {
        let row = plane.out_width() * plane.channels;
        for (oy, dy) in dy.chunks_exact(row).enumerate() {
            by_blocks!(plane.channels, weight_row, plane, oy, x, dy, dweight);
        }
    }
}

#[inline(always)]
fn weight_row<const LANES: usize>(
    channel: usize,
    plane: Plane,
    oy: usize,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) {
    let channels = plane.channels;
    let mut sums = taps::<LANES>(dweight, channels, channel);
    let rows = input_rows(plane, oy);
    for ox in 0..plane.out_width() {
        let dy = lanes::<LANES>(dy, ox * channels + channel);
        for_taps!(plane, rows, ox, channel, |tap, at| {
            add_product(&mut sums[tap], &lanes::<LANES>(x, at), &dy);
        });
    }
    for (tap, sum) in sums.iter().enumerate() {
        let at = tap * channels + channel;
        dweight[at..at + LANES].copy_from_slice(sum);
    }
}

vectorized! {
    /// The input gradient: `dx` (height x width x channels) from `dy` (out_height x out_width x channels).
    pub fn input_gradient<'a>(plane: Plane, dy: &'a [f32], weight: &'a [f32], dx: &'a mut [f32]) {
        let row = plane.width * plane.channels;
        for (iy, dx) in dx.chunks_exact_mut(row).enumerate() {
            by_blocks!(plane.channels, input_row, plane, iy, dy, weight, dx);
        }
    }
}

/// Gathers: input (iy, ix) met output (oy, ox) through tap (ky, kx) where `oy * stride + ky == iy + 1`
/// and likewise for columns.
#[inline(always)]
fn input_row<const LANES: usize>(
    channel: usize,
    plane: Plane,
    iy: usize,
    dy: &[f32],
    weight: &[f32],
    dx: &mut [f32],
) {
    let weight = taps::<LANES>(weight, plane.channels, channel);
    let (channels, stride) = (plane.channels, plane.stride);
    let (out_height, out_width) = (plane.out_height(), plane.out_width());
    let meets = |position: usize, tap: usize, limit: usize| {
        let from = (position + 1).checked_sub(tap)?;
        (from % stride == 0 && from / stride < limit).then_some(from / stride)
    };
    let rows: [Option<(usize, usize)>; 3] =
        std::array::from_fn(|ky| meets(iy, ky, out_height).map(|oy| (ky, oy)));
    for ix in 0..plane.width {
        let mut sum = [0.0; LANES];
        if stride == 1 && ix > 0 && ix + 1 < out_width {
            for &(ky, oy) in rows.iter().flatten() {
                let at = (oy * out_width + ix - 1) * channels + channel;
                for back in 0..3 {
                    let dy = lanes::<LANES>(dy, at + back * channels);
                    add_product(&mut sum, &dy, &weight[ky * 3 + 2 - back]);
                }
            }
        } else {
            for kx in 0..3 {
                let Some(ox) = meets(ix, kx, out_width) else {
                    continue;
                };
                for &(ky, oy) in rows.iter().flatten() {
                    let dy = lanes::<LANES>(dy, (oy * out_width + ox) * channels + channel);
                    add_product(&mut sum, &dy, &weight[ky * 3 + kx]);
                }
            }
        }
        let at = ix * channels + channel;
        dx[at..at + LANES].copy_from_slice(&sum);
    }
}

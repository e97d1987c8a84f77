//! Batch normalisation and ReLU6 over rows of channels, and their gradients.
//!
//! With batch mean m, variance v and M rows, `xhat = (y - m) / sqrt(v + eps)` and
//! `z = clamp(gamma * xhat + beta)`. The gradient is that of Ioffe and Szegedy (2015), written as
//! `dy = a * g + b * y + c` with constants of the channel, so that one pass over `y` and the masked
//! gradient `g` makes it.

use super::vectorized::vectorized;

/// Added to the variance before its root is taken, as in the network's pretraining.
pub const EPSILON: f32 = 1e-5;

/// Sums over rows, one pair a channel, wide enough for millions of rows.
#[derive(Clone, Debug)]
pub struct Sums {
    /// First sum of each channel.
    pub first: Vec<f64>,
    /// Second sum of each channel.
    pub second: Vec<f64>,
    partial: Vec<f32>,
}

impl Sums {
    /// Zeroes for `channels` channels.
    pub fn new(channels: usize) -> Self {
        Sums {
            first: vec![0.0; channels],
            second: vec![0.0; channels],
            partial: vec![0.0; 2 * channels],
        }
    }

    /// Adds another part's sums.
    pub fn merge(&mut self, other: &Sums) {
        for (sum, other) in self.first.iter_mut().zip(&other.first) {
            *sum += other;
        }
        for (sum, other) in self.second.iter_mut().zip(&other.second) {
            *sum += other;
        }
    }

    /// Adds values and their squares, for mean and variance.
    pub fn add_moments(&mut self, y: &[f32]) {
        let channels = self.first.len();
        for y in y.chunks(RUN * channels) {
            self.partial.fill(0.0);
            let (first, second) = self.partial.split_at_mut(channels);
            moments(y, first, second);
            self.add_partial();
        }
    }

    /// Mean and biased variance of `rows` rows whose moments these are.
    pub fn moments(&self, rows: usize) -> (Vec<f32>, Vec<f32>) {
        let rows = rows as f64;
        let of = |(sum, squares): (&f64, &f64)| {
            let variance = squares / rows - (sum / rows).powi(2);
            ((sum / rows) as f32, variance.max(0.0) as f32)
        };
        self.first.iter().zip(&self.second).map(of).unzip()
    }

    /// Adds the masked gradient and its product with the convolution's output.
    pub fn add_gradient(&mut self, affine: &Affine, y: &[f32], dz: &[f32]) {
        let channels = self.first.len();
        for (y, dz) in y.chunks(RUN * channels).zip(dz.chunks(RUN * channels)) {
            self.partial.fill(0.0);
            let (first, second) = self.partial.split_at_mut(channels);
            gradient_sums(affine, y, dz, first, second);
            self.add_partial();
        }
    }

    /// Short runs are summed in f32, runs among each other in f64.
    fn add_partial(&mut self) {
        let totals = self.first.iter_mut().chain(&mut self.second);
        for (total, partial) in totals.zip(&self.partial) {
            *total += f64::from(*partial);
        }
    }
}

/// Rows whose sum is kept in f32.
const RUN: usize = 64;

vectorized! {
    fn moments<'a>(y: &'a [f32], first: &'a mut [f32], second: &'a mut [f32]) {
        let channels = first.len();
        let second = &mut second[..channels];
        for y in y.chunks_exact(channels) {
            for channel in 0..channels {
                first[channel] += y[channel];
                second[channel] = y[channel].mul_add(y[channel], second[channel]);
            }
        }
    }
}

vectorized! {
    fn gradient_sums<'a>(
        affine: &'a Affine,
        y: &'a [f32],
        dz: &'a [f32],
        first: &'a mut [f32],
        second: &'a mut [f32],
    ) {
        let channels = first.len();
        let second = &mut second[..channels];
        let (scale, shift) = (&affine.scale[..channels], &affine.shift[..channels]);
        let (low, high) = affine.bounds();
        for (y, dz) in y.chunks_exact(channels).zip(dz.chunks_exact(channels)) {
            for channel in 0..channels {
                let z = y[channel].mul_add(scale[channel], shift[channel]);
                let g = masked(z, dz[channel], low, high);
                first[channel] += g;
                second[channel] = g.mul_add(y[channel], second[channel]);
            }
        }
    }
}

#[inline(always)]
fn masked(z: f32, dz: f32, low: f32, high: f32) -> f32 {
    if z > low && z < high { dz } else { 0.0 }
}

/// Normalisation as one multiplication and addition a channel, with or without ReLU6 behind it.
#[derive(Clone, Debug)]
pub struct Affine {
    /// `gamma / sqrt(variance + eps)`.
    pub scale: Vec<f32>,
    /// `beta - mean * scale`.
    pub shift: Vec<f32>,
    /// Whether the result is clamped to 0..=6.
    pub relu6: bool,
}

impl Affine {
    /// From a normalisation's parameters and statistics.
    pub fn new(gamma: &[f32], beta: &[f32], mean: &[f32], variance: &[f32], relu6: bool) -> Self {
        let scale: Vec<f32> = gamma
            .iter()
            .zip(variance)
            .map(|(gamma, variance)| gamma / (variance + EPSILON).sqrt())
            .collect();
        let shift = beta
            .iter()
            .zip(mean)
            .zip(&scale)
            .map(|((beta, mean), scale)| beta - mean * scale)
            .collect();
        Affine {
            scale,
            shift,
            relu6,
        }
    }

    fn bounds(&self) -> (f32, f32) {
        if self.relu6 {
            (0.0, 6.0)
        } else {
            (f32::NEG_INFINITY, f32::INFINITY)
        }
    }
}

vectorized! {
    /// `z = clamp(y * scale + shift)`.
    pub fn normalize<'a>(affine: &'a Affine, y: &'a [f32], z: &'a mut [f32]) {
        let channels = affine.scale.len();
        let (scale, shift) = (&affine.scale[..channels], &affine.shift[..channels]);
        let (low, high) = affine.bounds();
        for (y, z) in y.chunks_exact(channels).zip(z.chunks_exact_mut(channels)) {
            for channel in 0..channels {
                let value = y[channel].mul_add(scale[channel], shift[channel]);
                z[channel] = value.max(low).min(high);
            }
        }
    }
}

vectorized! {
    /// As [`normalize`], in place.
    pub fn normalize_in_place<'a>(affine: &'a Affine, values: &'a mut [f32]) {
        let channels = affine.scale.len();
        let (scale, shift) = (&affine.scale[..channels], &affine.shift[..channels]);
        let (low, high) = affine.bounds();
        for row in values.chunks_exact_mut(channels) {
            for channel in 0..channels {
                let value = row[channel].mul_add(scale[channel], shift[channel]);
                row[channel] = value.max(low).min(high);
            }
        }
    }
}

vectorized! {
    /// `sum += values`.
    pub fn accumulate<'a>(sum: &'a mut [f32], values: &'a [f32]) {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

vectorized! {
    /// The convolution's output gradient `dy = a * g + b * y + c`, where `g` is `dz` where the
    /// clamp let the value through.
    pub fn gradient<'a>(
        affine: &'a Affine,
        constants: &'a GradientConstants,
        y: &'a [f32],
        dz: &'a [f32],
        dy: &'a mut [f32],
    ) {
        let channels = affine.scale.len();
        let (scale, shift) = (&affine.scale[..channels], &affine.shift[..channels]);
        let (b, c) = (&constants.b[..channels], &constants.c[..channels]);
        let (low, high) = affine.bounds();
        let rows = y.chunks_exact(channels).zip(dz.chunks_exact(channels));
        for ((y, dz), dy) in rows.zip(dy.chunks_exact_mut(channels)) {
            for channel in 0..channels {
                let z = y[channel].mul_add(scale[channel], shift[channel]);
                let g = masked(z, dz[channel], low, high);
                let rest = y[channel].mul_add(b[channel], c[channel]);
                dy[channel] = scale[channel].mul_add(g, rest);
            }
        }
    }
}

/// `b` and `c` of `dy = a * g + b * y + c`; `a` is the normalisation's scale.
#[derive(Clone, Debug)]
pub struct GradientConstants {
    b: Vec<f32>,
    c: Vec<f32>,
}

impl GradientConstants {
    /// For statistics that do not depend on the batch: then `dy = a * g`.
    pub fn ignore_statistics(&mut self) {
        self.b.fill(0.0);
        self.c.fill(0.0);
    }
}

/// Gradients of gamma and beta, and the constants of the input's gradient, from `sums` of the
/// masked gradient (first) and of its product with `y` (second) over `rows` rows.
pub fn parameter_gradients(
    sums: &Sums,
    rows: usize,
    scale: &[f32],
    mean: &[f32],
    variance: &[f32],
) -> (Vec<f32>, Vec<f32>, GradientConstants) {
    let channels = scale.len();
    let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
    let (mut b, mut c) = (vec![0.0; channels], vec![0.0; channels]);
    for channel in 0..channels {
        let (mean, scale) = (f64::from(mean[channel]), f64::from(scale[channel]));
        let inverse = 1.0 / f64::from(variance[channel] + EPSILON).sqrt();
        let beta = sums.first[channel];
        let gamma = (sums.second[channel] - mean * beta) * inverse;
        let slope = -scale * gamma * inverse / rows as f64;
        dgamma[channel] = gamma as f32;
        dbeta[channel] = beta as f32;
        b[channel] = slope as f32;
        c[channel] = (-slope * mean - scale * beta / rows as f64) as f32;
    }
    (dgamma, dbeta, GradientConstants { b, c })
}

//! Convolution, batch normalisation and ReLU6 as one block with its own backward pass, for CPUs.
//!
//! Activations are NHWC (`images x height x width x channels`), so that a pointwise convolution is
//! a plain matrix product and a depthwise one a loop over channel vectors. The block's passes are
//! arranged so that what a convolution wrote is summed while it is still in cache, and so that the
//! gradient of a convolution's output exists only a cache-sized piece at a time.
//!
//! Work is split into a fixed number of parts, whatever the number of threads, and the parts' sums
//! are added in order: a run gives the same bytes on one core and on sixteen.

mod block;
mod buffers;
mod convolution;
mod depthwise;
mod gemm;
mod norm;
mod vectorized;

use rayon::prelude::*;

pub use block::{Block, Kind};
pub use buffers::{recycle, take};
pub use depthwise::Plane;
pub use norm::{Affine, EPSILON, Sums};

use convolution::with_scratch;
use norm::{accumulate, gradient, normalize, normalize_in_place, parameter_gradients};

/// The tensors of a block.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// The convolution's weight, laid out as its [`Kind`] says.
    pub weight: &'a [f32],
    /// Normalisation's factor, one a channel.
    pub gamma: &'a [f32],
    /// Normalisation's addend, one a channel.
    pub beta: &'a [f32],
}

/// What a training step normalises with.
#[derive(Clone, Copy)]
pub enum Statistics<'a> {
    /// The batch's own mean and variance.
    Batch,
    /// These, which do not depend on the batch.
    Fixed {
        /// One a channel.
        mean: &'a [f32],
        /// One a channel.
        variance: &'a [f32],
    },
}

/// What a training step keeps of a block's forward pass.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The block's output.
    pub z: Vec<f32>,
    /// The convolution's output.
    pub y: Vec<f32>,
    /// What it was normalised with: its mean over the batch or the fixed one, one a channel.
    pub mean: Vec<f32>,
    /// The same of its biased variance.
    pub variance: Vec<f32>,
    /// Whether the two are the batch's own, so that they have gradients of their own.
    pub of_batch: bool,
}

/// A block's gradients.
pub struct Gradients {
    /// Of the input, where it was asked for.
    pub dx: Option<Vec<f32>>,
    /// Of the weight, in its layout.
    pub dweight: Vec<f32>,
    /// Of gamma.
    pub dgamma: Vec<f32>,
    /// Of beta.
    pub dbeta: Vec<f32>,
}

impl Block {
    fn check(&self, x: &[f32], parameters: &Parameters) {
        assert_eq!(x.len(), self.images * self.in_image(), "input size");
        assert_eq!(parameters.weight.len(), self.weights(), "weight size");
        assert_eq!(parameters.gamma.len(), self.out_channels, "gamma size");
        assert_eq!(parameters.beta.len(), self.out_channels, "beta size");
    }

    /// The forward pass of a training step.
    ///
    /// # Panics
    /// When a slice's length is not what the block's sizes say.
    pub fn forward(
        &self,
        x: &[f32],
        parameters: Parameters,
        statistics: Statistics,
        residual: Option<&[f32]>,
    ) -> Forward {
        self.check(x, &parameters);
        let part = self.part_images();
        let (piece_in, piece_out) = self.piece();
        let of_batch = matches!(statistics, Statistics::Batch);
        let mut y = take(self.output_len());
        let sums: Vec<Sums> = y
            .par_chunks_mut(part * self.out_image())
            .zip(x.par_chunks(part * self.in_image()))
            .map(|(y, x)| {
                let mut sums = Sums::new(self.out_channels);
                for (y, x) in y.chunks_mut(piece_out).zip(x.chunks(piece_in)) {
                    self.convolve(x, parameters.weight, y);
                    if of_batch {
                        sums.add_moments(y);
                    }
                }
                sums
            })
            .collect();
        let (mean, variance) = match statistics {
            Statistics::Batch => {
                merged(sums, self.out_channels).moments(self.output_len() / self.out_channels)
            }
            Statistics::Fixed { mean, variance } => (mean.to_vec(), variance.to_vec()),
        };
        let affine = self.affine(&parameters, &mean, &variance);
        let mut z = take(self.output_len());
        let chunk = part * self.out_image();
        z.par_chunks_mut(chunk)
            .zip(y.par_chunks(chunk))
            .enumerate()
            .for_each(|(index, (z, y))| {
                normalize(&affine, y, z);
                if let Some(residual) = residual {
                    accumulate(z, &residual[index * chunk..]);
                }
            });
        Forward {
            z,
            y,
            mean,
            variance,
            of_batch,
        }
    }

    /// The forward pass with given statistics, as after training: keeps nothing.
    ///
    /// # Panics
    /// When a slice's length is not what the block's sizes say.
    pub fn forward_fixed(
        &self,
        x: &[f32],
        parameters: Parameters,
        mean: &[f32],
        variance: &[f32],
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        self.check(x, &parameters);
        let affine = self.affine(&parameters, mean, variance);
        let part = self.part_images();
        let (piece_in, piece_out) = self.piece();
        let mut z = take(self.output_len());
        let chunk = part * self.out_image();
        z.par_chunks_mut(chunk)
            .zip(x.par_chunks(part * self.in_image()))
            .enumerate()
            .for_each(|(index, (z, x))| {
                for (z, x) in z.chunks_mut(piece_out).zip(x.chunks(piece_in)) {
                    self.convolve(x, parameters.weight, z);
                    normalize_in_place(&affine, z);
                }
                if let Some(residual) = residual {
                    accumulate(z, &residual[index * chunk..]);
                }
            });
        z
    }

    fn affine(&self, parameters: &Parameters, mean: &[f32], variance: &[f32]) -> Affine {
        Affine::new(
            parameters.gamma,
            parameters.beta,
            mean,
            variance,
            self.relu6,
        )
    }

    /// The backward pass: gradients from `dz`, the output's gradient. Of the forward pass it reads
    /// all but `z`. The residual's gradient is `dz` itself.
    ///
    /// # Panics
    /// When a slice's length is not what the block's sizes say.
    pub fn backward(
        &self,
        x: &[f32],
        forward: &Forward,
        parameters: Parameters,
        dz: &[f32],
        want_dx: bool,
    ) -> Gradients {
        let Forward {
            y, mean, variance, ..
        } = forward;
        self.check(x, &parameters);
        assert_eq!(dz.len(), self.output_len(), "gradient size");
        assert_eq!(y.len(), self.output_len(), "output size");
        let affine = self.affine(&parameters, mean, variance);
        let part = self.part_images();
        let chunk = part * self.out_image();
        let sums: Vec<Sums> = y
            .par_chunks(chunk)
            .zip(dz.par_chunks(chunk))
            .map(|(y, dz)| {
                let mut sums = Sums::new(self.out_channels);
                sums.add_gradient(&affine, y, dz);
                sums
            })
            .collect();
        let sums = merged(sums, self.out_channels);
        let rows = self.output_len() / self.out_channels;
        let (dgamma, dbeta, mut constants) =
            parameter_gradients(&sums, rows, &affine.scale, mean, variance);
        if !forward.of_batch {
            constants.ignore_statistics();
        }

        let (piece_in, piece_out) = self.piece();
        let in_part = part * self.in_image();
        let work = |x: &[f32], y: &[f32], dz: &[f32], mut dx: Option<&mut [f32]>| {
            let mut dweight = take(parameters.weight.len());
            dweight.fill(0.0);
            for (index, ((x, y), dz)) in x
                .chunks(piece_in)
                .zip(y.chunks(piece_out))
                .zip(dz.chunks(piece_out))
                .enumerate()
            {
                let at = index * piece_in;
                let dx = dx.as_deref_mut().map(|dx| &mut dx[at..at + x.len()]);
                let columns = match self.kind {
                    Kind::Stem => self.out_height() * self.out_width() * 9 * self.channels,
                    _ => 0,
                };
                with_scratch(dz.len(), columns, |dy, columns| {
                    gradient(&affine, &constants, y, dz, dy);
                    self.deconvolve(x, dy, parameters.weight, columns, dx, &mut dweight);
                });
            }
            dweight
        };
        let (dweights, dx): (Vec<Vec<f32>>, _) = if want_dx && self.kind != Kind::Stem {
            let mut dx = take(x.len());
            let dweights = dx
                .par_chunks_mut(in_part)
                .zip(x.par_chunks(in_part))
                .zip(y.par_chunks(chunk))
                .zip(dz.par_chunks(chunk))
                .map(|(((dx, x), y), dz)| work(x, y, dz, Some(dx)))
                .collect();
            (dweights, Some(dx))
        } else {
            let dweights = x
                .par_chunks(in_part)
                .zip(y.par_chunks(chunk))
                .zip(dz.par_chunks(chunk))
                .map(|((x, y), dz)| work(x, y, dz, None))
                .collect();
            (dweights, None)
        };
        let mut parts = dweights.into_iter();
        let mut dweight = parts.next().unwrap_or_default();
        for part in parts {
            accumulate(&mut dweight, &part);
            recycle(part);
        }
        Gradients {
            dx,
            dweight,
            dgamma,
            dbeta,
        }
    }
}

fn merged(parts: Vec<Sums>, channels: usize) -> Sums {
    let mut total = Sums::new(channels);
    for part in &parts {
        total.merge(part);
    }
    total
}

#[cfg(test)]
mod tests;

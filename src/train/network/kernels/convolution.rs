//! The convolution of one piece of a batch, and its gradients.

use std::cell::RefCell;

use super::block::{Block, Kind};
use super::depthwise;
use super::gemm::{Matrix, multiply};

thread_local! {
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Two scratch slices of this thread, contents unspecified.
pub(super) fn with_scratch<R>(
    first: usize,
    second: usize,
    work: impl FnOnce(&mut [f32], &mut [f32]) -> R,
) -> R {
    SCRATCH.with_borrow_mut(|[a, b]| {
        if a.len() < first {
            a.resize(first, 0.0);
        }
        if b.len() < second {
            b.resize(second, 0.0);
        }
        work(&mut a[..first], &mut b[..second])
    })
}

impl Block {
    /// The convolution of one piece.
    pub(super) fn convolve(&self, x: &[f32], weight: &[f32], y: &mut [f32]) {
        match self.kind {
            Kind::Pointwise => {
                let weight = Matrix::new(weight, self.channels).transposed();
                multiply(y, Matrix::new(x, self.channels), weight, false);
            }
            Kind::Depthwise { stride } => depthwise::forward(self.plane(stride), x, weight, y),
            Kind::Stem => {
                let taps = 9 * self.channels;
                let rows = self.out_height() * self.out_width();
                with_scratch(0, rows * taps, |_, columns| {
                    self.unfold(x, columns);
                    let weight = Matrix::new(weight, taps).transposed();
                    multiply(y, Matrix::new(columns, taps), weight, false);
                });
            }
        }
    }

    /// The 3x3 neighbourhoods with stride 2 of one picture, a row each, zeroes outside.
    fn unfold(&self, x: &[f32], columns: &mut [f32]) {
        let (channels, width) = (self.channels, self.width);
        let mut taps = columns.chunks_exact_mut(channels);
        for oy in 0..self.out_height() {
            for ox in 0..self.out_width() {
                for tap in 0..9 {
                    let (row, column) = (oy * 2 + tap / 3, ox * 2 + tap % 3);
                    let Some(out) = taps.next() else { return };
                    if (1..=self.height).contains(&row) && (1..=width).contains(&column) {
                        let at = ((row - 1) * width + column - 1) * channels;
                        out.copy_from_slice(&x[at..at + channels]);
                    } else {
                        out.fill(0.0);
                    }
                }
            }
        }
    }

    /// One piece of the convolution's backward pass.
    pub(super) fn deconvolve(
        &self,
        x: &[f32],
        dy: &[f32],
        weight: &[f32],
        columns: &mut [f32],
        dx: Option<&mut [f32]>,
        dweight: &mut [f32],
    ) {
        match self.kind {
            Kind::Pointwise => {
                let dy = Matrix::new(dy, self.out_channels);
                let x = Matrix::new(x, self.channels);
                multiply(dweight, dy.transposed(), x, true);
                if let Some(dx) = dx {
                    multiply(dx, dy, Matrix::new(weight, self.channels), false);
                }
            }
            Kind::Depthwise { stride } => {
                let plane = self.plane(stride);
                depthwise::weight_gradient(plane, x, dy, dweight);
                if let Some(dx) = dx {
                    depthwise::input_gradient(plane, dy, weight, dx);
                }
            }
            Kind::Stem => {
                self.unfold(x, columns);
                let dy = Matrix::new(dy, self.out_channels).transposed();
                multiply(dweight, dy, Matrix::new(columns, 9 * self.channels), true);
            }
        }
    }
}

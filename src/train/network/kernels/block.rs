//! A block's convolution and sizes, and the pieces it is worked on in.

use super::depthwise::Plane;

/// Parts that a batch's images are split into.
const PARTS: usize = 8;

/// Values of a convolution's output that are worked on at a time: 512 KiB, a part of a core's own cache.
const PIECE: usize = 128 * 1024;

/// Which convolution a block has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// 1x1 over all channels; weight `out_channels x channels`.
    Pointwise,
    /// 3x3 within each channel, zero-padded by one; weight `9 x channels`, taps row by row.
    Depthwise {
        /// 1 or 2.
        stride: usize,
    },
    /// 3x3 over all channels with stride 2, zero-padded by one; weight `out_channels x (9 * channels)`,
    /// taps row by row, channels innermost.
    Stem,
}

/// A block: its convolution, the sizes of its input, and whether ReLU6 follows.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The convolution.
    pub kind: Kind,
    /// Pictures in the batch.
    pub images: usize,
    /// Input rows.
    pub height: usize,
    /// Input columns.
    pub width: usize,
    /// Input channels.
    pub channels: usize,
    /// Output channels; for a depthwise convolution the same as `channels`.
    pub out_channels: usize,
    /// Whether the result is clamped to 0..=6.
    pub relu6: bool,
}

impl Block {
    /// Output rows.
    pub fn out_height(&self) -> usize {
        self.height.div_ceil(self.stride())
    }

    /// Output columns.
    pub fn out_width(&self) -> usize {
        self.width.div_ceil(self.stride())
    }

    /// Values in the output.
    pub fn output_len(&self) -> usize {
        self.images * self.out_image()
    }

    pub(super) fn stride(&self) -> usize {
        match self.kind {
            Kind::Pointwise => 1,
            Kind::Depthwise { stride } => stride,
            Kind::Stem => 2,
        }
    }

    pub(super) fn in_image(&self) -> usize {
        self.height * self.width * self.channels
    }

    pub(super) fn out_image(&self) -> usize {
        self.out_height() * self.out_width() * self.out_channels
    }

    pub(super) fn part_images(&self) -> usize {
        self.images.div_ceil(PARTS).max(1)
    }

    pub(super) fn plane(&self, stride: usize) -> Plane {
        Plane {
            height: self.height,
            width: self.width,
            channels: self.channels,
            stride,
        }
    }

    /// The numbers of input and output values that are worked on together: some rows of a
    /// pointwise convolution, a whole picture of the others.
    pub(super) fn piece(&self) -> (usize, usize) {
        match self.kind {
            Kind::Pointwise => {
                let rows = (PIECE / self.channels.max(self.out_channels)).max(16);
                (rows * self.channels, rows * self.out_channels)
            }
            _ => (self.in_image(), self.out_image()),
        }
    }

    /// The number of values in the convolution's weight.
    pub(super) fn weights(&self) -> usize {
        match self.kind {
            Kind::Pointwise => self.out_channels * self.channels,
            Kind::Depthwise { .. } => {
                assert_eq!(self.channels, self.out_channels, "depthwise channels");
                9 * self.channels
            }
            Kind::Stem => self.out_channels * 9 * self.channels,
        }
    }
}

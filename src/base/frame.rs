//! One picture on its way through the program, and the geometry that goes with it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// An RGB picture with the moment it was captured.
///
/// The sequence number and the capture time stay with a frame to the end: every latency figure
/// in this crate is a difference between a later moment and [`Frame::captured`].
#[derive(Debug, Clone)]
pub struct Frame {
    /// Counts the frames that the source delivered, from 0; a gap is a frame lost before us.
    pub seq: u64,
    /// When the frame was captured: the driver's time stamp where there is one, else the moment
    /// the program received it.
    pub captured: Instant,
    /// Media time since the source's first frame.
    pub time: Duration,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` pixels, row by row from the top left, three bytes each (R, G, B).
    pub pixels: Vec<u8>,
}

impl Frame {
    /// A frame without pixels, for a pool to fill.
    pub fn empty() -> Self {
        Frame {
            seq: 0,
            captured: Instant::now(),
            time: Duration::ZERO,
            width: 0,
            height: 0,
            pixels: Vec::new(),
        }
    }

    /// Sets the size and makes room for its pixels, keeping the buffer. The pixels' values are
    /// whatever the buffer held before.
    pub fn resize(&mut self, width: usize, height: usize) {
        self.width = width;
        self.height = height;
        self.pixels.resize(width * height * 3, 0);
    }
}

/// Hands out frames and takes their buffers back once nobody reads them any more, so that a
/// running program allocates no pixels.
#[derive(Debug, Clone, Default)]
pub struct FramePool {
    frames: Arc<Mutex<Vec<Arc<Frame>>>>,
}

impl FramePool {
    /// An empty pool; it grows to the number of frames that are in use at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame nobody else holds, with `fill` applied to it. Its previous contents are unspecified.
    ///
    /// # Errors
    /// Whatever `fill` returns; the buffer goes back to the pool then.
    pub fn fill<E>(&self, fill: impl FnOnce(&mut Frame) -> Result<(), E>) -> Result<Arc<Frame>, E> {
        let free = {
            let mut frames = self.frames.lock().unwrap_or_else(|held| held.into_inner());
            let at = frames
                .iter_mut()
                .position(|frame| Arc::get_mut(frame).is_some());
            at.map(|at| frames.swap_remove(at))
        };
        let mut frame = free.unwrap_or_else(|| Arc::new(Frame::empty()));
        let result = match Arc::get_mut(&mut frame) {
            Some(only) => fill(only),
            None => unreachable!("the pool gave its only reference away"),
        };
        let mut frames = self.frames.lock().unwrap_or_else(|held| held.into_inner());
        frames.push(Arc::clone(&frame));
        result.map(|()| frame)
    }
}

/// A rectangle in fractions of a picture's width and height: (0, 0) is its top left corner,
/// (1, 1) its bottom right one. It may reach beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl Rect {
    /// The whole picture.
    pub const FULL: Rect = Rect {
        x0: 0.0,
        y0: 0.0,
        x1: 1.0,
        y1: 1.0,
    };

    /// Width as a fraction of the picture's.
    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    /// Height as a fraction of the picture's.
    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    /// The square around this rectangle's centre whose side is `scale` times the rectangle's
    /// larger side, in pixels of a picture of `width` x `height`.
    pub fn square(&self, scale: f32, width: usize, height: usize) -> Square {
        let (w, h) = (width as f32, height as f32);
        let side = scale * (self.width() * w).max(self.height() * h);
        Square {
            left: (self.x0 + self.x1) / 2.0 * w - side / 2.0,
            top: (self.y0 + self.y1) / 2.0 * h - side / 2.0,
            side,
        }
    }

    /// This rectangle in pixels of a picture of `width` x `height`.
    pub fn region(&self, width: usize, height: usize) -> Region {
        let (w, h) = (width as f32, height as f32);
        Region {
            left: self.x0 * w,
            top: self.y0 * h,
            width: self.width() * w,
            height: self.height() * h,
        }
    }

    /// The square in the middle of this rectangle whose side is its smaller one, in pixels of a
    /// picture of `width` x `height`.
    pub fn middle(&self, width: usize, height: usize) -> Square {
        let Region {
            left,
            top,
            width,
            height,
        } = self.region(width, height);
        let side = width.min(height);
        Square {
            left: left + (width - side) / 2.0,
            top: top + (height - side) / 2.0,
            side,
        }
    }

    /// Intersection over union with another rectangle, 0 to 1.
    pub fn iou(&self, other: &Rect) -> f32 {
        let width = (self.x1.min(other.x1) - self.x0.max(other.x0)).max(0.0);
        let height = (self.y1.min(other.y1) - self.y0.max(other.y0)).max(0.0);
        let both = width * height;
        let either = self.width() * self.height() + other.width() * other.height() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }
}

/// A square in pixels of a picture; it may reach beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Left edge, in pixels from the picture's left.
    pub left: f32,
    /// Top edge, in pixels from the picture's top.
    pub top: f32,
    /// Side, in pixels.
    pub side: f32,
}

/// A rectangle in pixels of a picture; it may reach beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Left edge, in pixels from the picture's left.
    pub left: f32,
    /// Top edge, in pixels from the picture's top.
    pub top: f32,
    /// Width, in pixels.
    pub width: f32,
    /// Height, in pixels.
    pub height: f32,
}

impl From<Square> for Region {
    fn from(square: Square) -> Region {
        Region {
            left: square.left,
            top: square.top,
            width: square.side,
            height: square.side,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_once_its_frame_is_dropped() {
        let pool = FramePool::new();
        let fill = |frame: &mut Frame| {
            frame.resize(64, 48);
            Ok::<(), ()>(())
        };
        let first = pool.fill(fill).unwrap();
        let at = first.pixels.as_ptr();
        let second = pool.fill(fill).unwrap();
        assert_ne!(second.pixels.as_ptr(), at, "a held frame was overwritten");
        drop(first);
        assert_eq!(pool.fill(fill).unwrap().pixels.as_ptr(), at);
    }

    #[test]
    fn a_wide_box_becomes_a_centred_square_of_its_larger_side() {
        let rect = Rect {
            x0: 0.25,
            y0: 0.5,
            x1: 0.75,
            y1: 0.6,
        };
        let square = rect.square(1.5, 640, 480);
        assert_eq!(square.side, 480.0);
        assert_eq!((square.left, square.top), (80.0, 24.0));
    }

    #[test]
    fn overlap_is_one_for_the_same_box_and_zero_for_boxes_apart() {
        let left = Rect {
            x1: 0.5,
            ..Rect::FULL
        };
        let right = Rect {
            x0: 0.5,
            ..Rect::FULL
        };
        assert_eq!(left.iou(&left), 1.0);
        assert_eq!(left.iou(&right), 0.0);
        assert_eq!(left.iou(&Rect::FULL), 0.5);
    }
}

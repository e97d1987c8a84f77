//! The box on the video that a signer puts the hand into, and moving it.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::base::frame::{Frame, Rect};

/// How far a key press moves the box, as a share of the picture.
const STEP: f32 = 0.02;

/// How much a key press enlarges the box.
const GROWTH: f32 = 1.06;

/// Smallest and largest side, as shares of the picture's shorter side.
const SIDES: (f32, f32) = (0.15, 1.0);

/// A square box in a picture of any proportions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guide {
    /// Its centre, as a share of the picture's width.
    x: f32,
    /// Its centre, as a share of the picture's height.
    y: f32,
    /// Its side, as a share of the picture's shorter side.
    side: f32,
}

impl Default for Guide {
    /// For somebody who sits before the camera and raises the right hand beside the face: left of
    /// the middle in the camera's picture, right of it in a mirror.
    fn default() -> Self {
        Guide {
            x: 0.26,
            y: 0.5,
            side: 0.48,
        }
    }
}

impl Guide {
    /// A box around the middle of `rect`, as high, in pictures that are wider than high.
    pub fn around(rect: Rect) -> Guide {
        Guide {
            x: (rect.x0 + rect.x1) / 2.0,
            y: (rect.y0 + rect.y1) / 2.0,
            side: rect.height().clamp(SIDES.0, SIDES.1),
        }
    }

    /// The box in fractions of a picture of `width` x `height` pixels, wholly inside it.
    pub fn rect(&self, width: usize, height: usize) -> Rect {
        let (width, height) = (width.max(1) as f32, height.max(1) as f32);
        let side = self.side * width.min(height);
        let (half_x, half_y) = (side / width / 2.0, side / height / 2.0);
        let x = self.x.clamp(half_x, 1.0 - half_x);
        let y = self.y.clamp(half_y, 1.0 - half_y);
        Rect {
            x0: x - half_x,
            y0: y - half_y,
            x1: x + half_x,
            y1: y + half_y,
        }
    }

    /// Moves it by shares of the picture's width and height, as far as there is room in a picture
    /// of `width` x `height` pixels.
    pub fn shift(&mut self, dx: f32, dy: f32, width: usize, height: usize) {
        let rect = self.rect(width, height);
        let (half_x, half_y) = (rect.width() / 2.0, rect.height() / 2.0);
        self.x = ((rect.x0 + rect.x1) / 2.0 + dx).clamp(half_x, 1.0 - half_x);
        self.y = ((rect.y0 + rect.y1) / 2.0 + dy).clamp(half_y, 1.0 - half_y);
    }

    /// Makes it `factor` times as large, within limits.
    pub fn scale(&mut self, factor: f32) {
        self.side = (self.side * factor).clamp(SIDES.0, SIDES.1);
    }
}

/// A guide box that the window moves and the recognizer reads.
#[derive(Debug, Clone, Default)]
pub struct SharedGuide(Arc<Mutex<Guide>>);

impl SharedGuide {
    /// A guide box that starts there.
    pub fn new(guide: Guide) -> SharedGuide {
        SharedGuide(Arc::new(Mutex::new(guide)))
    }

    fn lock(&self) -> MutexGuard<'_, Guide> {
        self.0.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// The box as it is now.
    pub fn get(&self) -> Guide {
        *self.lock()
    }

    /// Moves it by key presses, as the person before the screen sees it: in the picture of `frame`,
    /// mirrored or not.
    pub fn step(&self, right: f32, down: f32, mirror: bool, frame: &Frame) {
        let right = if mirror { -right } else { right };
        let (dx, dy) = (right * STEP, down * STEP);
        self.change(|guide| guide.shift(dx, dy, frame.width, frame.height));
    }

    /// Makes it larger by key presses, or smaller where `steps` is below 0.
    pub fn grow(&self, steps: f32) {
        self.change(|guide| guide.scale(GROWTH.powf(steps)));
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Guide)) {
        change(&mut self.lock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_square_in_pictures_of_any_proportions() {
        for (width, height) in [(640, 480), (1280, 720), (480, 640), (200, 200)] {
            let rect = Guide::default().rect(width, height);
            let (w, h) = (rect.width() * width as f32, rect.height() * height as f32);
            assert!((w - h).abs() < 0.01, "{w} x {h} in {width}x{height}");
        }
    }

    #[test]
    fn a_box_of_a_given_place_is_as_high_as_asked_for() {
        let asked = Rect {
            x0: 0.5,
            y0: 0.2,
            x1: 0.8,
            y1: 0.6,
        };
        let rect = Guide::around(asked).rect(640, 480);
        assert!((rect.y0 - 0.2).abs() < 1e-5 && (rect.y1 - 0.6).abs() < 1e-5);
        assert!((rect.x0 - 0.5).abs() < 1e-5, "{rect:?}");
    }

    #[test]
    fn the_box_stops_at_the_pictures_edges() {
        let mut guide = Guide::default();
        for _ in 0..100 {
            guide.shift(0.05, -0.05, 640, 480);
        }
        let rect = guide.rect(640, 480);
        assert!(
            (rect.x1 - 1.0).abs() < 1e-5 && rect.y0.abs() < 1e-5,
            "{rect:?}"
        );
        guide.shift(-0.05, 0.0, 640, 480);
        assert!(guide.rect(640, 480).x1 < 0.96, "it comes back at once");
    }

    #[test]
    fn the_box_keeps_a_useful_size() {
        let mut guide = Guide::default();
        for _ in 0..100 {
            guide.scale(1.1);
        }
        let rect = guide.rect(640, 480);
        assert!((rect.height() - 1.0).abs() < 1e-5 && rect.width() < 1.0);
        for _ in 0..100 {
            guide.scale(0.9);
        }
        assert!((guide.rect(640, 480).height() - SIDES.0).abs() < 1e-5);
    }
}

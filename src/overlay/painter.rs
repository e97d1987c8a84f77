//! What panels are made of: lengths, text, bars.
//!
//! Sizes are for a canvas of 640x480 and grow with it.

use std::fmt::{self, Write};

use super::Scene;
use super::canvas::{Area, Canvas, Ink};
use super::inks::{SMALLEST, TRACK};
use super::text::{Face, Style, Type};

/// On small canvases the panels stop shrinking, since nobody could read them.
const SMALLEST_SCALE: f32 = 0.5;

/// Draws one scene.
pub(super) struct Painter<'a, 'c> {
    pub(super) text: &'a mut Type,
    line: &'a mut String,
    pub(super) canvas: &'a mut Canvas<'c>,
    pub(super) scene: &'a Scene<'a>,
    /// Pixels of the canvas to a pixel of 640x480.
    pub(super) scale: f32,
}

impl<'a, 'c> Painter<'a, 'c> {
    pub fn new(
        text: &'a mut Type,
        line: &'a mut String,
        canvas: &'a mut Canvas<'c>,
        scene: &'a Scene<'a>,
    ) -> Self {
        let scale = (canvas.height as f32 / 480.0).min(canvas.width as f32 / 640.0);
        let scale = scale.max(SMALLEST_SCALE);
        Painter {
            text,
            line,
            canvas,
            scene,
            scale,
        }
    }

    /// A length for 640x480 in this canvas' pixels.
    pub(super) fn px(&self, length: f32) -> i32 {
        ((length * self.scale).round() as i32).max(1)
    }

    pub(super) fn style(&self, face: Face, size: f32) -> Style {
        Style {
            face,
            size: (size * self.scale).max(SMALLEST),
        }
    }

    /// Writes a line whose capitals are centred on the height `middle`; returns its end.
    pub(super) fn write(&mut self, x: f32, middle: f32, style: Style, ink: Ink, line: &str) -> f32 {
        let baseline = middle + self.text.cap_height(style) / 2.0;
        self.text.draw(self.canvas, (x, baseline), style, ink, line)
    }

    /// As [`Self::write`], ending at `right`.
    pub(super) fn write_right(
        &mut self,
        right: f32,
        middle: f32,
        style: Style,
        ink: Ink,
        line: &str,
    ) {
        let x = right - self.text.width(style, line);
        self.write(x, middle, style, ink, line);
    }

    /// Formats into the reused line and hands it to `use_line`.
    pub(super) fn with_line(
        &mut self,
        what: fmt::Arguments,
        use_line: impl FnOnce(&mut Self, &str),
    ) {
        let mut line = std::mem::take(self.line);
        line.clear();
        // Writing to a String cannot fail.
        let _ = line.write_fmt(what);
        use_line(self, &line);
        *self.line = line;
    }

    pub(super) fn panel(&mut self, area: Area, ink: Ink) {
        let radius = 8.0 * self.scale;
        self.canvas.fill_rounded(area, radius, ink);
    }

    /// A level bar centred on the height `middle`, filled to `part` of its length.
    pub(super) fn bar(
        &mut self,
        left: f32,
        right: f32,
        middle: f32,
        thick: f32,
        part: f32,
        ink: Ink,
    ) {
        let thick = self.px(thick).max(2);
        let (left, right) = (left.round() as i32, right.round() as i32);
        if right - left < thick {
            return;
        }
        let y = (middle - thick as f32 / 2.0).round() as i32;
        let track = Area::new(left, y, right - left, thick);
        self.canvas.fill_rounded(track, 99.0, TRACK);
        let part = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let width = (track.width as f32 * part).round() as i32;
        if width > 0 {
            let width = width.max(thick).min(track.width);
            self.canvas.fill_rounded(Area { width, ..track }, 99.0, ink);
        }
    }
}

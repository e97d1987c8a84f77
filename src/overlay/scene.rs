//! The picture, the box around the hand, and what panels are made of.
//!
//! Sizes are for a canvas of 640x480 and grow with it.

use std::fmt::{self, Write};

use super::Scene;
use super::canvas::{Area, Canvas, Ink, Placement};
use super::practice::Asked;
use super::skeleton::Skeleton;
use super::text::{Face, Style, Type};
use crate::base::frame::Rect;

pub(super) const WHITE: Ink = Ink::solid(0xf5_f7fa);
pub(super) const DIM: Ink = Ink::solid(0xb4_bcc8);
pub(super) const ACCENT: Ink = Ink::solid(0x5e_ead4);
pub(super) const RED: Ink = Ink::solid(0xff_4d4f);
/// Behind text: dark enough for white text on a white picture.
pub(super) const PANEL: Ink = Ink {
    rgb: 0x0b_0e14,
    opacity: 196,
};
/// Behind the list of keys, which covers the picture.
pub(super) const SHEET: Ink = Ink {
    opacity: 226,
    ..PANEL
};
/// The empty part of a bar.
pub(super) const TRACK: Ink = Ink {
    rgb: 0xff_ffff,
    opacity: 48,
};
/// Around the box, so that it shows on light pictures.
pub(super) const HALO: Ink = Ink {
    rgb: 0x00_0000,
    opacity: 110,
};

/// Text is never drawn smaller than this many pixels to an em; what does not fit is left out.
pub(super) const SMALLEST: f32 = 10.0;

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

    pub fn paint(mut self, asked: &mut Asked, skeleton: &mut Skeleton) {
        if self.scene.chart {
            if self.scene.help {
                self.keys();
            }
            return;
        }
        let placement = self.canvas.picture(self.scene.frame, self.scene.mirror);
        self.frame_box(placement);
        if self.scene.joints
            && let Some(joints) = skeleton.update(self.scene.reading)
        {
            self.skeleton(joints, placement);
        }
        let card = match &self.scene.tally {
            Some(tally) => {
                let card = self.tally(tally);
                self.counts(tally, card.y);
                card
            }
            None => self.reading(),
        };
        self.figures(card.y);
        self.stages(card.y);
        self.recording();
        self.practice(asked);
        let lowest = self.spelled(card.right());
        self.notice(card.right(), lowest);
        if self.scene.help {
            self.keys();
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

    /// The found hand's box, or else the guide's corners.
    fn frame_box(&mut self, placement: Placement) {
        let hand = self.scene.reading.and_then(|reading| reading.hand);
        let (rect, ink) = match (hand, self.scene.guide) {
            (Some(hand), _) => (hand, ACCENT),
            (None, Some(guide)) => (guide, WHITE),
            (None, None) => return,
        };
        let area = on_screen(rect, self.scene.mirror, placement);
        if area.width < 4 || area.height < 4 {
            return;
        }
        let thick = self.px(2.5).max(2);
        let reach = (area.width.min(area.height) / 5).max(thick);
        if hand.is_some() {
            self.hairline(
                area,
                Ink {
                    opacity: 110,
                    ..ink
                },
            );
        }
        for ink in [HALO, ink] {
            let grow = i32::from(ink == HALO);
            for (right, bottom) in [(false, false), (true, false), (false, true), (true, true)] {
                self.corner(area, (right, bottom), thick, reach, grow, ink);
            }
        }
    }

    /// One corner of a box: a level bar and, without covering it, an upright one; both `grow`
    /// pixels larger to all sides.
    fn corner(
        &mut self,
        area: Area,
        (right, bottom): (bool, bool),
        thick: i32,
        reach: i32,
        grow: i32,
        ink: Ink,
    ) {
        let bar = thick + 2 * grow;
        let level = Area::new(
            if right {
                area.right() - reach - grow
            } else {
                area.x - grow
            },
            if bottom {
                area.bottom() - thick - grow
            } else {
                area.y - grow
            },
            reach + 2 * grow,
            bar,
        );
        let upright = Area::new(
            if right {
                area.right() - thick - grow
            } else {
                area.x - grow
            },
            if bottom {
                area.bottom() - reach - grow
            } else {
                level.bottom()
            },
            bar,
            reach - thick,
        );
        self.canvas.fill(level, ink);
        self.canvas.fill(upright, ink);
    }

    /// A thin line around a box.
    fn hairline(&mut self, area: Area, ink: Ink) {
        let thin = self.px(1.0);
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        self.canvas.fill(Area::new(x, y, width, thin), ink);
        self.canvas
            .fill(Area::new(x, area.bottom() - thin, width, thin), ink);
        self.canvas
            .fill(Area::new(x, y + thin, thin, height - 2 * thin), ink);
        let right = area.right() - thin;
        self.canvas
            .fill(Area::new(right, y + thin, thin, height - 2 * thin), ink);
    }
}

/// A box of the frame in the canvas' pixels.
fn on_screen(rect: Rect, mirror: bool, placement: Placement) -> Area {
    let (x0, x1) = if mirror {
        (1.0 - rect.x1, 1.0 - rect.x0)
    } else {
        (rect.x0, rect.x1)
    };
    let Area {
        x,
        y,
        width,
        height,
    } = placement.area;
    // Far outside is as good as outside; the bound keeps sums of coordinates small.
    let at = |from: i32, size: i32, part: f32| {
        from + (size as f32 * part.clamp(-4.0, 5.0)).round() as i32
    };
    let (left, top) = (at(x, width, x0), at(y, height, rect.y0));
    let (right, bottom) = (at(x, width, x1), at(y, height, rect.y1));
    Area::new(left, top, right - left, bottom - top)
}

//! The panel with what each stage took.

use super::canvas::Area;
use super::inks::{DIM, PANEL, WHITE};
use super::painter::Painter;
use super::text::Face;
use crate::stats::Times;

/// What the columns of numbers are.
const COLUMNS: [&str; 4] = ["p50", "p95", "p99", "max"];

impl Painter<'_, '_> {
    /// Percentiles of each stage in milliseconds, at the right edge below what is written there,
    /// unless they would reach `bottom` or leave no half of the picture free.
    pub(super) fn stages(&mut self, bottom: i32) {
        let stages = self.scene.stages;
        if stages.is_empty() {
            return;
        }
        let style = self.style(Face::Text, 11.0);
        let row = (style.size * 1.36).round();
        let (margin, pad) = (self.px(12.0), self.px(9.0));
        let names = stages.iter().map(|(name, _)| *name).chain(["ms"]);
        let name = names
            .map(|name| self.text.width(style, name))
            .fold(0.0, f32::max);
        let column = self.text.width(style, "00000.0");
        let width = (name + column * COLUMNS.len() as f32).ceil() as i32 + 2 * pad;
        let height = (row * (stages.len() as f32 + 0.8)) as i32 + 2 * pad;
        // The light of a recording is above.
        let top = margin + self.px(34.0);
        let area = Area::new(
            self.canvas.width as i32 - margin - width,
            top,
            width,
            height,
        );
        if area.bottom() + margin / 2 > bottom || width > self.canvas.width as i32 / 2 {
            return;
        }
        self.panel(area, PANEL);
        let left = (area.x + pad) as f32;
        let right = |at: usize| left + name + column * (at + 1) as f32;
        let first = area.y as f32 + pad as f32 + row * 0.4;
        self.write(left, first, style, DIM, "ms");
        for (at, title) in COLUMNS.into_iter().enumerate() {
            self.write_right(right(at), first, style, DIM, title);
        }
        for (line, (name, times)) in stages.iter().enumerate() {
            let y = first + row * (line + 1) as f32;
            self.write(left, y, style, DIM, name);
            let Times {
                p50_ms,
                p95_ms,
                p99_ms,
                max_ms,
                ..
            } = times;
            for (at, ms) in [p50_ms, p95_ms, p99_ms, max_ms].into_iter().enumerate() {
                self.with_line(format_args!("{ms:.1}"), |painter, line| {
                    painter.write_right(right(at), y, style, WHITE, line);
                });
            }
        }
    }
}

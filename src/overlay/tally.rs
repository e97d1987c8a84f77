//! What a collector of pictures sees in place of a reading: the label, and what there is of each.

use super::Tally;
use super::canvas::Area;
use super::scene::{ACCENT, DIM, PANEL, Painter, WHITE};
use super::text::{Face, Style};

/// The most columns of the table of counts.
const COLUMNS: usize = 9;

impl Painter<'_, '_> {
    /// The label whose pictures are taken, at the lower left. Returns the panel's place.
    pub(super) fn tally(&mut self, tally: &Tally) -> Area {
        let margin = self.px(12.0);
        let pad = self.px(12.0);
        let tile = self.px(84.0);
        let column = self.px(112.0);
        let height = tile + 2 * pad;
        let area = Area::new(
            margin,
            self.canvas.height as i32 - margin - height,
            tile + column + 3 * pad,
            height,
        );
        self.panel(area, PANEL);
        let middle_x = (area.x + pad) as f32 + tile as f32 / 2.0;
        let middle_y = area.y as f32 + height as f32 / 2.0;
        self.big(tally.label, middle_x, middle_y, tile as f32);
        let left = (area.x + tile + 2 * pad) as f32;
        let right = (area.right() - pad) as f32;
        let line = |painter: &Self, at: f32| area.y as f32 + at * painter.scale;
        let style = self.style(Face::Display, 24.0);
        let (own, y) = (tally.own(), line(self, 27.0));
        self.with_line(format_args!("{own}"), |painter, line| {
            painter.write(left, y, style, WHITE, line);
        });
        let style = self.style(Face::Text, 14.0);
        let y = line(self, 52.0);
        let word = if own == 1 { "picture" } else { "pictures" };
        self.write(left, y, style, DIM, word);
        if let Some((taken, most)) = tally.take {
            let part = taken as f32 / most.max(1) as f32;
            self.bar(left, right, line(self, 82.0), 6.0, part, ACCENT);
        }
        area
    }

    /// Every label with its number of pictures, and where they go, at the upper left, as far as
    /// there is room above `bottom`.
    pub(super) fn counts(&mut self, tally: &Tally, bottom: i32) {
        let style = self.style(Face::Text, 12.5);
        let row = (style.size * 1.5).round();
        let margin = self.px(12.0);
        let pad = self.px(9.0);
        let gap = style.size * 0.5;
        let mut name = 0.0_f32;
        for (label, _) in tally.counts {
            name = name.max(self.text.width(style, label));
        }
        let number = self.text.width(style, "000");
        let cell = name + gap + number + 1.4 * style.size;
        // The recording light lies to the right.
        let widest = self.canvas.width as f32 * 0.8 - (2 * pad) as f32;
        let fitting = (widest / cell) as usize;
        let columns = fitting.clamp(1, COLUMNS).min(tally.counts.len().max(1));
        let rows = tally.counts.len().div_ceil(columns);
        let place = self.fitting_end(tally.place, style, widest);
        let cut = place.len() < tally.place.len();
        let ellipsis = if cut { "…" } else { "" };
        let table = cell * columns as f32 - 1.4 * style.size;
        let width = table.max(self.text.width(style, ellipsis) + self.text.width(style, place));
        let area = Area::new(
            margin,
            margin,
            width.ceil() as i32 + 2 * pad,
            (row * (rows + 1) as f32) as i32 + 2 * pad - (row * 0.3) as i32,
        );
        if area.bottom() + margin / 2 > bottom {
            return;
        }
        self.panel(area, PANEL);
        let left = (area.x + pad) as f32;
        let middle = |at: usize| area.y as f32 + pad as f32 + row * (at as f32 + 0.35);
        for (at, (label, count)) in tally.counts.iter().enumerate() {
            let x = left + cell * (at % columns) as f32;
            let y = middle(at / columns);
            let chosen = **label == *tally.label;
            let ink = match (chosen, count) {
                (true, _) => ACCENT,
                (false, 0) => DIM,
                (false, _) => WHITE,
            };
            self.write(x, y, style, ink, label);
            self.with_line(format_args!("{count}"), |painter, line| {
                painter.write_right(x + name + gap + number, y, style, ink, line);
            });
        }
        let x = self.write(left, middle(rows), style, DIM, ellipsis);
        self.write(x, middle(rows), style, DIM, place);
    }

    /// The longest end of a line that fits into `room` pixels behind an ellipsis, or all of it.
    fn fitting_end<'t>(&self, line: &'t str, style: Style, room: f32) -> &'t str {
        if self.text.width(style, line) <= room {
            return line;
        }
        let room = room - self.text.width(style, "…");
        let mut ends = line.char_indices().map(|(at, _)| &line[at..]);
        ends.find(|end| self.text.width(style, end) <= room)
            .unwrap_or_default()
    }
}

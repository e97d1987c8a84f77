//! What a collector of pictures sees in place of a reading: the label, and what there is of each.

use super::Tally;
use super::canvas::Area;
use super::inks::{ACCENT, DIM, PANEL, WHITE};
use super::painter::Painter;
use super::panels::Card;
use super::text::{Face, Style};

/// The most columns of the table of counts.
const COLUMNS: usize = 9;

/// Fills the lines of a table from the left.
struct Flow {
    columns: usize,
    line: usize,
    used: usize,
}

impl Flow {
    fn new(columns: usize) -> Self {
        Flow {
            columns,
            line: 0,
            used: 0,
        }
    }

    /// The line and the first column of what takes `wide` columns.
    fn place(&mut self, wide: usize) -> (usize, usize) {
        if self.used + wide > self.columns {
            (self.line, self.used) = (self.line + 1, 0);
        }
        let first = self.used;
        self.used += wide;
        (self.line, first)
    }
}

impl Painter<'_, '_> {
    /// The label whose pictures are taken, at the lower left. Returns the panel's place.
    pub(super) fn tally(&mut self, tally: &Tally) -> Area {
        let Card {
            area,
            middle: (middle_x, middle_y),
            tile,
            left,
            right,
        } = self.card(112.0);
        self.big(tally.label, middle_x, middle_y, tile);
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
        let (gap, between) = (style.size * 0.5, style.size * 1.3);
        let number = self.text.width(style, "000");
        let cell = self.text.width(style, "W") + gap + number + between;
        // The recording light lies to the right.
        let widest = self.canvas.width as f32 * 0.8 - (2 * pad) as f32;
        let columns = ((widest / cell) as usize).clamp(1, COLUMNS);
        // Words take several cells, so that letters stand in columns whatever is among them.
        let cells = |painter: &Self, label: &str| {
            let width = painter.text.width(style, label) + gap + number + between;
            ((width / cell).ceil() as usize).clamp(1, columns)
        };
        let mut flow = Flow::new(columns);
        for (label, _) in tally.counts {
            flow.place(cells(self, label));
        }
        let lines = flow.line + 1;
        let table = cell * columns as f32 - between;
        let place = self.fitting_end(tally.place, style, table);
        let cut = place.len() < tally.place.len();
        let area = Area::new(
            margin,
            margin,
            table.ceil() as i32 + 2 * pad,
            (row * (lines + 1) as f32) as i32 + 2 * pad - (row * 0.3) as i32,
        );
        if area.bottom() + margin / 2 > bottom {
            return;
        }
        self.panel(area, PANEL);
        let left = (area.x + pad) as f32;
        let middle = |at: usize| area.y as f32 + pad as f32 + row * (at as f32 + 0.35);
        let mut flow = Flow::new(columns);
        for (label, count) in tally.counts {
            let wide = cells(self, label);
            let (line, first) = flow.place(wide);
            let ink = match (**label == *tally.label, count) {
                (true, _) => ACCENT,
                (false, 0) => DIM,
                (false, _) => WHITE,
            };
            let x = left + cell * first as f32;
            let right = left + cell * (first + wide) as f32 - between;
            self.write(x, middle(line), style, ink, label);
            self.with_line(format_args!("{count}"), |painter, text| {
                painter.write_right(right, middle(line), style, ink, text);
            });
        }
        let ellipsis = if cut { "…" } else { "" };
        let x = self.write(left, middle(lines), style, DIM, ellipsis);
        self.write(x, middle(lines), style, DIM, place);
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

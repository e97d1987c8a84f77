//! What was spelled, at the lower edge right of the reading.

use super::Spelled;
use super::canvas::Area;
use super::inks::{ACCENT, DIM, PANEL, TRACK, WHITE};
use super::painter::Painter;
use super::text::{Face, Style, Type};

/// Stands for what was spelled before the part that is shown.
const BEFORE: &str = "…";

impl Painter<'_, '_> {
    /// The end of the text, as much as there is room for, letters that may still change in another colour, a caret, the letter that is being held,
    /// and above them words to choose from. Returns the upper edge of what it drew: that of the
    /// margin where it drew nothing.
    pub(super) fn spelled(&mut self, from: i32) -> i32 {
        let margin = self.px(12.0);
        let bottom = self.canvas.height as i32 - margin;
        let Some(spelled) = self.scene.spelled else {
            return bottom;
        };
        let height = self.px(44.0);
        let right = self.canvas.width as i32 - margin;
        let area = Area::new(
            from + margin,
            bottom - height,
            right - from - margin,
            height,
        );
        if area.width < height * 2 || area.y < 0 {
            return bottom;
        }
        self.panel(area, PANEL);
        let pad = self.px(12.0);
        let style = self.style(Face::Display, 22.0);
        let middle = area.y as f32 + height as f32 / 2.0;
        let left = (area.x + pad) as f32;
        let gap = self.px(6.0) as f32;
        let caret = self.px(2.0);
        let pending = spelled.pending.map(|(letter, part)| {
            let width = self.text.width(style, letter).max(18.0 * self.scale);
            (letter, part, width)
        });
        let held = pending.map_or(0.0, |(_, _, width)| width + gap);
        let room = (area.right() - pad) as f32 - left - held - gap - caret as f32;
        let end = last_part(self.text, style, room, spelled.text);
        let mut x = left;
        if end.len() < spelled.text.len() {
            x = self.write(x, middle, style, DIM, BEFORE);
        }
        let settled = end.len().saturating_sub(spelled.open);
        let (settled, open) = end.split_at_checked(settled).unwrap_or((end, ""));
        x = self.write(x, middle, style, WHITE, settled);
        x = self.write(x, middle, style, ACCENT, open) + gap / 2.0;
        let tall = (self.text.cap_height(style) * 1.5).round() as i32;
        let stroke = Area::new(x.round() as i32, middle as i32 - tall / 2, caret, tall);
        self.canvas.fill(stroke, ACCENT);
        x += caret as f32 + gap / 2.0;
        if let Some((letter, part, width)) = pending {
            let inset = (width - self.text.width(style, letter)) / 2.0;
            self.write(x + inset.max(0.0), middle, style, DIM, letter);
            let low = area.bottom() as f32 - 6.0 * self.scale;
            self.bar(x, x + width, low, 4.0, part, ACCENT);
        }
        self.words(spelled, area)
    }

    /// Words that the one being spelled may become, in a row above `strip`, as many as there is
    /// room for. Returns their upper edge, or that of the strip.
    fn words(&mut self, spelled: Spelled, strip: Area) -> i32 {
        let style = self.style(Face::Text, 14.0);
        let pad = self.px(9.0);
        let gap = self.px(6.0);
        let height = (style.size * 1.9).round() as i32;
        let top = strip.y - gap - height;
        let middle = top as f32 + height as f32 / 2.0;
        let mut x = strip.x;
        for (at, word) in spelled.words.iter().enumerate() {
            // The first one is had by a key, which is shown with it.
            let key = if at == 0 { "Tab" } else { "" };
            let cap = match key {
                "" => 0,
                key => self.text.width(style, key).ceil() as i32 + 2 * gap,
            };
            let width = self.text.width(style, word).ceil() as i32 + cap + 2 * pad;
            if x + width > strip.right() {
                break;
            }
            self.panel(Area::new(x, top, width, height), PANEL);
            if cap > 0 {
                let tall = (style.size * 1.4).round() as i32;
                let area = Area::new(x + gap, middle as i32 - tall / 2, cap, tall);
                self.canvas.fill_rounded(area, 5.0 * self.scale, TRACK);
                self.write((x + 2 * gap) as f32, middle, style, DIM, key);
            }
            let ink = if at == 0 { WHITE } else { DIM };
            self.write((x + pad + cap) as f32, middle, style, ink, word);
            x += width + gap;
        }
        if x > strip.x { top } else { strip.y }
    }
}

/// The end of a line that fits into `room` pixels, with [`BEFORE`] before it where it is not whole.
fn last_part<'t>(text: &Type, style: Style, room: f32, line: &'t str) -> &'t str {
    if text.width(style, line) <= room {
        return line;
    }
    let mut left = room - text.width(style, BEFORE);
    let mut start = line.len();
    for (at, letter) in line.char_indices().rev() {
        let mut bytes = [0; 4];
        left -= text.width(style, letter.encode_utf8(&mut bytes));
        if left < 0.0 {
            break;
        }
        start = at;
    }
    line.get(start..).unwrap_or_default()
}

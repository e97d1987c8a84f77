//! The panels over the video: the reading at the lower left, rates and times at the upper left, the
//! recording light at the upper right, messages at the lower right, the keys in the middle.

use std::fmt;

use super::Figures;
use super::canvas::Area;
use super::inks::{ACCENT, DIM, PANEL, RED, SHEET, SMALLEST, TRACK, WHITE};
use super::painter::Painter;
use super::text::{Face, Style, Type};
use crate::recognize::Reading;

/// The label of the class that is no letter.
const NOTHING: &str = "nothing";

/// The panel at the lower left.
pub(super) struct Card {
    pub area: Area,
    /// Of the big letter.
    pub middle: (f32, f32),
    /// The side of the square that the big letter fits into.
    pub tile: f32,
    /// Where the column beside it begins and ends.
    pub left: f32,
    pub right: f32,
}

/// What is said where no class is shown: some networks know no letters.
fn unsure(reading: Option<&Reading>) -> &'static str {
    let is_word = |label: &str| label != NOTHING && label.chars().count() > 1;
    let words = reading.is_some_and(|reading| reading.top.iter().any(|(label, _)| is_word(label)));
    match words {
        true => "not sure",
        false => "no letter",
    }
}

impl Painter<'_, '_> {
    /// The panel at the lower left, with room for a big letter and a column beside it of so many
    /// pixels of 640x480.
    pub(super) fn card(&mut self, column: f32) -> Card {
        let margin = self.px(12.0);
        let pad = self.px(12.0);
        let tile = self.px(84.0);
        let height = tile + 2 * pad;
        let area = Area::new(
            margin,
            self.canvas.height as i32 - margin - height,
            tile + self.px(column) + 3 * pad,
            height,
        );
        self.panel(area, PANEL);
        Card {
            area,
            middle: (
                (area.x + pad) as f32 + tile as f32 / 2.0,
                area.y as f32 + height as f32 / 2.0,
            ),
            tile: tile as f32,
            left: (area.x + tile + 2 * pad) as f32,
            right: (area.right() - pad) as f32,
        }
    }

    /// The letter, how sure it is, and what else it could be. Returns the panel's place.
    pub(super) fn reading(&mut self) -> Area {
        let Card {
            area,
            middle: (middle_x, middle_y),
            tile,
            left,
            right,
        } = self.card(128.0);

        let shown = self.scene.reading.and_then(|reading| {
            let letter = reading
                .letter
                .as_deref()
                .filter(|letter| *letter != NOTHING)?;
            Some((reading, letter))
        });
        match shown {
            Some((reading, letter)) => {
                self.big(letter, middle_x, middle_y, tile);
                self.confidence(reading.confidence, area, left, right);
            }
            None => {
                let dash = Area::new(
                    middle_x as i32 - self.px(16.0),
                    middle_y as i32 - self.px(2.5),
                    self.px(32.0),
                    self.px(5.0),
                );
                self.canvas.fill_rounded(dash, 99.0, DIM);
                let style = self.style(Face::Text, 15.0);
                let y = area.y as f32 + 26.0 * self.scale;
                self.write(left, y, style, DIM, unsure(self.scene.reading));
                self.bar(
                    left,
                    right,
                    area.y as f32 + 47.0 * self.scale,
                    6.0,
                    0.0,
                    ACCENT,
                );
            }
        }
        let is_nothing = |reading: &Reading| match reading.top.first() {
            Some((label, _)) => &**label == NOTHING,
            None => true,
        };
        if let Some(reading) = self.scene.reading
            && !is_nothing(reading)
        {
            self.runners_up(reading, shown.map(|(_, letter)| letter), area, left, right);
        }
        area
    }

    /// A letter, or a class named by a word, as large as fits into a square of side `tile`.
    pub(super) fn big(&mut self, letter: &str, middle_x: f32, middle_y: f32, tile: f32) {
        let full = Style {
            face: Face::Display,
            size: (tile * 1.12).max(SMALLEST),
        };
        let width = self.text.width(full, letter);
        // Steps of an eighth keep the number of sizes in the glyph cache small.
        let shrink = ((tile / width * 8.0).floor() / 8.0).clamp(0.125, 1.0);
        let style = Style {
            size: (full.size * shrink).max(SMALLEST),
            ..full
        };
        let x = middle_x - self.text.width(style, letter) / 2.0;
        self.write(x, middle_y, style, WHITE, letter);
    }

    fn confidence(&mut self, confidence: f32, area: Area, left: f32, right: f32) {
        let style = self.style(Face::Display, 24.0);
        let y = area.y as f32 + 25.0 * self.scale;
        self.with_line(format_args!("{}%", percent(confidence)), |painter, line| {
            painter.write(left, y, style, WHITE, line);
        });
        self.bar(
            left,
            right,
            area.y as f32 + 47.0 * self.scale,
            6.0,
            confidence,
            ACCENT,
        );
    }

    /// The two most probable letters besides the one shown.
    fn runners_up(
        &mut self,
        reading: &Reading,
        shown: Option<&str>,
        area: Area,
        left: f32,
        right: f32,
    ) {
        let style = self.style(Face::Text, 14.0);
        let room = self.text.width(style, "100%");
        let name = 26.0 * self.scale;
        let others = reading
            .top
            .iter()
            .filter(|(label, _)| Some(&**label) != shown && &**label != NOTHING)
            .take(2);
        for (row, (label, probability)) in others.enumerate() {
            let y = area.y as f32 + (67.0 + 19.0 * row as f32) * self.scale;
            let end = self.write(left, y, style, DIM, label);
            let from = (left + name).max(end + 6.0 * self.scale);
            let to = right - room - 4.0 * self.scale;
            self.bar(from, to, y, 4.0, *probability, DIM);
            self.with_line(
                format_args!("{}%", percent(*probability)),
                |painter, line| {
                    painter.write_right(right, y, style, DIM, line);
                },
            );
        }
    }

    /// Rates and times, unless they would touch the reading at `bottom` or cover most of the width.
    pub(super) fn figures(&mut self, bottom: i32) {
        let Some(Figures {
            camera_fps,
            inference_fps,
            display_fps,
            infer,
            frame_age,
            dropped,
        }) = self.scene.figures
        else {
            return;
        };
        let style = self.style(Face::Text, 12.5);
        let row = (style.size * 1.36).round();
        let margin = self.px(12.0);
        let pad = self.px(9.0);
        let gap = style.size;
        let names = self.text.width(style, "inference time");
        let values = self.text.width(style, "000.0");
        let units = self.text.width(style, " fps");
        let area = Area::new(
            margin,
            margin,
            (names + gap + values + units).ceil() as i32 + 2 * pad,
            (row * 6.0) as i32 + 2 * pad - (row * 0.2) as i32,
        );
        let widest = self.canvas.width as i32 * 3 / 5;
        if area.bottom() + margin / 2 > bottom || area.width > widest {
            return;
        }
        self.panel(area, PANEL);
        let left = (area.x + pad) as f32;
        let value = left + names + gap + values;
        let rows: [(&str, f64, usize, &str); 6] = [
            ("camera", camera_fps, 1, " fps"),
            ("inference", inference_fps, 1, " fps"),
            ("display", display_fps, 1, " fps"),
            ("inference time", infer.as_secs_f64() * 1e3, 1, " ms"),
            ("frame age", frame_age.as_secs_f64() * 1e3, 1, " ms"),
            ("dropped", dropped as f64, 0, ""),
        ];
        for (at, (name, number, digits, unit)) in rows.into_iter().enumerate() {
            let y = area.y as f32 + pad as f32 + row * (at as f32 + 0.4);
            self.write(left, y, style, DIM, name);
            self.with_line(format_args!("{number:.digits$}"), |painter, line| {
                painter.write_right(value, y, style, WHITE, line);
            });
            self.write(value, y, style, DIM, unit);
        }
    }

    /// A red light: for how long it has been on, or how many pictures were taken.
    pub(super) fn recording(&mut self) {
        let take = self.scene.tally.and_then(|tally| tally.take);
        match (self.scene.recording, take) {
            (Some(time), _) => {
                let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
                self.light(format_args!("{minutes}:{seconds:02}"));
            }
            (None, Some((taken, most))) => self.light(format_args!("{taken} of {most}")),
            (None, None) => {}
        }
    }

    fn light(&mut self, what: fmt::Arguments) {
        let style = self.style(Face::Text, 14.0);
        self.with_line(what, |painter, line| {
            let margin = painter.px(12.0);
            let pad = painter.px(9.0);
            let dot = painter.px(10.0);
            let width = painter.text.width(style, line);
            let height = (style.size * 1.9).round() as i32;
            let full = width.ceil() as i32 + dot + 3 * pad;
            let area = Area::new(
                painter.canvas.width as i32 - margin - full,
                margin,
                full,
                height,
            );
            painter
                .canvas
                .fill_rounded(area, 99.0 * painter.scale, PANEL);
            let light = Area::new(area.x + pad, area.y + (height - dot) / 2, dot, dot);
            painter.canvas.fill_rounded(light, 99.0, RED);
            let middle = area.y as f32 + height as f32 / 2.0;
            painter.write((light.right() + pad) as f32, middle, style, WHITE, line);
        });
    }

    /// The message, or else the hint, right of the reading and above `lowest`.
    pub(super) fn notice(&mut self, from: i32, lowest: i32) {
        let (line, ink) = match (self.scene.message, self.scene.hint) {
            (Some(message), _) => (message, WHITE),
            (None, Some(hint)) => (hint, DIM),
            (None, None) => return,
        };
        let style = self.style(Face::Text, 14.0);
        let margin = self.px(12.0);
        let pad = self.px(11.0);
        let right = self.canvas.width as i32 - margin;
        let room = (right - from - margin - 2 * pad) as f32;
        let (mut lines, mut widest) = (0, 0.0_f32);
        let mut rest = line.trim();
        while !rest.is_empty() {
            let part = first_line(self.text, style, room, rest);
            rest = rest[part.len()..].trim_start();
            widest = widest.max(self.text.width(style, part));
            lines += 1;
        }
        if lines == 0 || widest > room {
            return;
        }
        let row = (style.size * 1.35).round();
        let stripe = if self.scene.message.is_some() {
            self.px(3.0)
        } else {
            0
        };
        let height = (row * lines as f32) as i32 + pad;
        let lowest = match lowest < self.canvas.height as i32 - margin {
            true => lowest - self.px(6.0),
            false => lowest,
        };
        let area = Area::new(
            right - widest.ceil() as i32 - 2 * pad,
            lowest - height,
            widest.ceil() as i32 + 2 * pad,
            height,
        );
        self.panel(area, PANEL);
        if stripe > 0 {
            let inset = self.px(6.0);
            let mark = Area::new(
                area.x + inset / 2,
                area.y + inset,
                stripe,
                height - 2 * inset,
            );
            self.canvas.fill_rounded(mark, 99.0, ACCENT);
        }
        let mut rest = line.trim();
        for at in 0..lines {
            let part = first_line(self.text, style, room, rest);
            let y = area.y as f32 + pad as f32 / 2.0 + row * (at as f32 + 0.5);
            rest = rest[part.len()..].trim_start();
            self.write((area.x + pad) as f32, y, style, ink, part);
        }
    }

    /// The list of keys, in the middle.
    pub(super) fn keys(&mut self) {
        let style = self.style(Face::Text, 15.0);
        let heading = self.style(Face::Display, 18.0);
        let pad = self.px(20.0);
        // As many keys as there may be fit.
        let room =
            (self.canvas.height as i32 - 2 * pad) as f32 / (self.scene.keys.len() as f32 + 1.2);
        let row = (style.size * 1.9).min(room).round();
        let cap_pad = self.px(7.0);
        let keys = self.scene.keys;
        let mut left_column = 0.0_f32;
        let mut right_column = 0.0_f32;
        for (key, meaning) in keys {
            left_column = left_column.max(self.text.width(style, key));
            right_column = right_column.max(self.text.width(style, meaning));
        }
        let left_column = left_column.ceil() as i32 + 2 * cap_pad;
        let width = left_column + pad + right_column.ceil() as i32 + 2 * pad;
        let height = (row * (keys.len() as f32 + 1.2)) as i32 + 2 * pad;
        let area = Area::new(
            (self.canvas.width as i32 - width) / 2,
            (self.canvas.height as i32 - height) / 2,
            width,
            height,
        );
        self.panel(area, SHEET);
        let top = (area.y + pad) as f32;
        self.write(
            (area.x + pad) as f32,
            top + row * 0.35,
            heading,
            WHITE,
            "Keys",
        );
        for (at, (key, meaning)) in keys.iter().enumerate() {
            let y = top + row * (at as f32 + 1.7);
            let key_width = self.text.width(style, key);
            let high = (style.size * 1.5).round() as i32;
            let cap = Area::new(
                area.x + pad,
                (y - high as f32 / 2.0).round() as i32,
                key_width.ceil() as i32 + 2 * cap_pad,
                high,
            );
            self.canvas.fill_rounded(cap, 5.0 * self.scale, TRACK);
            self.write((cap.x + cap_pad) as f32, y, style, WHITE, key);
            let x = (area.x + 2 * pad + left_column) as f32;
            self.write(x, y, style, DIM, meaning);
        }
    }
}

/// A probability in whole per cent: 100 only for what rounds to it from above 99.5.
fn percent(probability: f32) -> u32 {
    if probability.is_finite() {
        (probability.clamp(0.0, 1.0) * 100.0).round() as u32
    } else {
        0
    }
}

/// The beginning of `rest` that fits into `room` pixels, whole words only but at least one.
fn first_line<'t>(text: &Type, style: Style, room: f32, rest: &'t str) -> &'t str {
    let mut end = 0;
    for (at, _) in rest.match_indices(' ').chain([(rest.len(), "")]) {
        if end > 0 && text.width(style, &rest[..at]) > room {
            break;
        }
        end = at;
    }
    &rest[..end]
}

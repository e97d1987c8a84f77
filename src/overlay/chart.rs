//! A chart of how every letter is held, drawn once and kept: showing it costs a copy.

use super::canvas::{Area, Canvas, Ink};
use super::inks::{ACCENT, DIM, WHITE};
use super::text::{Face, Style, Type};
use crate::demo::{alphabet::LETTERS, show_letter};

/// Letters in a row.
const COLUMNS: usize = 7;
const ROWS: usize = LETTERS.len().div_ceil(COLUMNS);

/// Behind the hands.
const WALL: u32 = 0x1d_242d;
/// Between the cells.
pub(super) const GROUND: u32 = 0x0b_0e14;

/// Dots along the way of a fingertip.
const DOTS: usize = 240;

/// A chart for one size of canvas.
#[derive(Debug, Default)]
pub(super) struct Chart {
    width: usize,
    height: usize,
    mirror: bool,
    pixels: Vec<u32>,
}

impl Chart {
    /// Lays the chart over all of `canvas`. Hands are as `mirror` shows a right hand: whoever sees
    /// themselves as in a mirror, sees the chart so, too.
    pub fn lay(&mut self, text: &mut Type, canvas: &mut Canvas, mirror: bool) {
        let (width, height) = (canvas.width, canvas.height);
        if (self.width, self.height, self.mirror) != (width, height, mirror)
            || self.pixels.is_empty()
        {
            (self.width, self.height, self.mirror) = (width, height, mirror);
            self.draw(text);
        }
        for (pixel, drawn) in canvas.pixels.iter_mut().zip(&self.pixels) {
            *pixel = *drawn;
        }
    }

    fn draw(&mut self, text: &mut Type) {
        self.pixels.clear();
        self.pixels.resize(self.width * self.height, GROUND);
        let scale = (self.width as f32 / 640.0).min(self.height as f32 / 480.0);
        let gap = (4.0 * scale).round().max(1.0) as i32;
        let foot = (24.0 * scale).round() as i32;
        let (width, height) = (self.width as i32, self.height as i32 - foot);
        let mirror = self.mirror;
        let mut canvas = Canvas {
            width: self.width,
            height: self.height,
            pixels: &mut self.pixels,
        };
        for (at, letter) in LETTERS.iter().enumerate() {
            let (column, row) = ((at % COLUMNS) as i32, (at / COLUMNS) as i32);
            let left = gap + (width - gap) * column / COLUMNS as i32;
            let top = gap + (height - gap) * row / ROWS as i32;
            let right = gap + (width - gap) * (column + 1) / COLUMNS as i32;
            let bottom = gap + (height - gap) * (row + 1) / ROWS as i32;
            let area = Area::new(left, top, right - gap - left, bottom - gap - top);
            cell(&mut canvas, text, area, letter, mirror, scale);
        }
        let style = Style {
            face: Face::Text,
            size: (13.0 * scale).max(super::inks::SMALLEST),
        };
        let line = match mirror {
            true => "A right hand as in a mirror. J and Z are drawn in the air.",
            false => "A right hand as others see it. J and Z are drawn in the air.",
        };
        let y = self.height as f32 - foot as f32 / 2.0 + text.cap_height(style) / 2.0;
        text.draw(&mut canvas, (gap as f32 * 2.0, y), style, DIM, line);
    }
}

/// Draws one letter: the hand, the way it goes, and its name.
pub(super) fn cell(
    canvas: &mut Canvas,
    text: &mut Type,
    area: Area,
    letter: &str,
    mirror: bool,
    scale: f32,
) {
    let (Ok(width), Ok(height)) = (usize::try_from(area.width), usize::try_from(area.height))
    else {
        return;
    };
    if width.min(height) < 16 {
        return;
    }
    let Some(shown) = show_letter(letter, (width, height), WALL, mirror) else {
        return;
    };
    for (y, row) in shown.picture.pixels.chunks_exact(width * 3).enumerate() {
        canvas.bytes(area.x, area.y + y as i32, row);
    }
    let at = |[x, y]: [f32; 2]| {
        [
            area.x as f32 + x * width as f32,
            area.y as f32 + y * height as f32,
        ]
    };
    let path: Vec<[f32; 2]> = shown.path.into_iter().map(at).collect();
    arrow(canvas, &path, 1.6 * scale);
    let style = Style {
        face: Face::Display,
        size: (19.0 * scale).max(super::inks::SMALLEST),
    };
    let left = area.x as f32 + 6.0 * scale;
    let y = area.y as f32 + 6.0 * scale + text.cap_height(style);
    text.draw(canvas, (left, y), style, WHITE, letter);
}

/// A line with a head at its end, `radius` pixels to each side.
fn arrow(canvas: &mut Canvas, path: &[[f32; 2]], radius: f32) {
    let [.., before, last] = path else {
        return;
    };
    stroke(canvas, path, radius);
    // The last few steps say where it goes.
    let from = path.iter().rev().nth(3).unwrap_or(before);
    let (dx, dy) = (last[0] - from[0], last[1] - from[1]);
    let length = dx.hypot(dy).max(1e-3);
    let reach = radius * 5.0 / length;
    for side in [-0.6, 0.6] {
        let barb = [
            last[0] - (dx - dy * side) * reach,
            last[1] - (dy + dx * side) * reach,
        ];
        stroke(canvas, &[barb, *last], radius);
    }
}

/// A line of round dots, close to each other.
fn stroke(canvas: &mut Canvas, path: &[[f32; 2]], radius: f32) {
    let side = (radius * 2.0).round().max(2.0) as i32;
    let segments = path.len().saturating_sub(1);
    for dot in 0..=DOTS {
        let along = dot as f32 / DOTS as f32 * segments as f32;
        let from = (along as usize).min(segments.saturating_sub(1));
        let (Some(a), Some(b)) = (path.get(from), path.get(from + 1)) else {
            return;
        };
        let share = along - from as f32;
        let x = a[0] + (b[0] - a[0]) * share - side as f32 / 2.0;
        let y = a[1] + (b[1] - a[1]) * share - side as f32 / 2.0;
        let dot = Area::new(x.round() as i32, y.round() as i32, side, side);
        canvas.fill_rounded(dot, 99.0, Ink { ..ACCENT });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_drawn_anew_only_for_another_size_or_side() {
        let (mut chart, mut text) = (Chart::default(), Type::new().unwrap());
        let mut lay = |width: usize, mirror: bool, mark: Option<u32>| {
            let mut pixels = vec![0; width * 120];
            let mut canvas = Canvas {
                width,
                height: 120,
                pixels: &mut pixels,
            };
            chart.lay(&mut text, &mut canvas, mirror);
            if let Some(mark) = mark {
                chart.pixels[0] = mark;
            }
            pixels[0]
        };
        lay(160, false, Some(7));
        assert_eq!(lay(160, false, None), 7, "kept");
        assert_ne!(lay(160, true, Some(8)), 7);
        assert_eq!(lay(160, true, None), 8, "kept");
        assert_ne!(lay(180, true, None), 8);
    }
}

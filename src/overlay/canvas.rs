//! Pixels to draw on, and the few shapes the overlay is made of.

use crate::base::frame::Frame;

/// A framebuffer as windows take it: rows from the top left, one `u32` a pixel, `0x00RRGGBB`.
///
/// Drawing clips at the edges. A buffer of fewer than `width * height` pixels is drawn as far as
/// it reaches.
#[derive(Debug)]
pub struct Canvas<'a> {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` pixels.
    pub pixels: &'a mut [u32],
}

/// A colour `0x00RRGGBB` with its opacity, 0 (clear) to 255 (solid).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    pub rgb: u32,
    pub opacity: u8,
}

impl Ink {
    pub const fn solid(rgb: u32) -> Self {
        Ink { rgb, opacity: 255 }
    }
}

/// A rectangle of whole pixels, which may reach beyond the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

impl Area {
    pub const fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Area {
            x,
            y,
            width,
            height,
        }
    }

    pub const fn right(&self) -> i32 {
        self.x + self.width
    }

    pub const fn bottom(&self) -> i32 {
        self.y + self.height
    }
}

/// `over` mixed onto `under`; `opacity` from 0 to 256. Two channels share one multiplication.
fn mix(under: u32, over: u32, opacity: u32) -> u32 {
    let rest = 256 - opacity;
    let red_blue = ((under & 0xff_00ff) * rest + (over & 0xff_00ff) * opacity) >> 8;
    let green = ((under & 0x00_ff00) * rest + (over & 0x00_ff00) * opacity) >> 8;
    (red_blue & 0xff_00ff) | (green & 0x00_ff00)
}

/// 0..=255 stretched to 0..=256, so that 255 covers all.
fn to_256(opacity: u8) -> u32 {
    u32::from(opacity) + u32::from(opacity >> 7)
}

/// Where a picture lies on a canvas: as large as fits, in its own proportions, centred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    pub area: Area,
}

impl Placement {
    /// Fits a picture of `width` x `height` pixels; an empty area where there is none.
    pub fn of(width: usize, height: usize, canvas: &Canvas) -> Self {
        let (cw, ch) = (canvas.width as i64, canvas.height as i64);
        let (w, h) = (width as i64, height as i64);
        let (pw, ph) = if w == 0 || h == 0 {
            (0, 0)
        } else if cw * h <= ch * w {
            (cw, cw * h / w)
        } else {
            (ch * w / h, ch)
        };
        Placement {
            area: Area::new(
                ((cw - pw) / 2) as i32,
                ((ch - ph) / 2) as i32,
                pw as i32,
                ph as i32,
            ),
        }
    }
}

impl Canvas<'_> {
    /// The pixels of row `y` from `x0` to `x1` that exist.
    fn span(&mut self, y: i32, x0: i32, x1: i32) -> &mut [u32] {
        let x0 = x0.clamp(0, self.width as i32) as usize;
        let x1 = x1.clamp(0, self.width as i32) as usize;
        if y < 0 || y >= self.height as i32 || x0 >= x1 {
            return &mut [];
        }
        let start = y as usize * self.width;
        self.pixels
            .get_mut(start + x0..start + x1)
            .unwrap_or_default()
    }

    /// Fills `area` with `ink`.
    pub(super) fn fill(&mut self, area: Area, ink: Ink) {
        let opacity = to_256(ink.opacity);
        for y in area.y.max(0)..area.bottom().min(self.height as i32) {
            for pixel in self.span(y, area.x, area.right()) {
                *pixel = mix(*pixel, ink.rgb, opacity);
            }
        }
    }

    /// Fills `area`, its corners rounded with an anti-aliased circle of `radius` pixels.
    pub(super) fn fill_rounded(&mut self, area: Area, radius: f32, ink: Ink) {
        let radius = radius.min(area.width.min(area.height) as f32 / 2.0);
        let band = radius.ceil() as i32;
        for y in area.y.max(0)..area.bottom().min(self.height as i32) {
            let from_edge = (y - area.y).min(area.bottom() - 1 - y);
            if from_edge >= band {
                self.fill(Area::new(area.x, y, area.width, 1), ink);
                continue;
            }
            let down = radius - (from_edge as f32 + 0.5);
            for i in 0..band {
                let across = radius - (i as f32 + 0.5);
                let distance = (across * across + down * down).sqrt();
                let cover = (radius - distance + 0.5).clamp(0.0, 1.0);
                let ink = Ink {
                    opacity: (f32::from(ink.opacity) * cover).round() as u8,
                    ..ink
                };
                self.fill(Area::new(area.x + i, y, 1, 1), ink);
                self.fill(Area::new(area.right() - 1 - i, y, 1, 1), ink);
            }
            self.fill(Area::new(area.x + band, y, area.width - 2 * band, 1), ink);
        }
    }

    /// Draws an anti-aliased line with round ends, `thick` pixels wide; a dot where both ends are
    /// one point. Coordinates are those of pixels' corners, and finite.
    pub(super) fn line(&mut self, from: [f32; 2], to: [f32; 2], thick: f32, ink: Ink) {
        let reach = thick / 2.0 + 1.0;
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let square = dx * dx + dy * dy;
        let first = (from[1].min(to[1]) - reach).floor().max(0.0) as i32;
        let last = (from[1].max(to[1]) + reach).ceil().min(self.height as f32) as i32;
        for y in first..last {
            let down = y as f32 + 0.5 - from[1];
            // Where the line, endless, crosses this row, and how far around that it is seen.
            let (mut left, mut right) = (from[0].min(to[0]) - reach, from[0].max(to[0]) + reach);
            if dy.abs() > 1.0 {
                let crossing = from[0] + dx * down / dy;
                let around = reach * square.sqrt() / dy.abs();
                (left, right) = (left.max(crossing - around), right.min(crossing + around));
            }
            let left = left.floor().max(0.0) as i32;
            let span = self.span(y, left, right.ceil() as i32);
            for (at, pixel) in span.iter_mut().enumerate() {
                let across = (left + at as i32) as f32 + 0.5 - from[0];
                let along = match square > 0.0 {
                    true => ((across * dx + down * dy) / square).clamp(0.0, 1.0),
                    false => 0.0,
                };
                let distance = (across - along * dx).hypot(down - along * dy);
                let cover = (thick / 2.0 - distance + 0.5).clamp(0.0, 1.0);
                let opacity = to_256((f32::from(ink.opacity) * cover).round() as u8);
                *pixel = mix(*pixel, ink.rgb, opacity);
            }
        }
    }

    /// Copies a row of RGB bytes with its left end at (`x`, `y`).
    pub(super) fn bytes(&mut self, x: i32, y: i32, rgb: &[u8]) {
        let skip = (-x).max(0) as usize;
        let (pixels, _) = rgb.as_chunks::<3>();
        let span = self.span(y, x, x + pixels.len() as i32);
        for (at, &[r, g, b]) in span.iter_mut().zip(pixels.iter().skip(skip)) {
            *at = pixel(r, g, b);
        }
    }

    /// Copies pixels, `width` to a row, with their top left corner at (`x`, `y`).
    pub(super) fn pixels_at(&mut self, x: i32, y: i32, width: usize, pixels: &[u32]) {
        if width == 0 {
            return;
        }
        let skip = (-x).max(0) as usize;
        for (row, pixels) in pixels.chunks_exact(width).enumerate() {
            let span = self.span(y + row as i32, x, x + width as i32);
            for (at, pixel) in span.iter_mut().zip(pixels.iter().skip(skip)) {
                *at = *pixel;
            }
        }
    }

    /// Lays a mask of coverages (0 to 255), `width` to a row, in `ink` with its top left corner at
    /// (`x`, `y`).
    pub(super) fn stamp(&mut self, x: i32, y: i32, width: usize, mask: &[u8], ink: Ink) {
        if width == 0 {
            return;
        }
        let skip = (-x).max(0) as usize;
        let opacity = to_256(ink.opacity);
        for (row, cover) in mask.chunks_exact(width).enumerate() {
            let span = self.span(y + row as i32, x, x + width as i32);
            for (pixel, &cover) in span.iter_mut().zip(cover.iter().skip(skip)) {
                if cover > 0 {
                    *pixel = mix(*pixel, ink.rgb, (to_256(cover) * opacity) >> 8);
                }
            }
        }
    }

    /// Draws a frame over the whole canvas and nothing else; `mirror` swaps left and right.
    pub fn frame(&mut self, frame: &Frame, mirror: bool) {
        self.picture(frame, mirror);
    }

    /// Draws a picture over the whole canvas: pixel by pixel where the sizes agree, otherwise
    /// scaled to fit (nearest pixel) between black bars. `mirror` swaps left and right.
    pub(super) fn picture(&mut self, frame: &Frame, mirror: bool) -> Placement {
        let placement = Placement::of(frame.width, frame.height, self);
        if frame.pixels.len() < frame.width * frame.height * 3 {
            self.pixels.fill(0);
            return placement;
        }
        if (frame.width, frame.height) == (self.width, self.height) && frame.width > 0 {
            let rows = self.pixels.chunks_exact_mut(self.width);
            for (row, rgb) in rows.zip(frame.pixels.chunks_exact(self.width * 3)) {
                copy(row, rgb, mirror);
            }
        } else {
            self.picture_scaled(frame, mirror, placement.area);
        }
        placement
    }

    fn picture_scaled(&mut self, frame: &Frame, mirror: bool, area: Area) {
        self.pixels.fill(0);
        let (width, height) = (area.width as usize, area.height as usize);
        for y in 0..height {
            let from = y * frame.height / height * frame.width;
            let span = self.span(area.y + y as i32, area.x, area.right());
            for (x, at) in span.iter_mut().enumerate() {
                let x = if mirror { width - 1 - x } else { x };
                let byte = (from + x * frame.width / width) * 3;
                if let Some(&[r, g, b]) = frame.pixels.get(byte..byte + 3) {
                    *at = pixel(r, g, b);
                }
            }
        }
    }
}

/// A row of RGB bytes to pixels, four at a time.
fn copy(row: &mut [u32], rgb: &[u8], mirror: bool) {
    let (groups, rest) = rgb.as_chunks::<12>();
    let last = rest
        .chunks_exact(3)
        .map(|rgb| pixel(rgb[0], rgb[1], rgb[2]));
    if mirror {
        let mut row = row.rchunks_exact_mut(4);
        for (four, group) in row.by_ref().zip(groups) {
            four.copy_from_slice(&unpack(group));
            four.reverse();
        }
        let left = row.into_remainder().iter_mut().rev();
        left.zip(last).for_each(|(at, pixel)| *at = pixel);
    } else {
        let mut row = row.chunks_exact_mut(4);
        for (four, group) in row.by_ref().zip(groups) {
            four.copy_from_slice(&unpack(group));
        }
        let left = row.into_remainder().iter_mut();
        left.zip(last).for_each(|(at, pixel)| *at = pixel);
    }
}

fn pixel(r: u8, g: u8, b: u8) -> u32 {
    u32::from_be_bytes([0, r, g, b])
}

/// Four pixels out of three words, which is twice as fast as byte by byte.
fn unpack(rgb: &[u8; 12]) -> [u32; 4] {
    let word = |at: usize| u32::from_be_bytes([rgb[at], rgb[at + 1], rgb[at + 2], rgb[at + 3]]);
    let (a, b, c) = (word(0), word(4), word(8));
    [
        a >> 8,
        (a & 0xff) << 16 | b >> 16,
        (b & 0xffff) << 8 | c >> 24,
        c & 0xff_ffff,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solid_ink_replaces_and_clear_ink_leaves_a_pixel() {
        assert_eq!(mix(0x12_3456, 0xfe_dcba, to_256(255)), 0xfe_dcba);
        assert_eq!(mix(0x12_3456, 0xfe_dcba, to_256(0)), 0x12_3456);
        assert_eq!(mix(0x00_0000, 0xff_ffff, to_256(127)), 0x7e_7e7e);
    }

    #[test]
    fn shapes_beyond_the_edges_are_clipped() {
        let mut pixels = [0; 12];
        let mut canvas = Canvas {
            width: 4,
            height: 3,
            pixels: &mut pixels,
        };
        canvas.fill(Area::new(-5, -5, 7, 7), Ink::solid(1));
        canvas.fill_rounded(Area::new(3, 2, 9, 9), 0.0, Ink::solid(2));
        canvas.stamp(-1, 2, 2, &[255, 255, 255, 255], Ink::solid(3));
        assert_eq!(pixels, [1, 1, 0, 0, 1, 1, 0, 0, 3, 0, 0, 2]);
    }

    #[test]
    fn lines_cover_what_lies_within_half_their_width_and_end_at_the_edges() {
        let mut pixels = [0; 64];
        let mut canvas = Canvas {
            width: 8,
            height: 8,
            pixels: &mut pixels,
        };
        canvas.line([-9.0, 2.5], [20.0, 2.5], 1.0, Ink::solid(9));
        canvas.line([4.5, -3.0], [4.5, 30.0], 1.0, Ink::solid(9));
        for (at, &pixel) in pixels.iter().enumerate() {
            let on = at / 8 == 2 || at % 8 == 4;
            assert_eq!(pixel == 9, on, "{at}");
        }
        let mut pixels = [0; 64];
        let mut canvas = Canvas {
            width: 8,
            height: 8,
            pixels: &mut pixels,
        };
        canvas.line([0.5, 0.5], [7.5, 7.5], 1.0, Ink::solid(9));
        assert!((0..8).all(|at| pixels[at * 9] == 9));
        assert_eq!(pixels[7], 0);
    }

    #[test]
    fn a_buffer_that_is_too_short_is_drawn_as_far_as_it_reaches() {
        let mut pixels = [0; 5];
        let mut canvas = Canvas {
            width: 4,
            height: 3,
            pixels: &mut pixels,
        };
        canvas.fill(Area::new(0, 0, 4, 3), Ink::solid(7));
        assert_eq!(pixels, [7, 7, 7, 7, 0]);
    }

    #[test]
    fn pictures_of_any_width_are_copied_and_mirrored_pixel_by_pixel() {
        for width in 1..14 {
            let mut frame = Frame::empty();
            frame.resize(width, 2);
            for (at, byte) in frame.pixels.iter_mut().enumerate() {
                *byte = at as u8 * 3 + 1;
            }
            let rgb = |x: usize, y: usize| {
                let at = (y * width + x) * 3;
                pixel(frame.pixels[at], frame.pixels[at + 1], frame.pixels[at + 2])
            };
            for mirror in [false, true] {
                let mut pixels = vec![0; width * 2];
                let mut canvas = Canvas {
                    width,
                    height: 2,
                    pixels: &mut pixels,
                };
                canvas.picture(&frame, mirror);
                for (at, &drawn) in pixels.iter().enumerate() {
                    let (x, y) = (at % width, at / width);
                    let x = if mirror { width - 1 - x } else { x };
                    assert_eq!(drawn, rgb(x, y), "{width} wide, mirrored: {mirror}");
                }
            }
        }
    }

    #[test]
    fn a_wide_picture_lies_between_bars_above_and_below() {
        let mut frame = Frame::empty();
        frame.resize(8, 2);
        frame.pixels.fill(255);
        let mut pixels = [5; 16];
        let mut canvas = Canvas {
            width: 4,
            height: 4,
            pixels: &mut pixels,
        };
        let placement = canvas.picture(&frame, false);
        assert_eq!(placement.area, Area::new(0, 1, 4, 1));
        assert_eq!(pixels[..4], [0; 4]);
        assert_eq!(pixels[4..8], [0xff_ffff; 4]);
        assert_eq!(pixels[8..], [0; 8]);
    }
}

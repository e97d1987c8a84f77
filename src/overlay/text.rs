//! Anti-aliased text from the two embedded fonts, with every drawn glyph kept for the next frame.

use std::collections::HashMap;
use std::ops::Range;

use ab_glyph::{Font, FontRef, PxScale, point};
use anyhow::{Context, Result};

use super::canvas::{Canvas, Ink};

/// Which of the fonts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Face {
    /// For reading at small sizes.
    Text,
    /// For the big letter and numbers.
    Display,
}

/// A face at a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub face: Face,
    /// The em in pixels.
    pub size: f32,
}

/// Glyphs start at one of this many places within a pixel, so that letters stand evenly at small
/// sizes.
const SUBPIXELS: f32 = 4.0;

/// A cache of this many glyphs is thrown away and begun anew: only a canvas whose size keeps
/// changing gets here.
const MOST_GLYPHS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    face: Face,
    letter: char,
    /// The size in 1/4 pixels.
    size: u32,
    /// Place within a pixel, in 1/[`SUBPIXELS`].
    shift: u8,
}

/// A glyph's mask, placed relative to the whole pixel left of its origin on the baseline.
struct Drawn {
    left: i32,
    top: i32,
    width: usize,
    mask: Range<usize>,
}

struct FontFace {
    font: FontRef<'static>,
    /// From a size in pixels to the scale the rasteriser takes (its unit is ascent + descent).
    per_em: f32,
    /// Font units to an em.
    units: f32,
    /// Height of `H`, in ems.
    cap_height: f32,
    /// The widest digit's advance, in ems: every digit gets it, so that numbers do not jitter.
    digit: f32,
}

impl FontFace {
    fn new(data: &'static [u8]) -> Result<Self> {
        let font = FontRef::try_from_slice(data).context("cannot read the embedded font")?;
        let units = font
            .units_per_em()
            .context("the embedded font names no units per em")?;
        let cap_height = font
            .outline(font.glyph_id('H'))
            .context("the embedded font has no letter H")?
            .bounds
            .height()
            .abs()
            / units;
        let digit = ('0'..='9')
            .map(|digit| font.h_advance_unscaled(font.glyph_id(digit)) / units)
            .fold(0.0, f32::max);
        Ok(FontFace {
            per_em: font.height_unscaled() / units,
            units,
            cap_height,
            digit,
            font,
        })
    }

    /// Room a letter takes and how far its glyph is moved right within it, in ems.
    fn advance(&self, letter: char) -> (f32, f32) {
        let own = self.font.h_advance_unscaled(self.font.glyph_id(letter)) / self.units;
        if letter.is_ascii_digit() {
            (self.digit, (self.digit - own) / 2.0)
        } else {
            (own, 0.0)
        }
    }
}

/// The fonts and the glyphs drawn so far.
pub(super) struct Type {
    text: FontFace,
    display: FontFace,
    glyphs: HashMap<Key, Drawn>,
    masks: Vec<u8>,
}

impl Type {
    pub fn new() -> Result<Self> {
        Ok(Type {
            text: FontFace::new(include_bytes!("fonts/Inter-Medium.otf"))?,
            display: FontFace::new(include_bytes!("fonts/InterDisplay-SemiBold.otf"))?,
            glyphs: HashMap::new(),
            masks: Vec::new(),
        })
    }

    fn face(&self, face: Face) -> &FontFace {
        match face {
            Face::Text => &self.text,
            Face::Display => &self.display,
        }
    }

    /// Height of a capital letter in pixels.
    pub fn cap_height(&self, style: Style) -> f32 {
        self.face(style.face).cap_height * style.size
    }

    /// Width of a line in pixels.
    pub fn width(&self, style: Style, line: &str) -> f32 {
        let face = self.face(style.face);
        line.chars()
            .map(|letter| face.advance(letter).0)
            .sum::<f32>()
            * style.size
    }

    /// Draws a line that starts at `x` on the baseline `y`; returns where the next letter would
    /// stand.
    pub fn draw(
        &mut self,
        canvas: &mut Canvas,
        (x, y): (f32, f32),
        style: Style,
        ink: Ink,
        line: &str,
    ) -> f32 {
        let mut x = x;
        let y = y.round() as i32;
        for letter in line.chars() {
            let (advance, inset) = self.face(style.face).advance(letter);
            let at = ((x + inset * style.size) * SUBPIXELS).round() / SUBPIXELS;
            let whole = at.floor();
            let key = Key {
                face: style.face,
                letter,
                size: (style.size * 4.0).round() as u32,
                shift: ((at - whole) * SUBPIXELS) as u8,
            };
            if !self.glyphs.contains_key(&key) {
                self.rasterise(key);
            }
            if let Some(glyph) = self.glyphs.get(&key) {
                let mask = self.masks.get(glyph.mask.clone()).unwrap_or_default();
                let left = whole as i32 + glyph.left;
                canvas.stamp(left, y + glyph.top, glyph.width, mask, ink);
            }
            x += advance * style.size;
        }
        x
    }

    /// Draws a glyph into the cache.
    fn rasterise(&mut self, key: Key) {
        if self.glyphs.len() >= MOST_GLYPHS {
            self.glyphs.clear();
            self.masks.clear();
        }
        let face = self.face(key.face);
        let glyph = face.font.glyph_id(key.letter).with_scale_and_position(
            PxScale::from(key.size as f32 / 4.0 * face.per_em),
            point(f32::from(key.shift) / SUBPIXELS, 0.0),
        );
        let outlined = face.font.outline_glyph(glyph);
        let start = self.masks.len();
        let mut drawn = Drawn {
            left: 0,
            top: 0,
            width: 0,
            mask: start..start,
        };
        if let Some(outlined) = outlined {
            let bounds = outlined.px_bounds();
            let (width, height) = (bounds.width() as usize, bounds.height() as usize);
            drawn.left = bounds.min.x as i32;
            drawn.top = bounds.min.y as i32;
            drawn.width = width;
            drawn.mask.end = start + width * height;
            self.masks.resize(drawn.mask.end, 0);
            let mask = &mut self.masks[start..];
            outlined.draw(|x, y, cover| {
                if let Some(pixel) = mask.get_mut(y as usize * width + x as usize) {
                    *pixel = (cover.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            });
        }
        self.glyphs.insert(key, drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Style = Style {
        face: Face::Text,
        size: 13.0,
    };

    fn canvas(width: usize, pixels: &mut [u32]) -> Canvas<'_> {
        Canvas {
            width,
            height: pixels.len() / width,
            pixels,
        }
    }

    #[test]
    fn numbers_of_as_many_digits_are_equally_wide() {
        let text = Type::new().unwrap();
        let ones = text.width(SMALL, "11.1 ms");
        assert!((ones - text.width(SMALL, "08.9 ms")).abs() < 0.01);
        assert!(ones < text.width(SMALL, "111.1 ms"));
    }

    #[test]
    fn a_line_covers_its_width_and_no_more() {
        let mut text = Type::new().unwrap();
        let mut pixels = vec![0; 200 * 40];
        let mut canvas = canvas(200, &mut pixels);
        let end = text.draw(
            &mut canvas,
            (10.0, 30.0),
            SMALL,
            Ink::solid(0xff_ffff),
            "Hand",
        );
        let lit = |x: usize| (0..40).any(|y| pixels[y * 200 + x] != 0);
        let first = (0..200).find(|&x| lit(x)).unwrap();
        let last = (0..200).rfind(|&x| lit(x)).unwrap();
        assert!((10..13).contains(&first), "starts at {first}");
        assert!(
            last as f32 <= end && last as f32 > end - 4.0,
            "ends at {last}, {end} measured"
        );
    }

    #[test]
    fn drawing_again_draws_no_glyph_anew() {
        let mut text = Type::new().unwrap();
        let mut pixels = vec![0; 200 * 40];
        let mut canvas = canvas(200, &mut pixels);
        let ink = Ink::solid(0xff_ffff);
        text.draw(&mut canvas, (3.0, 20.0), SMALL, ink, "29.9 fps");
        let (glyphs, masks) = (text.glyphs.len(), text.masks.len());
        text.draw(&mut canvas, (3.0, 20.0), SMALL, ink, "29.9 fps");
        assert_eq!((text.glyphs.len(), text.masks.len()), (glyphs, masks));
    }

    #[test]
    fn letters_the_font_lacks_draw_a_stand_in_without_panic() {
        let mut text = Type::new().unwrap();
        let mut pixels = vec![0; 64 * 32];
        let mut canvas = canvas(64, &mut pixels);
        text.draw(
            &mut canvas,
            (2.0, 24.0),
            SMALL,
            Ink::solid(0xff_ffff),
            "手\u{0}🖐",
        );
        assert!(pixels.iter().any(|&pixel| pixel != 0));
    }
}

//! Letters that are taken for others, side by side, for a report.

use anyhow::Result;

use super::canvas::{Area, Canvas, Ink};
use super::chart::{self, GROUND};
use super::inks::{DIM, WHITE};
use super::text::{Face, Style, Type};
use crate::base::picture::Picture;
use crate::demo::alphabet::LETTERS;

/// The side of a hand's picture, in pixels.
const HAND: i32 = 150;
/// Width of the words between the two hands of a pair.
const WORDS: i32 = 110;
/// Around all pairs, and from row to row.
const GAP: i32 = 12;
/// From pair to pair in a row.
const APART: i32 = 44;
const PAIRS_IN_A_ROW: usize = 3;

/// Pictures of one label that were read as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistaken<'a> {
    /// What they show.
    pub shown: &'a str,
    /// What was read.
    pub read: &'a str,
    /// How many.
    pub count: usize,
    /// Of so many that show it.
    pub of: usize,
}

/// Each pair in a cell, a drawn hand for each of its labels that is a letter; `None` where none is.
///
/// # Errors
/// When the embedded fonts cannot be read.
pub fn draw_mistaken(pairs: &[Mistaken]) -> Result<Option<Picture>> {
    let is_drawn = |pair: &Mistaken| LETTERS.contains(&pair.shown) || LETTERS.contains(&pair.read);
    if !pairs.iter().any(is_drawn) {
        return Ok(None);
    }
    let pair_width = HAND * 2 + WORDS;
    let columns = pairs.len().min(PAIRS_IN_A_ROW);
    let rows = pairs.len().div_ceil(PAIRS_IN_A_ROW);
    let width = (GAP * 2 + columns as i32 * (pair_width + APART) - APART) as usize;
    let height = GAP as usize + rows * (HAND + GAP) as usize;
    let mut pixels = vec![GROUND; width * height];
    let mut canvas = Canvas {
        width,
        height,
        pixels: &mut pixels,
    };
    let mut text = Type::new()?;
    for (at, pair) in pairs.iter().enumerate() {
        let left = GAP + (at % PAIRS_IN_A_ROW) as i32 * (pair_width + APART);
        let top = GAP + (at / PAIRS_IN_A_ROW) as i32 * (HAND + GAP);
        let (words, other) = (left + HAND, left + HAND + WORDS);
        side(&mut canvas, &mut text, (left, top), pair.shown);
        side(&mut canvas, &mut text, (other, top), pair.read);
        let style = Style {
            face: Face::Text,
            size: 17.0,
        };
        let (middle, y) = ((words + WORDS / 2) as f32, (top + HAND / 2) as f32);
        let count = format!("{} of {}", pair.count, pair.of);
        centred(&mut canvas, &mut text, (middle, y), style, WHITE, &count);
        let below = (middle, y + 24.0);
        centred(&mut canvas, &mut text, below, style, DIM, "read as");
    }
    let pixels = pixels.iter().flat_map(|rgb| {
        let [_, r, g, b] = rgb.to_be_bytes();
        [r, g, b]
    });
    Ok(Some(Picture {
        width,
        height,
        pixels: pixels.collect(),
    }))
}

/// A label's hand, or the label alone.
fn side(canvas: &mut Canvas, text: &mut Type, (left, top): (i32, i32), label: &str) {
    let area = Area::new(left, top, HAND, HAND);
    if LETTERS.contains(&label) {
        chart::cell(canvas, text, area, label, false, 1.2);
        return;
    }
    let style = Style {
        face: Face::Display,
        size: 22.0,
    };
    let y = (top + HAND / 2) as f32 + text.cap_height(style) / 2.0;
    let middle = (left + HAND / 2) as f32;
    centred(canvas, text, (middle, y), style, WHITE, label);
}

/// Writes a line to both sides of `middle`, on the baseline `y`.
fn centred(
    canvas: &mut Canvas,
    text: &mut Type,
    (middle, y): (f32, f32),
    style: Style,
    ink: Ink,
    line: &str,
) {
    let x = middle - text.width(style, line) / 2.0;
    text.draw(canvas, (x, y), style, ink, line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<'a>(shown: &'a str, read: &'a str) -> Mistaken<'a> {
        Mistaken {
            shown,
            read,
            count: 3,
            of: 20,
        }
    }

    #[test]
    fn both_letters_of_a_pair_are_drawn_and_other_labels_are_written() {
        let picture = draw_mistaken(&[pair("M", "N"), pair("O", "nothing")]).unwrap();
        let picture = picture.unwrap();
        let bright = |left: i32, top: i32| {
            let rows = (top..top + HAND).flat_map(|y| (left..left + HAND).map(move |x| (x, y)));
            let light = rows.filter(|(x, y)| {
                let at = (*y as usize * picture.width + *x as usize) * 3;
                picture.pixels[at] > 120
            });
            light.count()
        };
        let second = GAP + HAND * 2 + WORDS + APART;
        let hands = [GAP, GAP + HAND + WORDS, second].map(|left| bright(left, GAP));
        assert!(hands.iter().all(|&light| light > 2000), "{hands:?}");
        let word = bright(second + HAND + WORDS, GAP);
        assert!((50..2000).contains(&word), "{word}");
    }

    #[test]
    fn classes_that_are_no_letters_are_not_drawn() {
        assert_eq!(draw_mistaken(&[pair("cats", "dogs")]).unwrap(), None);
        assert_eq!(draw_mistaken(&[]).unwrap(), None);
    }
}

//! Letters that are taken for others, side by side, for a report.

use anyhow::Result;

use super::canvas::{Area, Canvas};
use super::chart::{self, GROUND};
use super::scene::{DIM, WHITE};
use super::text::{Face, Style, Type};
use crate::demo::alphabet::LETTERS;
use crate::picture::Picture;

/// A cell's height, the hand's side and the words' width between two hands, in pixels.
const HAND: i32 = 150;
const WORDS: i32 = 110;
/// Around cells and between rows; between columns, so that pairs stay together.
const GAP: i32 = 12;
const APART: i32 = 44;
const COLUMNS: usize = 3;

/// Pictures of one label that were read as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistaken {
    /// What they show.
    pub shown: String,
    /// What was read.
    pub read: String,
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
    let known = |label: &String| LETTERS.contains(&label.as_str());
    if !(pairs.iter()).any(|pair| known(&pair.shown) || known(&pair.read)) {
        return Ok(None);
    }
    let cell = HAND * 2 + WORDS;
    let columns = pairs.len().min(COLUMNS);
    let rows = pairs.len().div_ceil(COLUMNS);
    let width = (GAP * 2 + columns as i32 * (cell + APART) - APART) as usize;
    let height = GAP as usize + rows * (HAND + GAP) as usize;
    let mut pixels = vec![GROUND; width * height];
    let mut canvas = Canvas {
        width,
        height,
        pixels: &mut pixels,
    };
    let mut text = Type::new()?;
    for (at, pair) in pairs.iter().enumerate() {
        let left = GAP + (at % COLUMNS) as i32 * (cell + APART);
        let top = GAP + (at / COLUMNS) as i32 * (HAND + GAP);
        side(&mut canvas, &mut text, (left, top), &pair.shown);
        side(
            &mut canvas,
            &mut text,
            (left + HAND + WORDS, top),
            &pair.read,
        );
        let lines = [
            (format!("{} of {}", pair.count, pair.of), WHITE),
            ("read as".to_string(), DIM),
        ];
        for (line, (words, ink)) in lines.iter().enumerate() {
            let style = Style {
                face: Face::Text,
                size: 17.0,
            };
            let x = (left + HAND) as f32 + (WORDS as f32 - text.width(style, words)) / 2.0;
            let y = (top + HAND / 2) as f32 + 24.0 * line as f32;
            text.draw(&mut canvas, (x, y), style, *ink, words);
        }
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
    let x = left as f32 + (HAND as f32 - text.width(style, label)) / 2.0;
    let y = (top + HAND / 2) as f32 + text.cap_height(style) / 2.0;
    text.draw(canvas, (x, y), style, WHITE, label);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(shown: &str, read: &str) -> Mistaken {
        Mistaken {
            shown: shown.into(),
            read: read.into(),
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

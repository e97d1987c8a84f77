//! The word that is practised: the letter that is asked for with the hand that holds it.

use std::sync::Arc;

use super::canvas::{Area, Canvas};
use super::chart;
use super::inks::{ACCENT, DIM, PANEL, WHITE};
use super::painter::Painter;
use super::text::{Face, Type};

/// A word that is practised as the screen shows it.
#[derive(Debug, Clone, Copy)]
pub struct Practised<'a> {
    /// The word's letters.
    pub letters: &'a [Arc<str>],
    /// How many of them were signed; the next one is asked for.
    pub signed: usize,
}

/// The picture of the letter that is asked for, kept until another one is.
#[derive(Debug, Default)]
pub(super) struct Asked {
    letter: String,
    mirror: bool,
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

impl Asked {
    /// Lays the picture of `letter` over `area`.
    fn lay(
        &mut self,
        canvas: &mut Canvas,
        text: &mut Type,
        area: Area,
        (letter, mirror, scale): (&str, bool, f32),
    ) {
        let side = |length: i32| usize::try_from(length).unwrap_or_default();
        let (width, height) = (side(area.width), side(area.height));
        if self.letter != letter
            || (self.mirror, self.width, self.height) != (mirror, width, height)
        {
            letter.clone_into(&mut self.letter);
            (self.mirror, self.width, self.height) = (mirror, width, height);
            self.pixels.clear();
            self.pixels.resize(width * height, 0);
            let mut cell = Canvas {
                width,
                height,
                pixels: &mut self.pixels,
            };
            let whole = Area::new(0, 0, area.width, area.height);
            chart::cell(&mut cell, text, whole, letter, mirror, scale);
        }
        canvas.pixels_at(area.x, area.y, width, &self.pixels);
    }
}

impl Painter<'_, '_> {
    /// At the upper right: the hand for the letter that is asked for, above the word.
    pub(super) fn practice(&mut self, asked: &mut Asked) {
        let Some(practised) = self.scene.practice else {
            return;
        };
        let (margin, pad) = (self.px(12.0), self.px(10.0));
        let (side, line) = (self.px(128.0), self.px(34.0));
        let top = margin + self.px(40.0);
        let area = Area::new(
            self.canvas.width as i32 - margin - side - 2 * pad,
            top,
            side + 2 * pad,
            side + line + 2 * pad,
        );
        self.panel(area, PANEL);
        let picture = Area::new(area.x + pad, area.y + pad, side, side);
        match practised.letters.get(practised.signed) {
            Some(letter) => asked.lay(
                self.canvas,
                self.text,
                picture,
                (letter, self.scene.mirror, self.scale * 1.4),
            ),
            None => {
                let style = self.style(Face::Display, 30.0);
                let middle = picture.x as f32 + side as f32 / 2.0;
                let x = middle - self.text.width(style, "Done") / 2.0;
                let y = picture.y as f32 + side as f32 / 2.0;
                self.write(x, y, style, ACCENT, "Done");
            }
        }
        self.word(practised, area, pad);
    }

    /// The word below the picture; of a long one the part around the letter that is asked for.
    fn word(&mut self, practised: Practised<'_>, area: Area, pad: i32) {
        let style = self.style(Face::Display, 20.0);
        let gap = self.px(3.0) as f32;
        let room = (area.width - 2 * pad) as f32;
        let middle = (area.bottom() - pad) as f32 - self.px(12.0) as f32;
        let width = |painter: &Self, letters: &[Arc<str>]| -> f32 {
            let letters = letters.iter();
            letters
                .map(|letter| painter.text.width(style, letter) + gap)
                .sum()
        };
        let mut first = practised.signed.saturating_sub(3);
        if width(self, practised.letters) <= room {
            first = 0;
        }
        let mut x = (area.x + pad) as f32;
        let right = x + room;
        for (at, letter) in practised.letters.iter().enumerate().skip(first) {
            if x + self.text.width(style, letter) > right {
                break;
            }
            let ink = match at.cmp(&practised.signed) {
                std::cmp::Ordering::Less => ACCENT,
                std::cmp::Ordering::Equal => WHITE,
                std::cmp::Ordering::Greater => DIM,
            };
            x = self.write(x, middle, style, ink, letter) + gap;
        }
    }
}

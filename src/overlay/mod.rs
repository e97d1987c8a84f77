//! Draws a frame with what was read from it into a framebuffer.
//!
//! - `canvas`: pixels, rectangles, masks.
//! - `chart`: how letters are held.
//! - `practice`: the letter that is asked for.
//! - `text`: fonts and the glyph cache.
//! - `inks`: colours; `painter`: what panels are made of.
//! - `scene`: the picture, the box, and every panel in its place; `skeleton`: the hand's joints.
//! - `panels`: what the panels say; `latency`: the one with times of stages; `strip`: what was
//!   spelled; `tally`: those of a collector of pictures.
//!
//! Boxes come in fractions of the frame as the camera delivered it; where the picture is mirrored,
//! they are mirrored with it, and text never is. Everything scales with the canvas, so that
//! 640x480 and 1280x720 look alike.

mod canvas;
mod chart;
mod inks;
mod latency;
mod mistaken;
mod painter;
mod panels;
mod practice;
mod scene;
mod skeleton;
mod strip;
mod tally;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::base::frame::{Frame, Rect};
use crate::recognize::Reading;
use crate::stats::Times;

pub use canvas::Canvas;
pub use mistaken::{Mistaken, draw_mistaken};
pub use practice::Practised;

/// Everything one picture on the screen shows.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The video frame. It fills a canvas of its own size, and is fitted into any other.
    pub frame: &'a Frame,
    /// The newest reading; its box is drawn in place of the guide's.
    pub reading: Option<&'a Reading>,
    /// Whether the hand's joints are drawn.
    pub joints: bool,
    /// The guide box, in fractions of the frame.
    pub guide: Option<Rect>,
    /// Whether left and right are swapped, as in a mirror.
    pub mirror: bool,
    /// What was spelled; `None` hides it.
    pub spelled: Option<Spelled<'a>>,
    /// A word that is practised; `None` where none is.
    pub practice: Option<Practised<'a>>,
    /// Rates and times; `None` hides their panel.
    pub figures: Option<Figures>,
    /// What each stage took so far, with its name; empty hides their panel.
    pub stages: &'a [(&'static str, Times)],
    /// The keys and what they do, in the order they are listed.
    pub keys: &'a [(&'a str, &'a str)],
    /// Whether the list of keys is shown.
    pub help: bool,
    /// Whether a chart of how letters are held is shown in place of everything but the keys.
    pub chart: bool,
    /// A quiet line at the lower edge, such as `h help · q quit`.
    pub hint: Option<&'a str>,
    /// A message; it takes the hint's place.
    pub message: Option<&'a str>,
    /// For how long the window has been recorded; `None` while it is not.
    pub recording: Option<Duration>,
    /// What is collected, in place of what is read.
    pub tally: Option<Tally<'a>>,
}

/// What a collector of pictures has and is at.
#[derive(Debug, Clone, Copy)]
pub struct Tally<'a> {
    /// The label whose pictures are taken.
    pub label: &'a str,
    /// Every label with its number of pictures; the one above is among them.
    pub counts: &'a [(Arc<str>, usize)],
    /// While pictures are taken: how many there are, and how many there may be.
    pub take: Option<(usize, usize)>,
    /// Where pictures go.
    pub place: &'a str,
}

impl Tally<'_> {
    /// The number of pictures of the label that is at it.
    fn own(&self) -> usize {
        let own = self.counts.iter().find(|(label, _)| **label == *self.label);
        own.map_or(0, |(_, count)| *count)
    }
}

/// What was spelled as the screen shows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spelled<'a> {
    /// The text; its end is shown.
    pub text: &'a str,
    /// Bytes at the end of the text that may still change.
    pub open: usize,
    /// The letter that is being held, and how much of its time has passed, 0 to 1.
    pub pending: Option<(&'a str, f32)>,
    /// Words that the last one may become, the likeliest first.
    pub words: &'a [String],
}

/// Rates and times as the screen shows them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Frames a second from the source.
    pub camera_fps: f64,
    /// Readings a second.
    pub inference_fps: f64,
    /// Pictures a second on the screen.
    pub display_fps: f64,
    /// What the newest reading's network took.
    pub infer: Duration,
    /// From the frame's capture until it is shown.
    pub frame_age: Duration,
    /// Frames that were replaced before they were read, or lost otherwise.
    pub dropped: u64,
}

/// Draws scenes, keeping the glyphs it has drawn.
pub struct Overlay {
    text: text::Type,
    chart: chart::Chart,
    asked: practice::Asked,
    skeleton: skeleton::Skeleton,
    line: String,
}

impl Overlay {
    /// An overlay with its embedded fonts.
    ///
    /// # Errors
    /// When the fonts in the binary are damaged.
    pub fn new() -> Result<Self> {
        Ok(Overlay {
            text: text::Type::new()?,
            chart: chart::Chart::default(),
            asked: practice::Asked::default(),
            skeleton: skeleton::Skeleton::default(),
            line: String::new(),
        })
    }

    /// Draws `scene` over all of `canvas`.
    pub fn draw(&mut self, canvas: &mut Canvas, scene: &Scene) {
        if scene.chart {
            self.chart.lay(&mut self.text, canvas, scene.mirror);
        }
        painter::Painter::new(&mut self.text, &mut self.line, canvas, scene)
            .paint(&mut self.asked, &mut self.skeleton);
    }
}

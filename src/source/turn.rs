//! Pictures of a camera or a file that stands on its side.

use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result};
use image::imageops::{rotate90_in, rotate180_in, rotate270_in};
use image::{ImageBuffer, Rgb};

use super::stream::{Event, Losses, Sound, Source};
use crate::base::frame::{Frame, FramePool};

/// How far pictures are turned, clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// By 90 degrees.
    Right,
    /// By 180 degrees.
    Around,
    /// By 270 degrees.
    Left,
}

impl FromStr for Turn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "90" => Ok(Turn::Right),
            "180" => Ok(Turn::Around),
            "270" => Ok(Turn::Left),
            _ => Err("give the degrees to turn clockwise by: 90, 180 or 270"),
        }
    }
}

/// A source whose pictures are turned.
pub(super) struct Turned {
    source: Box<dyn Source>,
    turn: Turn,
    /// Where the source's own frames come from; those that go out are the caller's.
    unturned: FramePool,
}

impl Turned {
    /// Turns every picture of `source`.
    pub fn new(source: Box<dyn Source>, turn: Turn) -> Turned {
        Turned {
            source,
            turn,
            unturned: FramePool::new(),
        }
    }
}

impl Source for Turned {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        let (frame, decode) = match self.source.next(&self.unturned)? {
            Event::Frame { frame, decode } => (frame, decode),
            other => return Ok(other),
        };
        let began = Instant::now();
        let turned = pool.fill(|to| turned(&frame, self.turn, to))?;
        Ok(Event::Frame {
            frame: turned,
            decode: decode + began.elapsed(),
        })
    }

    fn frames(&self) -> Option<u64> {
        self.source.frames()
    }

    fn losses(&self) -> Losses {
        self.source.losses()
    }

    fn damage(&self) -> Option<String> {
        self.source.damage()
    }

    fn sound(&self) -> Option<Sound> {
        self.source.sound()
    }
}

/// Draws `frame` turned into `to`, with all that belongs to it.
fn turned(frame: &Frame, turn: Turn, to: &mut Frame) -> Result<()> {
    (to.seq, to.captured, to.time) = (frame.seq, frame.captured, frame.time);
    match turn {
        Turn::Around => to.resize(frame.width, frame.height),
        Turn::Left | Turn::Right => to.resize(frame.height, frame.width),
    }
    let from = view(frame.width, frame.height, frame.pixels.as_slice())?;
    let mut to = view(to.width, to.height, to.pixels.as_mut_slice())?;
    match turn {
        Turn::Right => rotate90_in(&from, &mut to)?,
        Turn::Around => rotate180_in(&from, &mut to)?,
        Turn::Left => rotate270_in(&from, &mut to)?,
    }
    Ok(())
}

fn view<Bytes>(width: usize, height: usize, bytes: Bytes) -> Result<ImageBuffer<Rgb<u8>, Bytes>>
where
    Bytes: std::ops::Deref<Target = [u8]>,
{
    ImageBuffer::from_raw(width as u32, height as u32, bytes)
        .context("a frame has fewer pixels than its size says")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_turned_frame_keeps_its_times_and_turns_clockwise() {
        // a b c
        // d e f
        let frame = Frame {
            seq: 7,
            time: Duration::from_millis(40),
            width: 3,
            height: 2,
            pixels: b"aaabbbcccdddeeefff".to_vec(),
            ..Frame::empty()
        };
        for (turn, size, pixels) in [
            ("90", (2, 3), b"dddaaaeeebbbfffccc"),
            ("180", (3, 2), b"fffeeedddcccbbbaaa"),
            ("270", (2, 3), b"cccfffbbbeeeaaaddd"),
        ] {
            let mut to = Frame::empty();
            turned(&frame, turn.parse().unwrap(), &mut to).unwrap();
            assert_eq!((to.width, to.height), size, "{turn}");
            assert_eq!(to.pixels, pixels, "{turn}");
            assert_eq!((to.seq, to.time), (7, Duration::from_millis(40)));
            assert_eq!(to.captured, frame.captured);
        }
        assert!("45".parse::<Turn>().is_err());
    }
}

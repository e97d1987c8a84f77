//! A signing hand that the program draws, as a source: for whom has no camera, and for tests.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::pace::{Pace, Pacer};
use super::stream::{DEFAULT_FPS, Event, Source};
use crate::base::frame::FramePool;
use crate::demo::{Chance, Painter, Scene, Spelling, Text, vector::vec3};

/// What is spelled, again and again, where nothing else was asked for.
const DEFAULT_TEXT: &str = "HELLO WORLD JAZZ QUICK FOX";

/// The size of the picture where nothing else was asked for.
pub const DEFAULT_SIZE: (usize, usize) = (640, 480);

/// Pictures larger than this take too long to draw, in pixels a side.
pub const MAX_SIDE: usize = 1920;

/// Chance has to do with rooms and people; these turned out well lit and unlike each other.
const SCENES: [u64; 8] = [
    54_102, 54_116, 54_110, 54_120, 54_117, 54_113, 54_123, 54_112,
];

/// Where the hand's middle is held: in fractions of the picture from its middle, as the camera
/// sees it, and in metres away.
const PLACE: (f32, f32, f32) = (-0.17, 0.02, 0.56);

/// A hand that spells a text.
pub struct Demo {
    name: String,
    spelling: Spelling,
    /// Whether it begins again at the end.
    repeats: bool,
    size: (usize, usize),
    scene: Scene,
    /// The number of the scene, which changes while the hand is out of view.
    scene_at: usize,
    painter: Painter,
    pacer: Pacer,
    fps: f64,
    /// The next frame's number.
    next: u64,
    /// The next frame's pixels, and what drawing them took where that was done and it is not due.
    pixels: Vec<u8>,
    drawn: Option<Duration>,
}

impl Demo {
    /// A hand that spells `text` once, or a text of its own again and again, in pictures of `size`
    /// (width and height in pixels).
    ///
    /// # Errors
    /// When the size is none that can be drawn.
    pub fn new(text: Option<&Text>, size: (usize, usize), pace: Pace) -> Result<Demo> {
        anyhow::ensure!(
            size.0.max(size.1) <= MAX_SIDE && size.0.min(size.1) >= 16,
            "cannot draw a demo of {} x {} pixels: sides of 16 to {MAX_SIDE} can be drawn",
            size.0,
            size.1
        );
        let (spelled, repeats) = match text {
            Some(text) => (text.clone(), false),
            None => match DEFAULT_TEXT.parse() {
                Ok(text) => (text, true),
                Err(error) => anyhow::bail!("{error}"),
            },
        };
        let fps = match pace {
            Pace::RealTime { fps } => fps,
            Pace::Max => DEFAULT_FPS,
        };
        Ok(Demo {
            name: "demo".into(),
            spelling: Spelling::new(&spelled),
            repeats,
            size,
            scene: scene(0, size),
            scene_at: 0,
            painter: Painter::new(),
            pacer: Pacer::new(pace),
            fps,
            next: 0,
            pixels: Vec::new(),
            drawn: None,
        })
    }

    /// The same with so many frames a second, where they are read as fast as they can be.
    pub fn at_rate(self, fps: f64) -> Demo {
        Demo { fps, ..self }
    }

    /// The next frame's media time.
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.next as f64 / self.fps)
    }

    /// Draws the next frame. False at the end.
    fn draw(&mut self) -> bool {
        let frames = (f64::from(self.spelling.seconds()) * self.fps) as u64;
        let at = if self.repeats {
            self.next % frames.max(1)
        } else {
            self.next
        };
        let Some(moment) = self.spelling.at((at as f64 / self.fps) as f32) else {
            return false;
        };
        if self.scene_at != moment.word {
            self.scene_at = moment.word;
            self.scene = scene(moment.word, self.size);
        }
        let (width, height) = self.size;
        let (x, y, far) = PLACE;
        let unit = far / self.scene.hand.lens.reach;
        let aspect = width as f32 / height as f32;
        let place = vec3(x * aspect.min(4.0 / 3.0) * unit, y * unit, -far);
        let (painter, wrist) = (&mut self.painter, place + moment.shift);
        self.pixels.resize(width * height * 3, 0);
        self.scene
            .draw(painter, &moment.pose, wrist, self.next, &mut self.pixels);
        true
    }
}

/// The room and the person of this number.
fn scene(at: usize, size: (usize, usize)) -> Scene {
    let mut chance = Chance::seeded(SCENES[at % SCENES.len()]);
    Scene::random(size, &mut chance, 0.5 + PLACE.0)
}

impl Source for Demo {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        let decode = match self.drawn.take() {
            Some(drawn) => drawn,
            None => {
                let began = Instant::now();
                if !self.draw() {
                    return Ok(Event::End);
                }
                began.elapsed()
            }
        };
        let time = self.time();
        let Some(captured) = self.pacer.due(time) else {
            self.drawn = Some(decode);
            return Ok(Event::Waiting(None));
        };
        let frame = pool.fill(|frame| {
            frame.seq = self.next;
            frame.captured = captured;
            frame.time = time;
            (frame.width, frame.height) = self.size;
            std::mem::swap(&mut frame.pixels, &mut self.pixels);
            anyhow::Ok(())
        })?;
        self.next += 1;
        Ok(Event::Frame { frame, decode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::frame::Frame;
    use std::sync::Arc;

    fn demo(text: Option<&str>, pace: Pace) -> Demo {
        let text = text.map(|text| text.parse().unwrap());
        Demo::new(text.as_ref(), (96, 72), pace).unwrap()
    }

    /// The next frame; `None` at the end.
    fn next(demo: &mut Demo, pool: &FramePool) -> Option<Arc<Frame>> {
        loop {
            match demo.next(pool).unwrap() {
                Event::Frame { frame, .. } => return Some(frame),
                Event::Waiting(_) => {}
                Event::End => return None,
            }
        }
    }

    #[test]
    fn a_text_is_spelled_once_frame_by_frame_and_always_alike() {
        let spell = || {
            let (mut demo, pool) = (demo(Some("ab"), Pace::Max), FramePool::new());
            std::iter::from_fn(move || next(&mut demo, &pool)).collect::<Vec<_>>()
        };
        let frames = spell();
        assert!(frames.len() > 60, "{}", frames.len());
        for (at, frame) in frames.iter().enumerate() {
            assert_eq!((frame.seq, frame.width, frame.height), (at as u64, 96, 72));
            assert_eq!(frame.pixels.len(), 96 * 72 * 3);
            let due = Duration::from_secs_f64(at as f64 / DEFAULT_FPS);
            assert!(frame.time.abs_diff(due) < Duration::from_micros(1));
        }
        let again = spell();
        assert!(frames.iter().zip(&again).all(|(a, b)| a.pixels == b.pixels));
    }

    #[test]
    fn frames_come_at_their_pace_and_a_wait_is_given_back() {
        let mut demo = demo(None, Pace::RealTime { fps: 2.0 });
        let pool = FramePool::new();
        let first = next(&mut demo, &pool).unwrap();
        let waiting = demo.next(&pool).unwrap();
        assert!(matches!(waiting, Event::Waiting(None)), "{waiting:?}");
        let second = next(&mut demo, &pool).unwrap();
        assert!(second.captured - first.captured >= Duration::from_millis(500));
    }

    #[test]
    fn without_a_text_it_never_ends() {
        let (mut demo, pool) = (demo(None, Pace::Max), FramePool::new());
        demo.next = (f64::from(demo.spelling.seconds()) * DEFAULT_FPS) as u64 * 3;
        assert!(next(&mut demo, &pool).is_some());
    }

    #[test]
    fn a_size_that_cannot_be_drawn_is_refused() {
        for size in [(0, 480), (640, 100_000)] {
            assert!(Demo::new(None, size, Pace::Max).is_err());
        }
    }
}

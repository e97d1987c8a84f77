//! Draws the README's picture: the overlay over a scene that this program paints itself.
//!
//!     cargo run --release --example readme-picture -- scripts/overlay.png
//!
//! With `--size 640x480` and `--show hand|guide|unsure|keys|message|plain` it draws the screen's
//! other states, to look at them while working on the overlay. The values shown are examples.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use signcam::frame::{Frame, Rect};
use signcam::overlay::{Canvas, Figures, Overlay, Scene};
use signcam::recognize::{Reading, ReadingTimes};

/// Draws the README's picture.
#[derive(Parser)]
struct Options {
    /// The PNG file to write.
    out: PathBuf,
    /// The picture's size.
    #[arg(long, default_value = "960x720", value_parser = size)]
    size: (usize, usize),
    /// What is on the screen.
    #[arg(long, default_value = "hand")]
    show: State,
    /// Draws over an even grey (0 to 255) in place of the scene.
    #[arg(long)]
    grey: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum State {
    Hand,
    Guide,
    Unsure,
    Keys,
    Message,
    Plain,
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x');
    sides
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)))
        .ok_or_else(|| "expected WIDTHxHEIGHT, such as 640x480".into())
}

fn main() -> Result<()> {
    let options = Options::parse();
    let (width, height) = options.size;
    let mut painting = Painting::new(width, height);
    match options.grey {
        Some(grey) => painting.fill(|_, _| [f32::from(grey) / 255.0; 3]),
        None => painting.scene(),
    }
    let frame = painting.into_frame();
    let reading = reading(options.show, &frame);
    let state = options.show;
    let scene = Scene {
        frame: &frame,
        reading: reading.as_ref().filter(|_| state != State::Plain),
        guide: Some(hand_box(width, height)).filter(|_| state != State::Plain),
        mirror: true,
        stages: &[],
        figures: (state != State::Plain).then_some(Figures {
            camera_fps: 30.0,
            inference_fps: 30.0,
            display_fps: 30.0,
            infer: Duration::from_micros(6300),
            frame_age: Duration::from_micros(14200),
            dropped: 0,
        }),
        keys: &[
            ("h", "show or hide this list"),
            ("m", "mirror the picture"),
            ("f", "rates and times"),
            ("← → ↑ ↓", "move the guide box"),
            ("+ −", "make it larger, smaller"),
            ("r", "record"),
            ("q  Esc", "quit"),
        ],
        help: state == State::Keys,
        hint: Some("h  keys    q  quit"),
        message: (state == State::Message).then_some(
            "The camera was unplugged. Plug it in again and signing goes on, or press q to quit.",
        ),
        recording: (state != State::Guide).then_some(Duration::from_secs(72)),
        tally: None,
    };
    let mut pixels = vec![0; width * height];
    let mut canvas = Canvas {
        width,
        height,
        pixels: &mut pixels,
    };
    Overlay::new()?.draw(&mut canvas, &scene);
    let bytes: Vec<u8> = pixels
        .iter()
        .flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1))
        .collect();
    let file = File::create(&options.out)
        .with_context(|| format!("cannot create {}", options.out.display()))?;
    PngEncoder::new_with_quality(
        BufWriter::new(file),
        CompressionType::Best,
        FilterType::Adaptive,
    )
    .write_image(&bytes, width as u32, height as u32, ExtendedColorType::Rgb8)
    .with_context(|| format!("cannot write {}", options.out.display()))
}

fn reading(state: State, frame: &Frame) -> Option<Reading> {
    let label = |name: &str| Arc::<str>::from(name);
    let (letter, top) = match state {
        State::Guide => (None, [("nothing", 0.97), ("A", 0.01), ("S", 0.01)]),
        State::Unsure => (None, [("V", 0.41), ("U", 0.33), ("K", 0.11)]),
        _ => (Some("V"), [("V", 0.94), ("U", 0.03), ("K", 0.02)]),
    };
    Some(Reading {
        seq: 0,
        captured: Instant::now(),
        time: Duration::ZERO,
        letter: letter.map(label),
        confidence: top[0].1,
        top: top.map(|(name, part)| (label(name), part)).into(),
        hand: (state != State::Guide).then(|| hand_box(frame.width, frame.height)),
        times: ReadingTimes::default(),
    })
}

type Colour = [f32; 3];

fn colour(rgb: u32) -> Colour {
    [16, 8, 0].map(|shift| (rgb >> shift & 0xff) as f32 / 255.0)
}

/// Where the hand lies: everything is measured in picture heights, x from the picture's middle.
const HAND: (f32, f32) = (-0.30, 0.44);

fn hand_box(width: usize, height: usize) -> Rect {
    let x = |at: f32| 0.5 + at * height as f32 / width as f32;
    Rect {
        x0: x(HAND.0 - 0.175),
        y0: HAND.1 - 0.285,
        x1: x(HAND.0 + 0.165),
        y1: HAND.1 + 0.24,
    }
}

/// A picture painted shape by shape, with soft edges.
struct Painting {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

impl Painting {
    fn new(width: usize, height: usize) -> Self {
        Painting {
            width,
            height,
            pixels: vec![[0.0; 3]; width * height],
        }
    }

    fn place(&self, at: usize) -> (f32, f32) {
        let unit = self.height as f32;
        let x = (at % self.width) as f32 + 0.5 - self.width as f32 / 2.0;
        (x / unit, ((at / self.width) as f32 + 0.5) / unit)
    }

    fn fill(&mut self, paint: impl Fn(f32, f32) -> Colour) {
        for at in 0..self.pixels.len() {
            let (x, y) = self.place(at);
            self.pixels[at] = paint(x, y);
        }
    }

    /// Paints where `distance` (in picture heights, negative inside) says so, with a darker line
    /// of width `line` along the edge.
    fn shape(&mut self, paint: u32, line: f32, distance: impl Fn(f32, f32) -> f32) {
        let fill = colour(paint);
        let edge = fill.map(|part| part * 0.62);
        for at in 0..self.pixels.len() {
            let (x, y) = self.place(at);
            let depth = -distance(x, y) * self.height as f32;
            let cover = (depth + 0.5).clamp(0.0, 1.0);
            if cover == 0.0 {
                continue;
            }
            let inside = (depth - line * self.height as f32 + 0.5).clamp(0.0, 1.0);
            for part in 0..3 {
                let ink = edge[part] + (fill[part] - edge[part]) * inside;
                let under = &mut self.pixels[at][part];
                *under += (ink - *under) * cover;
            }
        }
    }

    fn scene(&mut self) {
        self.room();
        self.person();
        self.hand();
    }

    fn room(&mut self) {
        let (top, low) = (colour(0xdfe5e6), colour(0xc6d0d3));
        self.fill(|_, y| std::array::from_fn(|part| top[part] + (low[part] - top[part]) * y));
        // A window, and a shelf with books.
        self.shape(0xf7f4ee, 0.003, |x, y| {
            block(x, y, 0.45, 0.27, 0.15, 0.19, 0.01)
        });
        self.shape(0xa9cfe0, 0.0, |x, y| {
            block(x, y, 0.45, 0.27, 0.133, 0.173, 0.004)
        });
        self.shape(0xdcedf2, 0.0, |x, y| {
            block(x, y, 0.45, 0.27, 0.133, 0.173, 0.004).max(0.35 - x * 0.45 - y * 0.75)
        });
        self.shape(0xf7f4ee, 0.0, |x, y| {
            block(x, y, 0.45, 0.27, 0.007, 0.173, 0.0)
        });
        self.shape(0xf7f4ee, 0.0, |x, y| {
            block(x, y, 0.45, 0.27, 0.133, 0.007, 0.0)
        });
        self.shape(0x9a7b5f, 0.003, |x, y| {
            block(x, y, -0.62, 0.245, 0.17, 0.012, 0.004)
        });
        let books = [
            (0x4f7d8c, 0.055),
            (0xc8694f, 0.065),
            (0xe0b060, 0.05),
            (0x6b8f71, 0.06),
        ];
        for (at, (paint, high)) in books.into_iter().enumerate() {
            let x0 = -0.60 + at as f32 * 0.036;
            self.shape(paint, 0.003, |x, y| {
                block(x, y, x0, 0.233 - high, 0.015, high, 0.003)
            });
        }
    }

    fn person(&mut self) {
        // Shoulders, neck, ears, head, hair; a face as simple as can be.
        self.shape(0x35566b, 0.004, |x, y| {
            capsule(x, y, (-0.02, 0.98), (0.38, 0.98), 0.19)
                .min(block(x, y, 0.18, 1.1, 0.39, 0.16, 0.05))
        });
        self.shape(0xb97f5c, 0.004, |x, y| {
            capsule(x, y, (0.18, 0.62), (0.18, 0.80), 0.062)
        });
        for side in [0.038, 0.322] {
            self.shape(0xc68b66, 0.004, |x, y| {
                capsule(x, y, (side, 0.515), (side, 0.54), 0.026)
            });
        }
        self.shape(0x3a2a24, 0.0, |x, y| {
            capsule(x, y, (0.18, 0.425), (0.18, 0.47), 0.152)
        });
        self.shape(0xd09570, 0.004, |x, y| {
            capsule(x, y, (0.18, 0.49), (0.18, 0.565), 0.137)
        });
        self.shape(0x3a2a24, 0.0, |x, y| {
            capsule(x, y, (0.18, 0.49), (0.18, 0.565), 0.14)
                .max(y - 0.455 + (x - 0.18).powi(2) * 0.9 + (x - 0.13) * 0.18)
        });
        for side in [0.125, 0.235] {
            self.shape(0x2b2422, 0.0, |x, y| {
                capsule(x, y, (side, 0.525), (side, 0.535), 0.011)
            });
        }
        self.shape(0x8f4f41, 0.0, |x, y| {
            let ring = ((x - 0.18).hypot(y - 0.575) - 0.048).abs() - 0.006;
            ring.max(0.598 - y)
        });
    }

    /// The letter V as the camera sees a right hand: index and middle finger up and apart, the
    /// thumb over the others.
    fn hand(&mut self) {
        let (hx, hy) = HAND;
        let at = |x: f32, y: f32| (hx + x, hy + y);
        let skin = 0xd39a76;
        let line = 0.0045;
        // Forearm and sleeve.
        self.shape(skin, line, |x, y| {
            capsule(x, y, at(0.0, 0.16), at(0.02, 0.42), 0.062)
        });
        self.shape(0x35566b, 0.004, |x, y| {
            taper(x, y, at(0.02, 0.40), at(0.10, 0.75), 0.088, 0.13)
        });
        // Raised fingers and the palm, then the folded fingers and the thumb before it.
        let middle = |x: f32, y: f32| taper(x, y, at(0.012, 0.0), at(0.062, -0.235), 0.036, 0.029);
        let index = |x: f32, y: f32| taper(x, y, at(-0.055, 0.0), at(-0.105, -0.215), 0.036, 0.028);
        let palm = |x: f32, y: f32| block(x, y, hx - 0.002, hy + 0.09, 0.098, 0.105, 0.06);
        self.shape(skin, line, |x, y| {
            blend(blend(middle(x, y), index(x, y), 0.01), palm(x, y), 0.03)
        });
        for (x0, top) in [(0.048, 0.012), (0.092, 0.035)] {
            self.shape(skin, line, |x, y| {
                taper(x, y, at(x0, top), at(x0 - 0.012, top + 0.075), 0.031, 0.027)
            });
        }
        self.shape(skin, line, |x, y| {
            let low = taper(x, y, at(-0.085, 0.13), at(-0.035, 0.062), 0.042, 0.033);
            let tip = taper(x, y, at(-0.035, 0.062), at(0.038, 0.058), 0.033, 0.026);
            blend(low, tip, 0.02)
        });
        self.shape(0xe9c3a8, 0.003, |x, y| {
            taper(x, y, at(0.03, 0.052), at(0.042, 0.052), 0.0155, 0.0145)
        });
    }

    fn into_frame(self) -> Frame {
        let mut frame = Frame::empty();
        frame.resize(self.width, self.height);
        let parts = self.pixels.iter().flatten();
        for (byte, part) in frame.pixels.iter_mut().zip(parts) {
            *byte = (part * 255.0).round() as u8;
        }
        frame
    }
}

/// Distance to a rectangle around (`cx`, `cy`) with half its sides and rounded corners.
fn block(x: f32, y: f32, cx: f32, cy: f32, half_w: f32, half_h: f32, round: f32) -> f32 {
    let dx = (x - cx).abs() - half_w + round;
    let dy = (y - cy).abs() - half_h + round;
    dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - round
}

fn capsule(x: f32, y: f32, from: (f32, f32), to: (f32, f32), radius: f32) -> f32 {
    taper(x, y, from, to, radius, radius)
}

/// Distance to a stroke whose radius changes on the way.
fn taper(x: f32, y: f32, from: (f32, f32), to: (f32, f32), start: f32, end: f32) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let along = ((x - from.0) * dx + (y - from.1) * dy) / (dx * dx + dy * dy);
    let along = along.clamp(0.0, 1.0);
    let radius = start + (end - start) * along;
    (x - from.0 - dx * along).hypot(y - from.1 - dy * along) - radius
}

/// The union of two shapes with a rounded joint.
fn blend(a: f32, b: f32, round: f32) -> f32 {
    let near = (round - (a - b).abs()).max(0.0) / round;
    a.min(b) - near * near * round / 4.0
}

//! Draws the README's picture: the overlay over a frame of the demo, read by the built-in models.
//!
//!     cargo run --release --example readme-picture -- scripts/overlay.png
//!
//! With `--size 640x480` and `--show hand|guide|unsure|keys|message|spelled|plain` it draws the screen's
//! other states, to look at them while working on the overlay. Rates and times are examples.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use signcam::base::frame::{Frame, Rect};
use signcam::demo::{self, Chance, alphabet};
use signcam::model::Model;
use signcam::overlay::{Canvas, Figures, Overlay, Scene, Spelled};
use signcam::recognize::finder::Finder;
use signcam::recognize::hand::Tracker;
use signcam::recognize::motion::Movement;
use signcam::recognize::{
    HandPlace, Reading, ReadingTimes, Recognizer, RecognizerOptions, THRESHOLD,
};

/// Chance has to do with the room; with this seed it turned out well.
const ROOM: u64 = 54_102;

/// Draws the README's picture.
#[derive(Parser)]
struct Options {
    /// The PNG (or, as a camera codes its pictures, JPEG) file to write.
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
    Spelled,
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
    let (frame, hand) = frame(width, height, options.grey);
    let reading = reading(options.show, &frame, hand)?;
    let state = options.show;
    let words = ["HAVE", "HAD", "HAND"].map(String::from);
    let scene = Scene {
        frame: &frame,
        reading: reading.as_ref().filter(|_| state != State::Plain),
        guide: Some(hand).filter(|_| state != State::Plain),
        mirror: true,
        stages: &[],
        spelled: (state == State::Spelled).then_some(Spelled {
            text: "HELLO WORLD THIS IS SPELLED WITH A HA",
            open: 0,
            pending: Some(("V", 0.6)),
            words: &words,
        }),
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
        joints: false,
        chart: false,
        practice: None,
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
    if options.out.extension().is_some_and(|kind| kind == "jpg") {
        let (width, height) = (width as u32, height as u32);
        return image::save_buffer(&options.out, &bytes, width, height, ExtendedColorType::Rgb8)
            .with_context(|| format!("cannot write {}", options.out.display()));
    }
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

/// A frame of the demo, or an even grey, and where the hand is.
fn frame(width: usize, height: usize, grey: Option<u8>) -> (Frame, Rect) {
    let mut frame = Frame::empty();
    frame.resize(width, height);
    let middle = [0.32, 0.44];
    let mut room = demo::Scene::random((width, height), &mut Chance::seeded(ROOM), middle[0]);
    // Noise is hard to compress.
    room.noise = 0.0;
    let pose = alphabet::pose("V").expect("V is a letter");
    let mut painter = demo::Painter::new();
    let wrist = demo::wrist_for(
        &mut painter,
        &room.hand,
        &pose,
        (width, height),
        middle,
        0.5,
    );
    let seen = room.draw(&mut painter, &pose, wrist, 0, &mut frame.pixels);
    if let Some(grey) = grey {
        frame.pixels.fill(grey);
    }
    (frame, seen.hand)
}

/// What the built-in models read from the frame, or what they could.
fn reading(state: State, frame: &Frame, hand: Rect) -> Result<Option<Reading>> {
    let label = |name: &str| Arc::<str>::from(name);
    let top = match state {
        State::Guide => [("nothing", 0.97), ("A", 0.01), ("S", 0.01)],
        State::Unsure => [("V", 0.41), ("U", 0.33), ("K", 0.11)],
        _ => {
            let options = RecognizerOptions {
                threshold: THRESHOLD,
                place: HandPlace::Found(Box::new(Tracker::of_stills(Finder::embedded()?))),
                steadying: None,
            };
            let reading = Recognizer::new(Model::embedded()?, options).read(frame)?;
            return Ok(Some(reading));
        }
    };
    Ok(Some(Reading {
        seq: 0,
        captured: Instant::now(),
        time: Duration::ZERO,
        letter: None,
        confidence: top[0].1,
        top: top.map(|(name, part)| (label(name), part)).into(),
        hand: (state != State::Guide).then_some(hand),
        joints: None,
        movement: Movement::None,
        steps: None,
        times: ReadingTimes::default(),
    }))
}

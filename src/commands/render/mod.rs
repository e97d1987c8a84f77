//! `signcam render`: the overlay on an existing video, every frame, as fast as it goes.

mod sound;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail, ensure};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::base::frame::{Frame, FramePool};
use crate::commands::inputs::{ReaderArgs, SpellingArgs};
use crate::commands::progress::Progress;
use crate::live::canvas_size;
use crate::overlay::{Canvas, Overlay, Scene, Spelled};
use crate::recognize::Reading;
use crate::recognize::speller::Speller;
use crate::sink::record::{Hurry, RecordSummary, Recorder, recording_name, takes};
use crate::source::{self, Event, OpenOptions, Origin, Pace, Size, Turn};

/// What `signcam render` takes.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// A video, a picture, or a folder of pictures (sub-folders included, in path order)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write: a video, or a small clip for a web page
    #[arg(
        value_name = "OUT.mp4|OUT.gif",
        value_parser = PathBufValueParser::new().try_map(recording_name)
    )]
    output: PathBuf,
    #[command(flatten)]
    reader: ReaderArgs,
    #[command(flatten)]
    spelling: SpellingArgs,
    /// Swap left and right, as the window does, but not the text
    #[arg(long)]
    mirror: bool,
    /// Turn every picture clockwise by 90, 180 or 270 degrees, for a video that lies on its side
    #[arg(long, value_name = "DEGREES")]
    rotate: Option<Turn>,
    /// The size to render at. Without it, the video's own, enlarged where the text would not fit
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
}

/// Reads every frame and writes it with its letter, at its own time. The sound of the video is kept
/// where an `ffmpeg` is installed.
///
/// # Errors
/// When the input cannot be read, the output exists or cannot be written, or `interrupted` is set;
/// what was written until then can be played.
pub fn render(args: &RenderArgs, interrupted: &AtomicBool) -> Result<()> {
    let origin = Origin::Path(args.input.clone());
    let options = OpenOptions {
        pace: Pace::Max,
        turn: args.rotate,
        #[cfg(feature = "camera")]
        wish: Default::default(),
        text: None,
    };
    let mut source = source::open(&origin, &options)?;
    let mut recognizer = args.reader.recognizer(&origin)?;
    let mut drawing = Drawing {
        overlay: Overlay::new()?,
        speller: args.spelling.speller(&origin, recognizer.model()),
        mirror: args.mirror,
        width: 0,
        height: 0,
        pixels: Vec::new(),
    };
    let mut recorder = None;
    let mut progress = Progress::new(source.frames(), "frames");
    let pool = FramePool::new();
    while !interrupted.load(Ordering::Acquire) {
        let frame = match source.next(&pool)? {
            Event::Frame { frame, .. } => frame,
            Event::Waiting(_) => continue,
            Event::End => break,
        };
        let reading = recognizer.read(&frame)?;
        let recorder = match &mut recorder {
            Some(recorder) => recorder,
            None => {
                let (width, height) = args.rendered_size(frame.width, frame.height);
                (drawing.width, drawing.height) = (width, height);
                let started = Recorder::start(&args.output, width, height, Hurry::None);
                recorder.insert(started.map_err(|error| match takes(width, height) {
                    true => error,
                    false => error.context("--size WxH renders at another size"),
                })?)
            }
        };
        recorder.push(drawing.draw(&frame, &reading), frame.time)?;
        progress.tell(|| format!("{:.1} s of video", frame.time.as_secs_f64()));
    }
    progress.end();
    let summary = match recorder {
        Some(recorder) => recorder.finish()?,
        None => RecordSummary::default(),
    };
    let output = args.output.display();
    if interrupted.load(Ordering::Acquire) {
        bail!("interrupted: {output} holds the beginning ({summary})");
    }
    ensure!(summary.frames > 0, "there are no frames in {origin}");
    if let Some(said) = source
        .sound()
        .and_then(|sound| sound::keep(&sound, &args.output))
    {
        eprintln!("{said}");
    }
    let bytes = fs::metadata(&args.output).map_or(summary.bytes, |about| about.len());
    eprintln!("rendered {output}: {}", RecordSummary { bytes, ..summary });
    if let Some(damage) = source.damage() {
        eprintln!("{damage}");
    }
    Ok(())
}

impl RenderArgs {
    /// Width and height of what is rendered from frames of `width` x `height` pixels: never smaller
    /// than they are, unless that was asked for.
    fn rendered_size(&self, width: usize, height: usize) -> (usize, usize) {
        if let Some(size) = self.size {
            return (size.width as usize, size.height as usize);
        }
        let (fitted_width, fitted_height) = canvas_size(width, height);
        (fitted_width.max(width), fitted_height.max(height))
    }
}

/// Draws frames with readings.
struct Drawing {
    overlay: Overlay,
    /// Turns letters into text, where frames follow each other.
    speller: Option<Speller>,
    mirror: bool,
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

impl Drawing {
    /// The picture of a frame with its own reading.
    fn draw(&mut self, frame: &Frame, reading: &Reading) -> &[u32] {
        if let Some(speller) = &mut self.speller {
            speller.read(reading);
        }
        self.pixels.resize(self.width * self.height, 0);
        let mut canvas = Canvas {
            width: self.width,
            height: self.height,
            pixels: &mut self.pixels,
        };
        let scene = Scene {
            frame,
            reading: Some(reading),
            guide: None,
            mirror: self.mirror,
            spelled: self.speller.as_ref().map(|speller| Spelled {
                text: speller.text(),
                open: speller.open(),
                pending: speller.pending(),
                words: &[],
            }),
            figures: None,
            stages: &[],
            keys: &[],
            help: false,
            joints: false,
            chart: false,
            practice: None,
            hint: None,
            message: None,
            recording: None,
            tally: None,
        };
        self.overlay.draw(&mut canvas, &scene);
        &self.pixels
    }
}

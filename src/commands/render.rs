//! `signcam render`: the overlay on an existing video, every frame, as fast as it goes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::base::frame::{Frame, FramePool};
use crate::commands::inputs::{ReaderArgs, SpellingArgs};
use crate::commands::progress::Progress;
use crate::live::canvas_size;
use crate::overlay::{Canvas, Overlay, Scene, Spelled};
use crate::recognize::Reading;
use crate::recognize::speller::Speller;
use crate::sink::record::{Hurry, RecordSummary, Recorder};
use crate::source::{self, Event, OpenOptions, Origin, Pace};

/// What `signcam render` takes.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// A video, a picture, or a folder of pictures (sub-folders included, in path order)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write: a video, or a small clip for a web page
    #[arg(value_name = "OUT.mp4|OUT.gif")]
    output: PathBuf,
    #[command(flatten)]
    reader: ReaderArgs,
    #[command(flatten)]
    spelling: SpellingArgs,
    /// Swap left and right, as the window does, but not the text
    #[arg(long)]
    mirror: bool,
}

/// Reads every frame and writes it with its letter, at its own time.
///
/// # Errors
/// When the input cannot be read, the output exists or cannot be written, or `interrupted` is set;
/// what was written until then can be played.
pub fn render(args: &RenderArgs, interrupted: &AtomicBool) -> Result<()> {
    let origin = Origin::Path(args.input.clone());
    let options = OpenOptions {
        pace: Pace::Max,
        #[cfg(feature = "camera")]
        wish: Default::default(),
        text: None,
    };
    let mut source = source::open(&origin, &options)?;
    let mut recognizer = args.reader.recognizer(&origin)?;
    let mut drawing = Drawing {
        overlay: Overlay::new()?,
        speller: args.spelling.speller(&origin),
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
                (drawing.width, drawing.height) = canvas_size(frame.width, frame.height);
                let (width, height) = (drawing.width, drawing.height);
                recorder.insert(Recorder::start(&args.output, width, height, Hurry::None)?)
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
    eprintln!("rendered {output}: {summary}");
    let damaged = source.losses().damaged;
    if damaged > 0 {
        eprintln!("{damaged} frames of {origin} are too damaged to be decoded and are missing");
    }
    Ok(())
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
                pending: speller.pending(),
                words: &[],
            }),
            figures: None,
            stages: &[],
            keys: &[],
            help: false,
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

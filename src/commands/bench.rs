//! `signcam bench`: what each stage takes on this machine, without a window.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, ensure};
use clap::Args;

use crate::base::frame::{Frame, FramePool};
use crate::commands::inputs::{ReaderArgs, SourceArgs};
use crate::live::{Guide, Live, View};
use crate::sink::null::NullScreen;
use crate::source::{Event, Losses, Origin, Pace, Source};
use crate::stats::Stats;

/// What `signcam bench` takes.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    reader: ReaderArgs,
    /// Frames to measure; a file that has fewer is played again
    #[arg(long, value_name = "N", default_value_t = 300)]
    frames: u64,
    /// Frames to let pass before anything is measured
    #[arg(long, value_name = "N", default_value_t = 30)]
    warmup: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Watches as many frames as asked for and returns what is to be printed. Everything is done that
/// a window needs, but for handing its picture to the desktop.
///
/// # Errors
/// When a model or the source cannot be opened, or the source fails or has no frames.
pub fn bench(args: &BenchArgs, interrupted: Arc<AtomicBool>) -> Result<String> {
    ensure!(args.frames > 0, "--frames must be at least 1");
    let origin = args.source.origin();
    let pace = args.source.pace(Pace::Max);
    let mut recognizer = args.reader.recognizer(&origin)?;
    let setup = args.reader.setup(recognizer.model())?;
    let stats = Stats::new();
    let guide = args.reader.guide;
    let live = Live {
        source: Box::new(Measured {
            source: args.source.open(pace)?,
            args: args.source.clone(),
            pace,
            warmup: args.warmup,
            frames: args.frames,
            delivered: 0,
            since_opened: 0,
            stats: stats.clone(),
        }),
        guide: guide.map(Guide::around),
        speller: None,
        practice: None,
        reader: Box::new(move |frame: &Frame, guide| recognizer.read_guided(frame, guide)),
        keep_all: pace == Pace::Max && matches!(origin, Origin::Path(_) | Origin::Demo),
        interrupted,
        stats: stats.clone(),
    };
    let view = View {
        screen: Some(Box::new(|_, _| Ok(Box::new(NullScreen)))),
        mirror: true,
        ..View::default()
    };
    live.run(view, None)?;
    let report = stats.report(setup);
    Ok(if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        format!("{report}\n")
    })
}

/// A source that ends after so many frames, and a file played until then.
struct Measured {
    source: Box<dyn Source>,
    args: SourceArgs,
    pace: Pace,
    warmup: u64,
    frames: u64,
    delivered: u64,
    since_opened: u64,
    stats: Stats,
}

impl Source for Measured {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        if self.delivered == self.warmup + self.frames {
            return Ok(Event::End);
        }
        let event = self.source.next(pool)?;
        match event {
            Event::Frame { .. } => {
                if self.delivered == self.warmup {
                    self.stats.restart();
                }
                self.delivered += 1;
                self.since_opened += 1;
                Ok(event)
            }
            Event::End => {
                ensure!(self.since_opened > 0, "{} has no frames", self.name());
                self.source = self.args.open(self.pace)?;
                self.since_opened = 0;
                Ok(Event::Waiting(None))
            }
            Event::Waiting(_) => Ok(event),
        }
    }

    fn losses(&self) -> Losses {
        self.source.losses()
    }
}

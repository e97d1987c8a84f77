//! Live: the threads and the screen, wired together.
//!
//! ```text
//! source thread ──▶ mailbox ──▶ inference thread ──▶ newest reading or JSON lines
//!        └────────▶ mailbox ──▶ main thread: overlay, window
//! ```
//!
//! The window shows each frame as it comes, with the newest reading over it; it never waits for
//! the network. Where every frame counts ([`Live::keep_all`]) the source waits for both instead.

mod guide;
mod pipeline;
#[cfg(test)]
mod tests;
mod viewer;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::mailbox::Empty;
use crate::sink::lines;
use crate::source::Source;
use crate::stats::{Stage, Stats};

pub use guide::{Guide, SharedGuide};
pub use pipeline::Reader;
pub use viewer::OpenScreen;

use pipeline::{Parts, Pipeline, ReadingSink};
use viewer::{NewestReading, Viewer};

/// How long the main thread waits for a frame before it looks after the window.
const FRAME_WAIT: Duration = Duration::from_millis(10);

/// What to watch and how.
pub struct Live {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// What reads them.
    pub reader: Box<dyn Reader>,
    /// Whether each frame is read and shown, however long that takes, or the newest one only.
    pub keep_all: bool,
    /// Set from outside to end the program in good order.
    pub interrupted: Arc<AtomicBool>,
    /// Where times and rates go.
    pub stats: Stats,
}

impl Live {
    /// Writes each reading as a line of JSON, until the source ends, `interrupted` is set, or
    /// nobody reads `out` any more.
    ///
    /// # Errors
    /// When the source or the reader fails, or `out` cannot be written.
    pub fn run_headless(self, mut out: impl Write + Send + 'static) -> Result<()> {
        let stats = self.stats.clone();
        let readings: ReadingSink = Box::new(move |reading| {
            let goes_on = lines::write(&reading, &mut out).context("cannot write a reading")?;
            stats.time(Stage::AgeAtPresent, reading.captured.elapsed());
            Ok(goes_on)
        });
        let interrupted = Arc::clone(&self.interrupted);
        let mut pipeline = self.start(readings, SharedGuide::default(), false)?;
        let result = loop {
            if interrupted.load(Ordering::Acquire) {
                break Ok(());
            }
            match pipeline.has_ended(Duration::from_millis(50)) {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => break Err(error),
            }
        };
        result.and(pipeline.stop())
    }

    /// Shows frames with readings on the screen that `open` gives, until the source ends, the
    /// person before it quits, or `interrupted` is set. A single picture stays until then.
    ///
    /// # Errors
    /// When the source or the reader fails, or there is no screen.
    pub fn run_on_screen(self, open: OpenScreen, mirror: bool) -> Result<()> {
        let readings = NewestReading::default();
        let guide = SharedGuide::default();
        let stats = self.stats.clone();
        let interrupted = Arc::clone(&self.interrupted);
        let sink: ReadingSink = Box::new({
            let readings = readings.clone();
            move |reading| {
                readings.set(reading);
                Ok(true)
            }
        });
        let mut viewer = Viewer::new(open, mirror, guide.clone(), readings, stats)?;
        let mut pipeline = self.start(sink, guide, true)?;
        let result = show(&mut pipeline, &mut viewer, &interrupted);
        // An error on the way explains more than one while ending.
        let stopped = pipeline.stop();
        result.and(stopped)
    }

    fn start(self, readings: ReadingSink, guide: SharedGuide, show: bool) -> Result<Pipeline> {
        Pipeline::start(Parts {
            source: self.source,
            reader: self.reader,
            readings,
            guide,
            keep_all: self.keep_all,
            show,
            stats: self.stats,
        })
    }
}

fn show(pipeline: &mut Pipeline, viewer: &mut Viewer, interrupted: &AtomicBool) -> Result<()> {
    while !interrupted.load(Ordering::Acquire) {
        match pipeline.frame(FRAME_WAIT) {
            Ok(frame) => viewer.show(frame)?,
            Err(Empty::Timeout) => viewer.idle(pipeline.trouble())?,
            Err(Empty::Closed) => {
                // What is left to wait for is the last frame's reading, or the reason of the end.
                let ended = pipeline.has_ended(FRAME_WAIT)?;
                if ended && viewer.frames() != 1 {
                    break;
                }
                if ended {
                    std::thread::sleep(FRAME_WAIT);
                }
                viewer.idle(None)?;
            }
        }
        pipeline.has_ended(Duration::ZERO)?;
        if !viewer.answer_keys() {
            break;
        }
    }
    Ok(())
}

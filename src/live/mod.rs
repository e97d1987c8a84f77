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
mod readings;
#[cfg(test)]
mod tests;
mod viewer;
mod writing;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use crate::mailbox::Empty;
use crate::recognize::speller::Speller;
use crate::source::Source;
use crate::stats::Stats;

pub use guide::{Guide, SharedGuide};
pub use pipeline::Reader;
pub use viewer::{OpenScreen, StartRecording, View};
pub use writing::Copy;

use pipeline::{Parts, Pipeline};
use readings::{NewestReading, Readings, SharedSpeller};
use viewer::Viewer;

/// How long the main thread waits for a frame before it looks after the window.
const FRAME_WAIT: Duration = Duration::from_millis(10);

/// What to watch and how.
pub struct Live {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// What reads them.
    pub reader: Box<dyn Reader>,
    /// The box into which the signer puts the hand; `None` where the reader finds the hand itself.
    pub guide: Option<Guide>,
    /// What turns letters into text; `None` where pictures do not follow each other.
    pub speller: Option<Speller>,
    /// Whether each frame is read and shown, however long that takes, or the newest one only.
    pub keep_all: bool,
    /// Set from outside to end the program in good order.
    pub interrupted: Arc<AtomicBool>,
    /// Where times and rates go.
    pub stats: Stats,
}

impl Live {
    /// Watches until the source ends, the person before the screen quits, `interrupted` is set, or
    /// nobody reads `lines` any more. On a screen, a single picture stays after the source's end.
    ///
    /// Frames with readings go to `view`; each reading goes to `lines` as a line of JSON, and so do
    /// changes to the text that it made.
    ///
    /// # Errors
    /// When the source or the reader fails, there is no screen, or `lines` or a recording cannot
    /// be written.
    pub fn run(self, view: View, lines: Option<Box<dyn Write + Send>>) -> Result<()> {
        let readings = NewestReading::default();
        let guide = SharedGuide::new(self.guide.unwrap_or_default());
        let shown_guide = self.guide.map(|_| guide.clone());
        let interrupted = Arc::clone(&self.interrupted);
        let speller = self.speller.map(SharedSpeller::new);
        let sink = Readings::new(readings.clone(), speller.clone(), lines, self.stats.clone());
        let show = view.screen.is_some() || view.record.is_some();
        let stats = self.stats.clone();
        let mut viewer = Viewer::new(view, shown_guide, readings, speller, stats)?;
        let mut pipeline = Pipeline::start(Parts {
            source: self.source,
            reader: self.reader,
            readings: Box::new(sink),
            guide,
            keep_all: self.keep_all,
            show,
            stats: self.stats,
        })?;
        let result = follow(&mut pipeline, &mut viewer, &interrupted);
        // The first error explains more than one while ending.
        let result = result.and(pipeline.stop());
        let recorded = viewer.finish();
        result?;
        if let Some(recorded) = recorded? {
            eprintln!("{recorded}");
        }
        Ok(())
    }
}

/// The main thread's part: shows frames, answers keys, and notices the end.
fn follow(pipeline: &mut Pipeline, viewer: &mut Viewer, interrupted: &AtomicBool) -> Result<()> {
    while !interrupted.load(Ordering::Acquire) {
        match pipeline.frame(FRAME_WAIT) {
            Ok(frame) => viewer.show(frame)?,
            Err(Empty::Timeout) => viewer.idle(pipeline.trouble())?,
            Err(Empty::Closed) => {
                // What is left to wait for is the last reading, or the reason of the end.
                let ended = pipeline.has_ended(FRAME_WAIT)?;
                if ended && !viewer.shows_still() {
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

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
mod recordings;
#[cfg(test)]
mod tests;
mod viewer;
mod writing;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use crate::base::frame::Frame;
use crate::mailbox::Empty;
use crate::recognize::speller::Speller;
use crate::source::Source;
use crate::stats::Stats;

pub use guide::{Guide, SharedGuide};
pub use pipeline::Reader;
pub use readings::{NewestReading, SharedPractice, SharedSpeller};
pub use recordings::StartRecording;
pub use viewer::{OpenScreen, View, canvas_size};
pub use writing::Copy;

use pipeline::{Parts, Pipeline};
use readings::Readings;
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
    /// A word whose letters are asked for; it takes a speller to read them.
    pub practice: Option<SharedPractice>,
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
        let show = view.screen.is_some() || view.record.is_some();
        let mut viewer = Viewer::new(view, self.stats.clone())?;
        let result = self.drive(&mut viewer, lines, show);
        result.and(viewer.finish())
    }

    /// As [`Live::run`] does, with another front than the window that watches.
    ///
    /// # Errors
    /// When the source, the reader or the front fails.
    pub fn run_before(self, front: &mut dyn Front) -> Result<()> {
        self.drive(front, None, true)
    }

    fn drive(
        self,
        front: &mut dyn Front,
        lines: Option<Box<dyn Write + Send>>,
        show: bool,
    ) -> Result<()> {
        let readings = NewestReading::default();
        let guide = SharedGuide::new(self.guide.unwrap_or_default());
        let speller = self.speller.map(SharedSpeller::new);
        let shown_guide = self.guide.map(|_| guide.clone());
        front.begin(shown_guide, speller.clone(), readings.clone());
        let interrupted = Arc::clone(&self.interrupted);
        let sink = Readings::new(readings, speller, self.practice, lines, self.stats.clone());
        let mut pipeline = Pipeline::start(Parts {
            source: self.source,
            reader: self.reader,
            readings: Box::new(sink),
            guide,
            keep_all: self.keep_all,
            show,
            stats: self.stats,
        })?;
        let result = follow(&mut pipeline, front, &interrupted);
        // The first error explains more than one while ending.
        result.and(pipeline.stop())
    }
}

/// What stands before the person: it shows frames and answers keys, on the main thread.
pub trait Front {
    /// Before the first frame: the box that the hand is put into and what is spelled, where there
    /// are any, and where readings come.
    fn begin(
        &mut self,
        guide: Option<SharedGuide>,
        speller: Option<SharedSpeller>,
        readings: NewestReading,
    );

    /// Shows a new frame.
    ///
    /// # Errors
    /// When that is not possible any more.
    fn show(&mut self, frame: Arc<Frame>) -> Result<()>;

    /// Looks after the screen while there is no new frame; `trouble` says why.
    ///
    /// # Errors
    /// When that is not possible any more.
    fn idle(&mut self, trouble: Option<String>) -> Result<()>;

    /// Does what the keys said; `false` when that was to quit.
    ///
    /// # Errors
    /// When what was asked for ends the program.
    fn answer_keys(&mut self) -> Result<bool>;

    /// Whether a still picture is on a screen, for somebody to look at.
    fn shows_still(&self) -> bool;
}

/// The main thread's part: shows frames, answers keys, and notices the end.
fn follow(pipeline: &mut Pipeline, front: &mut dyn Front, interrupted: &AtomicBool) -> Result<()> {
    while !interrupted.load(Ordering::Acquire) {
        match pipeline.frame(FRAME_WAIT) {
            Ok(frame) => front.show(frame)?,
            Err(Empty::Timeout) => front.idle(pipeline.trouble())?,
            Err(Empty::Closed) => {
                // What is left to wait for is the last reading, or the reason of the end.
                let ended = pipeline.has_ended(FRAME_WAIT)?;
                if ended && !front.shows_still() {
                    break;
                }
                if ended {
                    std::thread::sleep(FRAME_WAIT);
                }
                front.idle(None)?;
            }
        }
        pipeline.has_ended(Duration::ZERO)?;
        if !front.answer_keys()? {
            break;
        }
    }
    Ok(())
}

//! The viewer's recordings: the one that was asked for at the start, and those that a key starts.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::base::frame::Frame;
use crate::overlay::Canvas;
use crate::sink::screen::Recording;
use crate::stats::{Drop as Lost, Stage, Stats};

/// Starts a recording of pictures of the given width and height, in pixels.
pub type StartRecording = Box<dyn FnMut(usize, usize) -> Result<Box<dyn Recording>>>;

/// Records one picture after the other; at most one recording runs at a time.
pub struct Recordings {
    /// Starts those that a key asks for.
    on_key: Option<StartRecording>,
    /// Whether frames are recorded as the camera sees them, with nothing drawn over them.
    clean: bool,
    running: Option<Running>,
    /// Recordings that were stopped and whose files are being completed.
    ending: Vec<JoinHandle<Result<String>>>,
    /// What ended a recording early: the first such trouble.
    broken: Option<anyhow::Error>,
    /// Pictures that the recordings before the running one left out.
    dropped: u64,
    /// A clean picture; kept for its memory.
    frame: Vec<u32>,
    stats: Stats,
}

/// A recording since the frame of media time `since`.
struct Running {
    file: Box<dyn Recording>,
    name: String,
    since: Duration,
}

/// A picture on its way to a recording.
pub struct Shown<'a> {
    /// The frame, as the camera sees it.
    pub frame: &'a Frame,
    /// The frame with everything that is drawn over it: `height * width` pixels `0x00RRGGBB`.
    pub pixels: &'a [u32],
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Recordings {
    /// No recording yet; `on_key` starts those that a key asks for.
    pub fn new(on_key: Option<StartRecording>, clean: bool, stats: Stats) -> Self {
        Recordings {
            on_key,
            clean,
            running: None,
            ending: Vec::new(),
            broken: None,
            dropped: 0,
            frame: Vec::new(),
            stats,
        }
    }

    /// Starts the recording that begins with the first frame, of media time `since`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(
        &mut self,
        mut start: StartRecording,
        (width, height): (usize, usize),
        since: Duration,
    ) -> Result<()> {
        self.running = Some(Running::new(start(width, height)?, since));
        Ok(())
    }

    /// Stops the recording that runs, or starts one with the frame after that of media time
    /// `since`, and says so. What cannot be started ends nothing else.
    pub fn toggle(&mut self, (width, height): (usize, usize), since: Duration) -> Option<String> {
        if let Some(recording) = self.running.take() {
            self.dropped += recording.file.dropped();
            return Some(self.end(recording));
        }
        Some(match (self.on_key.as_mut()?)(width, height) {
            Ok(file) => {
                let recording = Running::new(file, since);
                let said = format!("recording {}, r stops it", recording.name);
                self.running = Some(recording);
                said
            }
            Err(error) => {
                tracing::error!("{error:#}");
                format!("cannot record: {}", error.root_cause())
            }
        })
    }

    /// Completes a recording's file on a thread of its own: a slow disk holds no picture up.
    fn end(&mut self, recording: Running) -> String {
        let Running { file, name, .. } = recording;
        let complete = thread::Builder::new()
            .name("record-end".into())
            .spawn(move || file.finish());
        match complete {
            Ok(thread) => {
                self.ending.push(thread);
                format!("saved {name}")
            }
            // The recording was dropped with the closure, which completes its file, too.
            Err(error) => format!("saved {name}, but no thread could be started: {error}"),
        }
    }

    /// For how long the running recording has run at the frame of media time `time`.
    pub fn elapsed(&self, time: Duration) -> Option<Duration> {
        let running = self.running.as_ref()?;
        Some(time.saturating_sub(running.since))
    }

    /// Records a picture, where a recording runs. One that breaks off, because the disk is full,
    /// say, ends nothing else for now; what is returned is for the screen.
    pub fn push(&mut self, shown: &Shown) -> Option<String> {
        let recording = self.running.as_mut()?;
        let began = Instant::now();
        let pixels = if self.clean {
            self.frame.resize(shown.pixels.len(), 0);
            let mut canvas = Canvas {
                width: shown.width,
                height: shown.height,
                pixels: &mut self.frame,
            };
            canvas.frame(shown.frame, false);
            &self.frame
        } else {
            shown.pixels
        };
        let pushed = recording.file.push(pixels, shown.frame.time);
        let dropped = self.dropped + recording.file.dropped();
        self.stats.set_dropped(Lost::Record, dropped);
        if let Err(error) = pushed {
            self.dropped = dropped;
            self.running = None;
            return Some(self.broke(error));
        }
        self.stats.time(Stage::Record, began.elapsed());
        None
    }

    /// Looks after the files that are being completed; what is returned is for the screen.
    pub fn look_after(&mut self) -> Option<String> {
        let (done, ending) = std::mem::take(&mut self.ending)
            .into_iter()
            .partition(JoinHandle::is_finished);
        self.ending = ending;
        self.join(done)
    }

    /// Completes every file.
    ///
    /// # Errors
    /// When a recording has ended early, or a file cannot be completed.
    pub fn finish(mut self) -> Result<()> {
        if let Some(recording) = self.running.take() {
            self.end(recording);
        }
        let ending = std::mem::take(&mut self.ending);
        self.join(ending);
        match self.broken {
            Some(error) => Err(error.context("the recording has ended early")),
            None => Ok(()),
        }
    }

    fn join(&mut self, ending: Vec<JoinHandle<Result<String>>>) -> Option<String> {
        let mut trouble = None;
        for thread in ending {
            match thread.join() {
                Ok(Ok(said)) => eprintln!("{said}"),
                Ok(Err(error)) => trouble = Some(self.broke(error)),
                Err(_) => {
                    let error = anyhow!("a recording's thread broke down; its file may be short");
                    trouble = Some(self.broke(error));
                }
            }
        }
        trouble
    }

    fn broke(&mut self, error: anyhow::Error) -> String {
        tracing::error!("a recording has ended early: {error:#}");
        let said = format!("the recording has ended early: {}", error.root_cause());
        self.broken.get_or_insert(error);
        said
    }
}

impl Running {
    fn new(file: Box<dyn Recording>, since: Duration) -> Self {
        let name = file.path().file_name().unwrap_or_default();
        Running {
            name: name.to_string_lossy().into_owned(),
            file,
            since,
        }
    }
}

//! The threads behind the screen: one that reads the source, one that reads letters.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{self as channel, RecvTimeoutError};

use super::guide::SharedGuide;
use crate::base::frame::{Frame, FramePool, Rect};
use crate::mailbox::{self, Closed, Empty, mailbox};
use crate::recognize::Reading;
use crate::source::{Event, Source};
use crate::stats::{Drop as Lost, Rate, Stage, Stats};

/// How long the threads get to end once they were told to.
const CLOSING_TIME: Duration = Duration::from_millis(700);

/// How long a thread waits for something to do before it looks around.
const LOOK_AROUND: Duration = Duration::from_millis(50);

/// Reads letters from frames.
pub trait Reader: Send {
    /// Reads a frame; `guide` is the box into which the signer puts the hand.
    ///
    /// # Errors
    /// When reading is not possible any more; ends the program.
    fn read(&mut self, frame: &Frame, guide: Rect) -> Result<Reading>;
}

impl<F> Reader for F
where
    F: FnMut(&Frame, Rect) -> Result<Reading> + Send,
{
    fn read(&mut self, frame: &Frame, guide: Rect) -> Result<Reading> {
        self(frame, guide)
    }
}

/// Takes readings, on the thread that reads letters.
pub trait ReadingSink: Send {
    /// Takes a reading; `false` ends the program in good order.
    ///
    /// # Errors
    /// When it cannot be passed on; ends the program.
    fn take(&mut self, reading: Reading) -> Result<bool>;

    /// Learns that there are no more.
    ///
    /// # Errors
    /// When what is left cannot be passed on.
    fn end(&mut self) -> Result<()>;
}

/// What the threads work with.
pub struct Parts {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// What reads them.
    pub reader: Box<dyn Reader>,
    /// Where readings go.
    pub readings: Box<dyn ReadingSink>,
    /// The box that the hand is put into.
    pub guide: SharedGuide,
    /// Whether each frame is read and shown, however long that takes, or the newest one only.
    pub keep_all: bool,
    /// Whether frames are wanted for a screen.
    pub show: bool,
    /// Where times and rates go.
    pub stats: Stats,
}

/// The running threads.
pub struct Pipeline {
    frames: Option<mailbox::Receiver<Arc<Frame>>>,
    trouble: Arc<Mutex<Option<String>>>,
    stop: Arc<AtomicBool>,
    ended: channel::Receiver<Result<()>>,
    running: usize,
}

impl Pipeline {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn start(parts: Parts) -> Result<Pipeline> {
        let stop = Arc::new(AtomicBool::new(false));
        let trouble = Arc::new(Mutex::new(None));
        let (to_reader, for_reader) = mailbox();
        let (to_screen, frames) = if parts.show {
            let (to_screen, frames) = mailbox();
            (Some(to_screen), Some(frames))
        } else {
            (None, None)
        };
        let (end, ended) = channel::bounded(2);
        let delivery = Delivery {
            source: parts.source,
            to_reader,
            to_screen,
            keep_all: parts.keep_all,
            running: false,
            trouble: Arc::clone(&trouble),
            stop: Arc::clone(&stop),
            stats: parts.stats.clone(),
        };
        let reading = ReadingLoop {
            reader: parts.reader,
            frames: for_reader,
            readings: parts.readings,
            guide: parts.guide,
            stop: Arc::clone(&stop),
            stats: parts.stats,
        };
        spawn("source", end.clone(), move || delivery.run())?;
        spawn("inference", end, move || reading.run())?;
        Ok(Pipeline {
            frames,
            trouble,
            stop,
            ended,
            running: 2,
        })
    }

    /// The newest frame for the screen, waiting for one up to `timeout`.
    ///
    /// # Errors
    /// [`Empty`] says why there is none.
    pub fn frame(&self, timeout: Duration) -> Result<Arc<Frame>, Empty> {
        match &self.frames {
            Some(frames) => frames.take(timeout),
            None => Err(Empty::Closed),
        }
    }

    /// What is wrong with the source at the moment.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(|held| held.into_inner()).clone()
    }

    /// Whether all threads have done their work, waiting for that up to `timeout`.
    ///
    /// # Errors
    /// What a thread failed with.
    pub fn has_ended(&mut self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        while self.running > 0 {
            match self.ended.recv_deadline(deadline) {
                Ok(result) => {
                    self.running -= 1;
                    result?;
                }
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => self.running = 0,
            }
        }
        Ok(true)
    }

    /// Tells the threads to end and waits until they have, but not for ever: a driver that does
    /// not come back is left behind.
    ///
    /// # Errors
    /// What a thread failed with on the way.
    pub fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        // A source that waits for room in the mailbox learns that nobody takes frames any more.
        self.frames = None;
        if !self.has_ended(CLOSING_TIME)? {
            tracing::debug!("a thread does not end: left behind");
        }
        Ok(())
    }
}

/// Runs `body` on a thread and sends what came of it, a panic included.
fn spawn(
    name: &'static str,
    end: channel::Sender<Result<()>>,
    body: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(anyhow!(
                "the {name} thread crashed: {}",
                said.unwrap_or("it did not say why")
            ))
        });
        // Nobody listens any more once the program is ending.
        let _ = end.send(result);
    };
    let thread = thread::Builder::new().name(name.into()).spawn(run);
    thread.with_context(|| format!("cannot start the {name} thread"))?;
    Ok(())
}

struct Delivery {
    source: Box<dyn Source>,
    to_reader: mailbox::Sender<Arc<Frame>>,
    to_screen: Option<mailbox::Sender<Arc<Frame>>>,
    keep_all: bool,
    /// Whether frames have come.
    running: bool,
    trouble: Arc<Mutex<Option<String>>>,
    stop: Arc<AtomicBool>,
    stats: Stats,
}

impl Delivery {
    fn run(mut self) -> Result<()> {
        let pool = FramePool::new();
        while !self.stop.load(Ordering::Acquire) {
            let event = self.source.next(&pool)?;
            self.stats.set_losses(self.source.losses());
            match event {
                Event::Frame { frame, decode } => {
                    let since = frame.captured.elapsed();
                    self.stats
                        .time(Stage::CaptureWait, since.saturating_sub(decode));
                    self.stats.time(Stage::Decode, decode);
                    self.stats.count(Rate::Source, frame.captured);
                    self.set_trouble(None);
                    self.running = true;
                    if self.deliver(frame).is_err() {
                        break;
                    }
                }
                Event::Waiting(trouble) => self.set_trouble(trouble),
                Event::End => break,
            }
        }
        Ok(())
    }

    fn deliver(&self, frame: Arc<Frame>) -> Result<(), Closed> {
        let send = |to: &mailbox::Sender<Arc<Frame>>, frame| {
            if self.keep_all {
                to.hand_over(frame)
            } else {
                to.put(frame)
            }
        };
        if let Some(to_screen) = &self.to_screen {
            send(to_screen, Arc::clone(&frame))?;
            self.stats.set_dropped(Lost::Display, to_screen.replaced());
        }
        send(&self.to_reader, frame)?;
        self.stats
            .set_dropped(Lost::Mailbox, self.to_reader.replaced());
        Ok(())
    }

    /// Says on stderr, too, that a running source got into trouble, or out of it.
    fn set_trouble(&mut self, trouble: Option<String>) {
        let mut held = self.trouble.lock().unwrap_or_else(|held| held.into_inner());
        match (&*held, &trouble) {
            (None, Some(trouble)) if self.running => tracing::warn!("{trouble}"),
            (Some(_), None) if self.running => tracing::warn!("frames come again"),
            _ => {}
        }
        *held = trouble;
    }
}

struct ReadingLoop {
    reader: Box<dyn Reader>,
    frames: mailbox::Receiver<Arc<Frame>>,
    readings: Box<dyn ReadingSink>,
    guide: SharedGuide,
    stop: Arc<AtomicBool>,
    stats: Stats,
}

impl ReadingLoop {
    fn run(mut self) -> Result<()> {
        while !self.stop.load(Ordering::Acquire) {
            let frame = match self.frames.take(LOOK_AROUND) {
                Ok(frame) => frame,
                Err(Empty::Timeout) => continue,
                Err(Empty::Closed) => break,
            };
            let guide = self.guide.get().rect(frame.width, frame.height);
            let reading = self
                .reader
                .read(&frame, guide)
                .with_context(|| format!("cannot read frame {}", frame.seq))?;
            drop(frame);
            self.stats.time(Stage::Find, reading.times.find);
            // Where no hand was found there was nothing to read.
            if !reading.times.infer.is_zero() {
                self.stats.time(Stage::Preprocess, reading.times.preprocess);
                self.stats.time(Stage::Infer, reading.times.infer);
            }
            self.stats.count(Rate::Inference, Instant::now());
            if !self.readings.take(reading)? {
                self.stop.store(true, Ordering::Release);
            }
        }
        self.readings.end()
    }
}

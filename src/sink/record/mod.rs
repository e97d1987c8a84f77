//! Records pictures as a video or a clip, on a thread of its own.
//!
//! The thread that shows pictures hands copies over through a short queue and never waits: when
//! the encoder falls behind, pictures are dropped and counted.

mod format;
mod gif;
mod video;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::Local;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};

use super::screen::Recording;
use crate::base::files::check_no_device;
use format::{Added, Format, Picture};
use gif::Gif;
use video::Video;

pub use format::Hurry;
pub use video::takes;

/// Pictures that may wait or be encoded at once: a quarter of a second at 30 a second.
const QUEUE: usize = 8;

/// After this long without a picture, what is gathered is written.
const IDLE: Duration = Duration::from_millis(250);

/// A name with the date and the time of day for a video in `folder` that is not there yet.
pub fn dated(folder: &Path) -> PathBuf {
    let now = Local::now().format("signcam-%Y-%m-%d-%H-%M-%S");
    let name = |count: usize| match count {
        1 => folder.join(format!("{now}.mp4")),
        _ => folder.join(format!("{now}-{count}.mp4")),
    };
    let mut count = 1;
    while name(count).exists() {
        count += 1;
    }
    name(count)
}

/// A running recording.
///
/// Dropping it ends the recording as [`Recorder::finish`] does, without a summary.
pub struct Recorder {
    path: PathBuf,
    pixels: usize,
    /// `None` once the recording has ended.
    queue: Option<Sender<Picture>>,
    /// Buffers nobody uses; their number is what bounds the queue.
    spare: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<Result<RecordSummary>>>,
    dropped: u64,
    hurry: Hurry,
}

/// What a recording came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordSummary {
    /// Pictures in the file.
    pub frames: u64,
    /// Pictures that found the queue full, or that the encoder left out.
    pub dropped: u64,
    /// From the first picture to the last.
    pub duration: Duration,
    /// The file's size.
    pub bytes: u64,
}

impl Recorder {
    /// Starts a recording of pictures of `width` x `height`, a video (`.mp4`) or a clip (`.gif`) as
    /// the file is named. A video cuts an odd last column or row off; a clip is scaled down and
    /// shows fewer pictures a second.
    ///
    /// # Errors
    /// When the file exists (it is never overwritten) or cannot be created, has another name, or
    /// the encoder cannot take pictures of this size.
    pub fn start(path: &Path, width: usize, height: usize, hurry: Hurry) -> Result<Recorder> {
        let kind = Kind::of(path)?;
        ensure!(
            video::takes(width, height),
            "cannot record pictures of {width}x{height}: {}",
            video::sizes()
        );
        let file = create(path)?;
        let format: Box<dyn Format> = match kind {
            Kind::Video => Box::new(Video::new(file, width, height, hurry)?),
            Kind::Clip => Box::new(Gif::new(file, width, height)),
        };
        let (queue, pictures) = unbounded();
        let (give_back, spare) = unbounded();
        for _ in 0..QUEUE {
            give_back.send(Vec::new())?;
        }
        let session = Session {
            path: path.to_owned(),
            format,
            first: None,
            summary: RecordSummary::default(),
        };
        let thread = thread::Builder::new()
            .name("record".into())
            .spawn(move || session.run(&pictures, &give_back))
            .context("cannot start the recording's thread")?;
        Ok(Recorder {
            path: path.to_owned(),
            pixels: width * height,
            queue: Some(queue),
            spare,
            thread: Some(thread),
            dropped: 0,
            hurry,
        })
    }

    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Pictures that found the queue full so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Hands a picture (`0x00RRGGBB`, of the size given at the start) over, without waiting unless
    /// every picture counts.
    /// `time` must grow from picture to picture; the first one's is where the video starts.
    ///
    /// # Errors
    /// Once, when the recording has ended early: the disk is full, say. What was recorded until
    /// then stays playable, and later pictures are ignored.
    pub fn push(&mut self, pixels: &[u32], time: Duration) -> Result<()> {
        ensure!(
            pixels.len() == self.pixels,
            "a picture of {} pixels does not fit into a recording of {} pixels",
            pixels.len(),
            self.pixels
        );
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        let spare = match self.hurry {
            Hurry::Live => self.spare.try_recv(),
            Hurry::None => (self.spare.recv()).map_err(|_| TryRecvError::Disconnected),
        };
        let mut bgr0 = match spare {
            Ok(buffer) => buffer,
            Err(TryRecvError::Empty) => {
                self.dropped += 1;
                return Ok(());
            }
            Err(TryRecvError::Disconnected) => return self.end().map(|_| ()),
        };
        bgr0.resize(pixels.len() * 4, 0);
        for (bytes, pixel) in bgr0.chunks_exact_mut(4).zip(pixels) {
            bytes.copy_from_slice(&pixel.to_le_bytes());
        }
        match queue.send(Picture { bgr0, time }) {
            Ok(()) => Ok(()),
            Err(_) => self.end().map(|_| ()),
        }
    }

    /// Encodes what is queued, completes the file and says what it holds. A recording without a
    /// picture leaves no file.
    ///
    /// # Errors
    /// When the file cannot be written to its end; what was written before stays playable.
    pub fn finish(mut self) -> Result<RecordSummary> {
        self.end()
    }

    fn end(&mut self) -> Result<RecordSummary> {
        self.queue = None;
        let Some(thread) = self.thread.take() else {
            return Ok(RecordSummary::default());
        };
        let summary = match thread.join() {
            Ok(result) => result?,
            Err(_) => bail!(
                "the recording's thread broke down; {} may be cut short",
                self.path.display()
            ),
        };
        Ok(RecordSummary {
            dropped: self.dropped + summary.dropped,
            ..summary
        })
    }
}

impl Recording for Recorder {
    fn path(&self) -> &Path {
        Recorder::path(self)
    }

    fn push(&mut self, pixels: &[u32], time: Duration) -> Result<()> {
        Recorder::push(self, pixels, time)
    }

    fn dropped(&self) -> u64 {
        Recorder::dropped(self)
    }

    fn finish(self: Box<Self>) -> Result<String> {
        let path = self.path.display().to_string();
        Ok(format!("recorded {path}: {}", Recorder::finish(*self)?))
    }
}

impl fmt::Display for RecordSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordSummary {
            frames,
            dropped,
            duration,
            bytes,
        } = self;
        let (seconds, megabytes) = (duration.as_secs_f64(), *bytes as f64 / 1e6);
        write!(
            f,
            "{frames} pictures, {dropped} left out, {seconds:.1} s, {megabytes:.1} MB"
        )
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error:#}");
        }
    }
}

/// What the recording's thread works with.
struct Session {
    path: PathBuf,
    format: Box<dyn Format>,
    first: Option<Duration>,
    summary: RecordSummary,
}

impl Session {
    fn run(
        mut self,
        pictures: &Receiver<Picture>,
        give_back: &Sender<Vec<u8>>,
    ) -> Result<RecordSummary> {
        loop {
            match pictures.recv_timeout(IDLE) {
                Ok(picture) => {
                    self.record(&picture)?;
                    // Nobody takes buffers back once the recorder is gone.
                    let _ = give_back.send(picture.bgr0);
                }
                Err(RecvTimeoutError::Timeout) => self.explained(|format| format.flush())?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let end = self.summary.duration;
        self.summary.bytes = self.explained(|format| format.finish(end))?;
        if self.summary.bytes == 0 {
            fs::remove_file(&self.path).with_context(|| {
                format!("cannot remove the empty recording {}", self.path.display())
            })?;
        }
        Ok(self.summary)
    }

    fn record(&mut self, picture: &Picture) -> Result<()> {
        let first = *self.first.get_or_insert(picture.time);
        let time = picture.time.saturating_sub(first);
        match self.explained(|format| format.add(picture, time))? {
            Added::Kept => self.summary.frames += 1,
            Added::LeftOut => self.summary.dropped += 1,
            Added::NotNeeded => {}
        }
        self.summary.duration = time;
        Ok(())
    }

    fn explained<T>(&mut self, write: impl FnOnce(&mut dyn Format) -> Result<T>) -> Result<T> {
        write(&mut *self.format).with_context(|| {
            format!(
                "the recording {} ended early; what it holds until here can be played",
                self.path.display()
            )
        })
    }
}

/// Takes a recording's name on the command line, where a wrong one costs nothing yet.
///
/// # Errors
/// When it does not end as recordings do, or is a device's.
pub fn recording_name(path: PathBuf) -> Result<PathBuf> {
    check_no_device(&path)?;
    Kind::of(&path).map(|_| path)
}

/// What a recording's file is, as its name ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Video,
    Clip,
}

impl Kind {
    fn of(path: &Path) -> Result<Kind> {
        let ends = |kind: &str| {
            path.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case(kind))
        };
        match (ends("mp4"), ends("gif")) {
            (true, _) => Ok(Kind::Video),
            (_, true) => Ok(Kind::Clip),
            _ => bail!(
                "cannot record to {}: the name must end in .mp4, or in .gif for a small clip",
                path.display()
            ),
        }
    }
}

/// Creates a recording's file, never in place of another.
fn create(path: &Path) -> Result<File> {
    let shown = path.display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                anyhow!("cannot record to {shown}: the file exists; remove it or give another name")
            }
            _ => anyhow!(error).context(format!("cannot create the recording {shown}")),
        })
}

#[cfg(test)]
mod tests;

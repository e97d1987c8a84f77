//! Records pictures as a video or a clip, on a thread of its own.
//!
//! The thread that shows pictures hands copies over through a short queue and never waits: when
//! the encoder falls behind, pictures are dropped and counted.

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
use gif::Gif;
use video::Video;

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

/// Whether whoever hands pictures over waits for them to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurry {
    /// Pictures come as they happen: those that find the encoder busy are dropped.
    Live,
    /// Every picture counts, however long it takes.
    None,
}

/// What makes a file of pictures, on the recording's thread.
trait Format: Send {
    /// Adds a picture, shown `time` after the first one.
    fn add(&mut self, picture: &Picture, time: Duration) -> Result<Added>;

    /// Writes what is gathered, for times when no picture comes.
    fn flush(&mut self) -> Result<()>;

    /// Completes the file, whose last picture came `end` after the first, and returns its size in
    /// bytes; 0 where there was no picture.
    fn finish(&mut self, end: Duration) -> Result<u64>;
}

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    /// It is in the file.
    Kept,
    /// It should be, but the encoder left it out.
    LeftOut,
    /// The format shows fewer pictures a second.
    NotNeeded,
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

/// A picture on its way to the encoder: rows of B, G, R and an unused byte.
struct Picture {
    bgr0: Vec<u8>,
    time: Duration,
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
                "cannot record to {}: give a name that ends in .mp4, or in .gif for a small clip",
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
mod tests {
    use super::*;

    fn said(result: Result<Recorder>) -> String {
        match result {
            Ok(_) => panic!("the recording was started"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn an_existing_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.mp4");
        fs::write(&path, "precious").unwrap();
        let said = said(Recorder::start(&path, 64, 48, Hurry::Live));
        assert!(said.contains("exists"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said_of = |name: &str| {
            said(Recorder::start(
                &folder.path().join(name),
                64,
                48,
                Hurry::Live,
            ))
        };
        let missing = said_of("no/such/folder/clip.mp4");
        assert!(missing.contains("no/such/folder/clip.mp4"), "{missing}");
        let other = said_of("clip.avi");
        assert!(other.contains(".mp4"), "{other}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn sizes_the_encoder_cannot_take_are_refused_before_a_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        for (width, height) in [(0, 0), (8, 480), (3842, 1080), (2500, 2500)] {
            let said = said(Recorder::start(&path, width, height, Hurry::Live));
            assert!(said.contains(&format!("{width}x{height}")), "{said}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_recording_of_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let recorder = Recorder::start(&path, 64, 48, Hurry::Live).unwrap();
        assert!(path.exists());
        assert_eq!(recorder.finish().unwrap(), RecordSummary::default());
        assert!(!path.exists());
    }

    #[test]
    fn pictures_beyond_the_queue_are_dropped_and_counted_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let (width, height) = (1280, 960);
        let mut recorder = Recorder::start(&path, width, height, Hurry::Live).unwrap();
        let pixels: Vec<u32> = (0..width * height)
            .map(|at| at as u32 * 2_654_435_761)
            .collect();
        for at in 0..200 {
            recorder.push(&pixels, Duration::from_millis(at)).unwrap();
        }
        let dropped = recorder.dropped();
        let summary = recorder.finish().unwrap();
        // The encoder itself may leave some of this noise out.
        assert!(summary.dropped >= dropped);
        assert_eq!(summary.frames + summary.dropped, 200);
        assert!(summary.frames > 0);
    }

    #[test]
    fn a_picture_of_another_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder =
            Recorder::start(&folder.path().join("clip.mp4"), 64, 48, Hurry::Live).unwrap();
        assert!(recorder.push(&[0; 63 * 48], Duration::ZERO).is_err());
    }

    #[test]
    fn where_every_picture_counts_none_is_dropped_however_fast_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let mut recorder = Recorder::start(&path, 320, 240, Hurry::None).unwrap();
        // Noise asks for far more bits than a live recording would spend.
        for at in 0..60u32 {
            let pixels: Vec<u32> = (0..320 * 240u32)
                .map(|pixel| (pixel ^ at << 9).wrapping_mul(2_654_435_761) >> 8)
                .collect();
            recorder
                .push(&pixels, Duration::from_millis(at.into()))
                .unwrap();
        }
        let summary = recorder.finish().unwrap();
        assert_eq!((summary.frames, summary.dropped), (60, 0));
    }

    #[test]
    fn dated_names_are_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..3)
            .map(|_| {
                let name = dated(folder.path());
                fs::write(&name, "").unwrap();
                name
            })
            .collect();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), names.len());
        let shown = names[0].file_name().unwrap().to_str().unwrap();
        assert!(
            shown.starts_with("signcam-20") && shown.ends_with(".mp4"),
            "{shown}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_the_recording_with_one_error() {
        for kind in ["full.mp4", "full.gif"] {
            // A device that is always full, under a name that ends as recordings do.
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let format: Box<dyn Format> = match Kind::of(Path::new(kind)).unwrap() {
                Kind::Video => Box::new(Video::new(full, 64, 48, Hurry::Live).unwrap()),
                Kind::Clip => Box::new(Gif::new(full, 64, 48)),
            };
            let mut session = Session {
                path: kind.into(),
                format,
                first: None,
                summary: RecordSummary::default(),
            };
            let error = session
                .record(&Picture {
                    bgr0: vec![0; 64 * 48 * 4],
                    time: Duration::ZERO,
                })
                .unwrap_err();
            let said = format!("{error:#}");
            assert!(said.contains(kind) && said.contains("space"), "{said}");
        }
    }
}

//! Records pictures as H.264 in a fragmented MP4, on a thread of its own.
//!
//! The thread that shows pictures hands copies over through a short queue and never waits: when
//! the encoder falls behind, pictures are dropped and counted. What is on disk is playable at any
//! moment, whatever ends the program.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use openh264::OpenH264API;
use openh264::Timestamp;
use openh264::encoder::{
    BitRate, Complexity, EncodedBitStream, Encoder, EncoderConfig, FrameRate, FrameType,
    IntraFramePeriod, Profile, QpRange, VuiConfig,
};
use openh264::formats::YUVSource;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv420,
};

use super::screen::Recording;
use crate::mp4::{Track, Writer};

/// Pictures that may wait or be encoded at once: a quarter of a second at 30 a second.
const QUEUE: usize = 8;

/// After this long without a picture, what is gathered is written.
const IDLE: Duration = Duration::from_millis(250);

/// The finest quantisation used: 41 dB on camera pictures, at about 2 Mbit/s for 640x480.
const FINEST_QP: u8 = 26;

/// What noise and movement may take at most, in bits a second for a picture of 640x480; others
/// get theirs by area, but not less than the second figure.
const MOST_BITS: f64 = 5e6;
const LEAST_BITS: f64 = 2e6;

/// The smallest and largest sides the encoder takes, in pixels.
const SHORTEST: usize = 16;
const LONGEST: (usize, usize) = (3840, 2160);

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
    /// Starts a recording of pictures of `width` x `height`; an odd last column or row is cut off.
    ///
    /// # Errors
    /// When the file exists (it is never overwritten) or cannot be created, is not named `.mp4`,
    /// or the encoder cannot take pictures of this size.
    pub fn start(path: &Path, width: usize, height: usize) -> Result<Recorder> {
        let shown = path.display();
        ensure!(
            path.extension()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("mp4")),
            "cannot record to {shown}: recordings are MP4 files, give a name that ends in .mp4"
        );
        ensure!(
            width.min(height) >= SHORTEST
                && width.max(height) <= LONGEST.0
                && width.min(height) <= LONGEST.1,
            "cannot record pictures of {width}x{height}: the encoder takes sides of {SHORTEST} \
             pixels up to {}x{}",
            LONGEST.0,
            LONGEST.1
        );
        let encoder = encoder(width, height)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => anyhow!(
                    "cannot record to {shown}: the file exists; remove it or give another name"
                ),
                _ => anyhow!(error).context(format!("cannot create the recording {shown}")),
            })?;
        let (queue, pictures) = unbounded();
        let (give_back, spare) = unbounded();
        for _ in 0..QUEUE {
            give_back.send(Vec::new())?;
        }
        let session = Session {
            path: path.to_owned(),
            file: Some(file),
            writer: None,
            encoder,
            planes: Planes::new(width & !1, height & !1),
            row_bytes: width * 4,
            nal_units: Vec::new(),
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

    /// Hands a picture (`0x00RRGGBB`, of the size given at the start) over without waiting.
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
        let mut bgr0 = match self.spare.try_recv() {
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
    fn push(&mut self, pixels: &[u32], time: Duration) -> Result<()> {
        Recorder::push(self, pixels, time)
    }

    fn dropped(&self) -> u64 {
        Recorder::dropped(self)
    }

    fn finish(self: Box<Self>) -> Result<String> {
        let path = self.path.display().to_string();
        let RecordSummary {
            frames,
            dropped,
            duration,
            bytes,
        } = Recorder::finish(*self)?;
        let (seconds, megabytes) = (duration.as_secs_f64(), bytes as f64 / 1e6);
        Ok(format!(
            "recorded {path}: {frames} pictures, {dropped} left out, {seconds:.1} s, \
             {megabytes:.1} MB"
        ))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error:#}");
        }
    }
}

/// An encoder with settings for a live picture of this size.
fn encoder(width: usize, height: usize) -> Result<Encoder> {
    let area = (width * height) as f64 / (640.0 * 480.0);
    let bits = (MOST_BITS * area).max(LEAST_BITS) as u32;
    // Unless it is told a frame rate, the encoder takes it to be 1 a second and spends far more
    // bits than asked. Where pictures may not be skipped, it prints a warning; this far above the
    // usual rate it skips none, and any that it did skip would be counted.
    let config = EncoderConfig::new()
        .bitrate(BitRate::from_bps(bits))
        .max_frame_rate(FrameRate::from_hz(30.0))
        .qp(QpRange::new(FINEST_QP, 51))
        .complexity(Complexity::Low)
        .skip_frames(true)
        .intra_frame_period(IntraFramePeriod::from_num_frames(60))
        .num_threads(1)
        .profile(Profile::Baseline)
        .vui(VuiConfig::bt601());
    Encoder::with_api_config(OpenH264API::from_source(), config)
        .context("cannot start the H.264 encoder")
}

/// What the recording's thread works with.
struct Session {
    path: PathBuf,
    /// Moves into the writer with the first picture.
    file: Option<File>,
    writer: Option<Writer<File>>,
    encoder: Encoder,
    planes: Planes,
    row_bytes: usize,
    /// A coded picture, each NAL unit after its length; kept for its memory.
    nal_units: Vec<u8>,
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
                Err(RecvTimeoutError::Timeout) => self.flush()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush()?;
        match &self.writer {
            Some(writer) => self.summary.bytes = writer.written(),
            None => {
                fs::remove_file(&self.path).with_context(|| {
                    format!("cannot remove the empty recording {}", self.path.display())
                })?;
            }
        }
        Ok(self.summary)
    }

    fn flush(&mut self) -> Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flush().with_context(|| cut_short(&self.path)),
            None => Ok(()),
        }
    }

    fn record(&mut self, picture: &Picture) -> Result<()> {
        let first = *self.first.get_or_insert(picture.time);
        let time = picture.time.saturating_sub(first);
        self.planes
            .convert(&picture.bgr0, self.row_bytes)
            .with_context(|| cut_short(&self.path))?;
        let coded = self
            .encoder
            .encode_at(
                &self.planes,
                Timestamp::from_millis(time.as_millis() as u64),
            )
            .with_context(|| cut_short(&self.path))?;
        let key = matches!(coded.frame_type(), FrameType::IDR | FrameType::I);
        let (mut sps, mut pps) = (None, None);
        split(&coded, &mut self.nal_units, &mut sps, &mut pps);
        if self.nal_units.is_empty() {
            self.summary.dropped += 1;
            return Ok(());
        }
        if let Some(file) = self.file.take() {
            let track = Track {
                width: self.planes.width as u16,
                height: self.planes.height as u16,
                sps: sps.unwrap_or_default(),
                pps: pps.unwrap_or_default(),
            };
            let writer = Writer::new(file, &track).with_context(|| cut_short(&self.path))?;
            self.writer = Some(writer);
        }
        if let Some(writer) = &mut self.writer {
            writer
                .push(time, key, &self.nal_units)
                .with_context(|| cut_short(&self.path))?;
        }
        self.summary.frames += 1;
        self.summary.duration = time;
        Ok(())
    }
}

fn cut_short(path: &Path) -> String {
    format!(
        "the recording {} ended early; what it holds until here can be played",
        path.display()
    )
}

/// Takes a coded picture apart: parameter sets, and all other NAL units with their lengths.
fn split(
    coded: &EncodedBitStream,
    nal_units: &mut Vec<u8>,
    sps: &mut Option<Vec<u8>>,
    pps: &mut Option<Vec<u8>>,
) {
    nal_units.clear();
    let layers = (0..coded.num_layers()).filter_map(|at| coded.layer(at));
    for layer in layers {
        for at in 0..layer.nal_count() {
            let unit = layer.nal_unit(at).unwrap_or_default();
            // Behind the start code, 00 00 01 or 00 00 00 01.
            let zeros = unit.iter().take_while(|&&byte| byte == 0).count();
            let unit = unit.get(zeros + 1..).unwrap_or_default();
            // The unit's type is in the lower five bits (ITU-T H.264, table 7-1).
            match unit.first().map(|header| header & 0x1f) {
                None => {}
                Some(7) => *sps = Some(unit.to_vec()),
                Some(8) => *pps = Some(unit.to_vec()),
                Some(_) => {
                    nal_units.extend((unit.len() as u32).to_be_bytes());
                    nal_units.extend_from_slice(unit);
                }
            }
        }
    }
}

/// A picture as brightness and two colour planes at half its width and height (4:2:0).
struct Planes {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Planes {
    /// Planes for even sides.
    fn new(width: usize, height: usize) -> Self {
        Planes {
            width,
            height,
            y: vec![0; width * height],
            u: vec![0; width * height / 4],
            v: vec![0; width * height / 4],
        }
    }

    /// Fills the planes from rows of `row_bytes` bytes, in the colours the stream declares.
    fn convert(&mut self, bgr0: &[u8], row_bytes: usize) -> Result<()> {
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y),
            y_stride: self.width as u32,
            u_plane: BufferStoreMut::Borrowed(&mut self.u),
            u_stride: self.width as u32 / 2,
            v_plane: BufferStoreMut::Borrowed(&mut self.v),
            v_stride: self.width as u32 / 2,
            width: self.width as u32,
            height: self.height as u32,
        };
        let rows = bgr0.get(..row_bytes * self.height).unwrap_or_default();
        bgra_to_yuv420(
            &mut image,
            rows,
            row_bytes as u32,
            YuvRange::Limited,
            YuvStandardMatrix::Bt601,
            YuvConversionMode::Balanced,
        )
        .context("cannot convert a picture's colours")
    }
}

impl YUVSource for Planes {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.y
    }

    fn u(&self) -> &[u8] {
        &self.u
    }

    fn v(&self) -> &[u8] {
        &self.v
    }
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
        let said = said(Recorder::start(&path, 64, 48));
        assert!(said.contains("exists"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said_of = |name: &str| said(Recorder::start(&folder.path().join(name), 64, 48));
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
            let said = said(Recorder::start(&path, width, height));
            assert!(said.contains(&format!("{width}x{height}")), "{said}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_recording_of_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let recorder = Recorder::start(&path, 64, 48).unwrap();
        assert!(path.exists());
        assert_eq!(recorder.finish().unwrap(), RecordSummary::default());
        assert!(!path.exists());
    }

    #[test]
    fn pictures_beyond_the_queue_are_dropped_and_counted_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let (width, height) = (1280, 960);
        let mut recorder = Recorder::start(&path, width, height).unwrap();
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
        let mut recorder = Recorder::start(&folder.path().join("clip.mp4"), 64, 48).unwrap();
        assert!(recorder.push(&[0; 63 * 48], Duration::ZERO).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_the_recording_with_one_error() {
        // A device that is always full, under a name that ends as recordings do.
        let session = |file| Session {
            path: "full.mp4".into(),
            file: Some(file),
            writer: None,
            encoder: encoder(64, 48).unwrap(),
            planes: Planes::new(64, 48),
            row_bytes: 64 * 4,
            nal_units: Vec::new(),
            first: None,
            summary: RecordSummary::default(),
        };
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = session(full)
            .record(&Picture {
                bgr0: vec![0; 64 * 48 * 4],
                time: Duration::ZERO,
            })
            .unwrap_err();
        let said = format!("{error:#}");
        assert!(
            said.contains("full.mp4") && said.contains("space"),
            "{said}"
        );
    }
}

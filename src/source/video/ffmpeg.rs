//! Any video that an installed `ffmpeg` decodes.
//!
//! One process writes raw pictures to its standard output. Its `showinfo` filter writes a line for
//! every picture to standard error before that picture comes out: with its size and its time
//! stamp, which raw video cannot carry.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::check_size;
use crate::base::frame::FramePool;
use crate::source::{Event, Pace, Pacer, Source};

/// Decoded pictures that may wait to be taken.
const AHEAD: usize = 2;

/// How long the process may take until its first picture.
const FIRST_PICTURE: Duration = Duration::from_secs(20);

/// How long to wait for a picture at a stretch.
const PATIENCE: Duration = Duration::from_millis(50);

/// Error lines that are kept for a message.
const KEPT_LINES: usize = 3;

/// Longer lines in the process' log are not read whole, in bytes.
const LONGEST_LINE: u64 = 4096;

/// Two spellings of "every picture once, with its own time": from ffmpeg 5.1 on, and before.
const PASS_THROUGH: [&str; 2] = ["-fps_mode", "-vsync"];

/// Plays a video through an `ffmpeg` process.
pub(super) struct Ffmpeg {
    name: String,
    process: Process,
    pictures: Receiver<Picture>,
    give_back: Sender<Vec<u8>>,
    complaints: Complaints,
    pacer: Pacer,
    /// A picture that is not due yet.
    held: Option<Picture>,
    seq: u64,
}

/// What the `showinfo` filter says of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    width: usize,
    height: usize,
    time: Duration,
}

/// A decoded picture, three bytes a pixel.
struct Picture {
    stamp: Stamp,
    pixels: Vec<u8>,
    decode: Duration,
}

/// The last error lines of the process.
type Complaints = Arc<Mutex<VecDeque<String>>>;

/// Ends the process with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ffmpeg {
    /// Starts `program`, an ffmpeg, on a video and waits for the first picture.
    pub fn open(program: &str, path: &Path, pace: Pace) -> Result<Self> {
        let [spelling, older] = PASS_THROUGH;
        match Self::start(program, path, pace, spelling) {
            Err(error) if error.to_string().contains(spelling.trim_start_matches('-')) => {
                Self::start(program, path, pace, older)
            }
            result => result,
        }
    }

    fn start(program: &str, path: &Path, pace: Pace, pass_through: &str) -> Result<Self> {
        let name = path.display().to_string();
        let mut input = OsString::from("file:");
        input.push(path);
        let child = Command::new(program)
            .args(["-hide_banner", "-nostats", "-nostdin"])
            .args(["-loglevel", "repeat+level+info"])
            .args(["-protocol_whitelist", "file", "-i"])
            .arg(input)
            .args(["-map", "0:v:0", "-vf", "showinfo"])
            .args([pass_through, "passthrough"])
            .args(["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match child {
            Ok(child) => Process(child),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{name} is no recording of signcam, and other videos are decoded by ffmpeg, which \
                 is not on the PATH: install it (https://ffmpeg.org) or use a folder of pictures"
            ),
            Err(error) => return Err(error).context("cannot start ffmpeg"),
        };
        let (stdout, stderr) = (process.0.stdout.take(), process.0.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            bail!("cannot read what ffmpeg writes");
        };

        let complaints = Complaints::default();
        let (put_stamp, stamps) = unbounded();
        let (put_picture, pictures) = bounded(AHEAD);
        let (give_back, spare) = unbounded();
        let notes = Arc::clone(&complaints);
        thread::Builder::new()
            .name("ffmpeg-log".into())
            .spawn(move || read_log(stderr, &put_stamp, &notes))?;
        let (of, notes) = (path.to_owned(), Arc::clone(&complaints));
        thread::Builder::new()
            .name("ffmpeg".into())
            .spawn(move || read_pictures(stdout, &of, &stamps, &put_picture, &spare, &notes))?;

        let mut source = Ffmpeg {
            name,
            process,
            pictures,
            give_back,
            complaints,
            pacer: Pacer::new(pace),
            held: None,
            seq: 0,
        };
        source.held = match source.pictures.recv_timeout(FIRST_PICTURE) {
            Ok(picture) => Some(picture),
            Err(RecvTimeoutError::Timeout) => bail!(
                "ffmpeg gave no picture of {} within {} s",
                source.name,
                FIRST_PICTURE.as_secs()
            ),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("ffmpeg cannot read {}: {}", source.name, source.reason())
            }
        };
        Ok(source)
    }

    /// What the process complained of.
    fn reason(&self) -> String {
        let lines = self
            .complaints
            .lock()
            .unwrap_or_else(|held| held.into_inner());
        if lines.is_empty() {
            return "it holds no picture".into();
        }
        lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

impl Source for Ffmpeg {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        if self.held.is_none() {
            self.held = match self.pictures.recv_timeout(PATIENCE) {
                Ok(picture) => Some(picture),
                Err(RecvTimeoutError::Timeout) => return Ok(Event::Waiting(None)),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.process.0.wait().context("cannot wait for ffmpeg")?;
                    ensure!(
                        status.success(),
                        "ffmpeg gave up on {}: {}",
                        self.name,
                        self.reason()
                    );
                    return Ok(Event::End);
                }
            };
        }
        let due = |picture: &Picture| self.pacer.due(picture.stamp.time);
        let Some(captured) = self.held.as_ref().and_then(due) else {
            return Ok(Event::Waiting(None));
        };
        let Some(mut picture) = self.held.take() else {
            return Ok(Event::Waiting(None));
        };
        let frame = pool.fill(|frame| {
            frame.seq = self.seq;
            frame.captured = captured;
            frame.time = picture.stamp.time;
            frame.width = picture.stamp.width;
            frame.height = picture.stamp.height;
            std::mem::swap(&mut frame.pixels, &mut picture.pixels);
            Ok::<(), anyhow::Error>(())
        })?;
        self.seq += 1;
        // Nobody takes buffers any more once the process has ended.
        let _ = self.give_back.send(picture.pixels);
        Ok(Event::Frame {
            frame,
            decode: picture.decode,
        })
    }
}

/// Reads pictures as they come, each after its stamp, until the process or their taker is gone.
fn read_pictures(
    mut stdout: ChildStdout,
    path: &Path,
    stamps: &Receiver<Stamp>,
    pictures: &Sender<Picture>,
    spare: &Receiver<Vec<u8>>,
    complaints: &Complaints,
) {
    while let Ok(stamp) = stamps.recv() {
        if let Err(error) = check_size(stamp.width, stamp.height, path) {
            complain(complaints, &format!("{error:#}"));
            return;
        }
        let mut pixels = spare.try_recv().unwrap_or_default();
        pixels.resize(stamp.width * stamp.height * 3, 0);
        let begun = Instant::now();
        if stdout.read_exact(&mut pixels).is_err() {
            return;
        }
        let picture = Picture {
            stamp,
            pixels,
            decode: begun.elapsed(),
        };
        if pictures.send(picture).is_err() {
            return;
        }
    }
}

/// Takes stamps and complaints out of the process' log.
fn read_log(stderr: ChildStderr, stamps: &Sender<Stamp>, complaints: &Complaints) {
    let mut log = BufReader::new(stderr);
    let mut bytes = Vec::new();
    let mut clock = Clock::default();
    let mut within = false;
    loop {
        bytes.clear();
        match log
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes)
        {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        // The rest of a line that is longer than any that matters could be made to look like one.
        if std::mem::replace(&mut within, !bytes.ends_with(b"\n")) {
            continue;
        }
        let line = String::from_utf8_lossy(&bytes);
        if let Some(stamp) = clock.read(line.trim_end()) {
            // When the taker is gone the log is read on, so that the process never blocks on it.
            let _ = stamps.send(stamp);
        } else if let Some((_, text)) = line
            .split_once("[error] ")
            .or_else(|| line.split_once("[fatal] "))
        {
            complain(complaints, text.trim());
        }
    }
}

fn complain(complaints: &Complaints, line: &str) {
    let mut lines = complaints.lock().unwrap_or_else(|held| held.into_inner());
    if lines.len() == KEPT_LINES {
        lines.pop_front();
    }
    lines.push_back(line.to_owned());
}

/// Reads the `showinfo` filter's lines.
#[derive(Debug, Default)]
struct Clock {
    /// Seconds to a tick, as numerator and denominator.
    time_base: Option<(u64, u64)>,
    first: Option<i64>,
    last: Duration,
}

impl Clock {
    /// The stamp in a line, if it is one of a picture. Times count from the first picture and never
    /// run backwards; a picture without a time stamp gets the one before it.
    fn read(&mut self, line: &str) -> Option<Stamp> {
        if !line.starts_with("[Parsed_showinfo") {
            return None;
        }
        if let Some(base) = field(line, "config in time_base:") {
            let (numerator, denominator) = base.trim_end_matches(',').split_once('/')?;
            self.time_base = Some((numerator.parse().ok()?, denominator.parse().ok()?));
            return None;
        }
        field(line, " n:")?;
        let (width, height) = field(line, " s:")?.split_once('x')?;
        let ticks = field(line, " pts:")?.parse::<i64>().ok();
        if let (Some(ticks), Some((numerator, denominator @ 1..))) = (ticks, self.time_base) {
            let since = ticks
                .saturating_sub(*self.first.get_or_insert(ticks))
                .max(0) as u128;
            let nanos = since * u128::from(numerator) * 1_000_000_000 / u128::from(denominator);
            let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.last = self.last.max(time);
        }
        Some(Stamp {
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            time: self.last,
        })
    }
}

#[cfg(fuzzing)]
pub(super) fn read_text(log: &str) {
    let mut clock = Clock::default();
    for line in log.lines() {
        clock.read(line);
    }
}

/// The word that follows `name`.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = line.split_once(name)?;
    behind.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_from_ticks_and_not_from_rounded_seconds() {
        let mut clock = Clock::default();
        let lines = [
            "[Parsed_showinfo_0 @ 0x5] [info] config in time_base: 1/15360, frame_rate: 30/1",
            "[Parsed_showinfo_0 @ 0x5] [info] config out time_base: 0/0, frame_rate: 0/0",
            "[Parsed_showinfo_0 @ 0x5] [info] n:   0 pts:   7680 pts_time:0.5 pos: 4 fmt:yuv420p sar:1/1 s:160x120 i:P",
            "[Parsed_showinfo_0 @ 0x5] [info] color_range:unknown color_space:unknown",
            "[Parsed_showinfo_0 @ 0x5] [info] n:  99 pts:15367680 pts_time:1000.5 pos: 9 fmt:yuv420p sar:1/1 s:160x120 i:P",
            "[Parsed_showinfo_0 @ 0x5] [info] n: 100 pts:15367681 pts_time:1000.5 pos: 9 fmt:yuv420p sar:1/1 s:64x48 i:P",
            "[Parsed_showinfo_0 @ 0x5] [info] n: 101 pts: NOPTS pts_time:NOPTS pos: 9 fmt:yuv420p sar:1/1 s:64x48 i:P",
            "[info]   n: 102 pts: 1 s:64x48 a title in the file, made to look like a picture",
        ];
        let stamps: Vec<_> = lines.iter().filter_map(|line| clock.read(line)).collect();
        let nanos: Vec<_> = stamps.iter().map(|stamp| stamp.time.as_nanos()).collect();
        assert_eq!(
            nanos,
            [0, 1_000_000_000_000, 1_000_000_065_104, 1_000_000_065_104]
        );
        assert_eq!((stamps[0].width, stamps[0].height), (160, 120));
        assert_eq!((stamps[2].width, stamps[2].height), (64, 48));
    }
}

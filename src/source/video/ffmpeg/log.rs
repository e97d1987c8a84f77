//! What an `ffmpeg` process writes to its log: stamps of pictures, errors, and what it found.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crossbeam_channel::Sender;

/// Error lines that are kept for a message.
const KEPT_LINES: usize = 3;

/// Longer lines in the process' log are not read whole, in bytes.
const LONGEST_LINE: u64 = 4096;

/// What the `showinfo` filter says of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stamp {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Since the first picture.
    pub time: Duration,
}

/// What the process said so far, shared with the thread that reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Notes>>);

/// What is remembered of a log.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The last error lines.
    last: VecDeque<String>,
    /// The first error line.
    pub first: Option<String>,
    /// Error lines in all.
    pub errors: u64,
    /// The file's duration, as its head or its size says.
    pub duration: Option<Duration>,
    /// Whether the file holds pictures, and sound.
    pictures: bool,
    pub sound: bool,
    /// When the first picture comes, since the file's start.
    pub start: Duration,
}

impl Log {
    /// What was said so far.
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// The last that the process complained of, in one line, or else `unless_told`.
    pub fn reason(&self, unless_told: &str) -> String {
        let notes = self.notes();
        if notes.last.is_empty() {
            return unless_told.into();
        }
        notes.last.iter().cloned().collect::<Vec<_>>().join("; ")
    }

    /// Why there is no picture, in one line.
    pub fn why_no_picture(&self) -> String {
        let notes = self.notes();
        if notes.sound && !notes.pictures {
            return "it holds sound and no pictures".into();
        }
        drop(notes);
        self.reason("it holds no picture")
    }

    /// Takes stamps and notes out of the log until its end.
    pub fn read(&self, from: impl Read, stamps: &Sender<Stamp>) {
        let mut log = BufReader::new(from);
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
            match clock.read(line.trim_end()) {
                Some(stamp) => {
                    if stamp.time.is_zero() {
                        self.notes().start = clock.start();
                    }
                    // When the taker is gone the log is read on, so that the process never blocks
                    // on it.
                    let _ = stamps.send(stamp);
                }
                None => self.notes().read(line.trim_end()),
            }
        }
    }
}

impl Notes {
    /// Takes what matters out of a line that is not about a picture.
    fn read(&mut self, line: &str) {
        if let Some(text) = complaint(line) {
            self.errors += 1;
            self.first.get_or_insert_with(|| text.to_owned());
            if self.last.len() == KEPT_LINES {
                self.last.pop_front();
            }
            self.last.push_back(text.to_owned());
        } else if let Some(about) = line.strip_prefix("[info]   Duration: ") {
            self.duration = about.split(',').next().and_then(duration);
        } else if line.starts_with("[info]   Stream #0:") {
            self.sound |= line.contains(": Audio: ");
            self.pictures |= line.contains(": Video: ");
        }
    }
}

/// What a line complains of: an error, a packet that came damaged, or a picture that was made up where it
/// was damaged. What the process says of its own output is no fault of the video.
fn complaint(line: &str) -> Option<&str> {
    if line.starts_with("[rawvideo @") {
        return None;
    }
    let error = line
        .split_once("[error] ")
        .or_else(|| line.split_once("[fatal] "));
    let made_up = || {
        let (_, text) = line
            .split_once("[info] ")
            .or_else(|| line.split_once("[warning] "))?;
        (text.starts_with("concealing ") || text.contains(": corrupt ")).then_some(("", text))
    };
    let (_, text) = error.or_else(made_up)?;
    Some(text.trim())
}

/// Reads `hours:minutes:seconds`.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    for part in text.trim().split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(seconds).ok()
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
        if let Some(ticks) = ticks {
            let first = *self.first.get_or_insert(ticks);
            self.last = self.last.max(self.seconds(ticks.saturating_sub(first)));
        }
        Some(Stamp {
            width: width.parse().ok()?,
            height: height.parse().ok()?,
            time: self.last,
        })
    }

    /// When the first picture comes.
    fn start(&self) -> Duration {
        self.first
            .map_or(Duration::ZERO, |ticks| self.seconds(ticks))
    }

    /// How long so many ticks last; nothing where they are negative or their length is not known.
    fn seconds(&self, ticks: i64) -> Duration {
        let Some((numerator, denominator @ 1..)) = self.time_base else {
            return Duration::ZERO;
        };
        let ticks = ticks.max(0) as u128;
        let nanos = ticks * u128::from(numerator) * 1_000_000_000 / u128::from(denominator);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(fuzzing)]
pub(in super::super) fn read_text(log: &str) {
    let (stamps, _) = crossbeam_channel::unbounded();
    Log::default().read(log.as_bytes(), &stamps);
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
        assert_eq!(clock.start(), Duration::from_millis(500));
        assert_eq!((stamps[0].width, stamps[0].height), (160, 120));
        assert_eq!((stamps[2].width, stamps[2].height), (64, 48));
    }

    #[test]
    fn errors_of_the_video_are_counted_and_those_of_the_output_are_not() {
        let mut notes = Notes::default();
        for line in [
            "[info]   Duration: 01:02:08.50, start: 0.000000, bitrate: 150 kb/s",
            "[info]     title           : Stream #0:1: Audio: none",
            "[rawvideo @ 0x5] [error] Application provided invalid dts to muxer in stream 0",
            "[h264 @ 0x5] [error] Invalid NAL unit size (0 > 2063).",
            "[h264 @ 0x5] [info] concealing 753 DC, 753 AC, 753 MV errors in B frame",
            "[warning] file:a.ts: corrupt decoded frame in stream 0",
        ] {
            notes.read(line);
        }
        assert_eq!(notes.errors, 3);
        assert_eq!(
            notes.first.as_deref(),
            Some("Invalid NAL unit size (0 > 2063).")
        );
        assert_eq!(notes.duration, Some(Duration::from_millis(3_728_500)));
        assert!(!notes.sound);
        notes.read("[info]   Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz");
        assert!(notes.sound);
    }
}

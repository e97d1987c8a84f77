//! Small clips for web pages: GIF, scaled down, at a dozen pictures a second.
//!
//! After the first picture only what changed is written: the rectangle around it, and within that
//! rectangle unchanged pixels are transparent. What counts is the difference from the pixel that
//! was written last, so that slow changes are not lost. On disk the clip is complete after each
//! picture: the next one takes the place of the trailer.

mod palette;
mod scaler;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use ::gif::{DisposalMethod, Encoder, Frame, Repeat};
use anyhow::Result;

use self::palette::Palette;
use self::scaler::Scaler;
use super::format::{Added, Format, Picture};

/// Pictures that follow sooner are left out: of 30 a second every other one is shown.
const STEP: Duration = Duration::from_millis(60);

/// Something has changed where one of a pixel's channels differs by more than this from what
/// was written: more than a camera's noise, less than the eye follows.
const TOLERANCE: u8 = 12;

/// Around what has changed, pixels are replaced that differ by more than this, so that nothing is
/// left behind where something moved.
const FINE: u8 = 5;

/// The last byte of a GIF.
const TRAILER: u8 = 0x3b;

/// Where a picture's delay stands in its bytes: behind the head and the flags of its graphic
/// control extension (GIF89a, 23).
const DELAY_AT: u64 = 4;

/// A clip being written.
pub(super) struct Gif {
    file: File,
    /// Bytes of the file without its trailer.
    length: u64,
    scaler: Scaler,
    /// Each pixel as it was when it was written last. Empty before the first picture.
    written: Vec<[u8; 3]>,
    /// When the newest picture came.
    last: Option<Duration>,
    /// Where the delay of the newest written picture stands in the file, and when it is shown,
    /// in hundredths of a second.
    delay: Option<(u64, u64)>,
    palette: Palette,
    /// A picture's colours by index; kept for its memory.
    indices: Vec<u8>,
}

impl Gif {
    /// A clip of pictures of `width` x `height` into an empty file.
    pub fn new(file: File, width: usize, height: usize) -> Gif {
        Gif {
            file,
            length: 0,
            scaler: Scaler::new(width, height),
            written: Vec::new(),
            last: None,
            delay: None,
            palette: Palette::default(),
            indices: Vec::new(),
        }
    }

    /// Puts `bytes` behind what the file holds; what fails leaves the clip as it was.
    fn append(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let length = bytes.len() as u64;
        bytes.push(TRAILER);
        let at = self.length;
        let written =
            (self.file.seek(SeekFrom::Start(at))).and_then(|_| self.file.write_all(bytes));
        if written.is_err() && at > 0 {
            // The write's own error matters more than whether its remains could be removed.
            let _ = self.file.set_len(at);
            let _ =
                (self.file.seek(SeekFrom::Start(at))).and_then(|_| self.file.write_all(&[TRAILER]));
        }
        written?;
        self.length += length;
        Ok(())
    }

    /// Lets the newest written picture stay until `until`, in hundredths of a second.
    fn stay(&mut self, until: u64) -> Result<()> {
        let Some((at, since)) = self.delay else {
            return Ok(());
        };
        let delay = u16::try_from(until.saturating_sub(since)).unwrap_or(u16::MAX);
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(&delay.to_le_bytes())?;
        Ok(())
    }

    /// Writes `area` of `pixels`, shown from `moment` on.
    fn write(&mut self, pixels: &[[u8; 3]], area: Area, moment: u64) -> Result<()> {
        let Scaler { width, height, .. } = self.scaler;
        let first = self.written.is_empty();
        if first {
            // Differs from every colour: all of the first picture is new.
            self.written.resize(pixels.len(), [0; 3]);
        }
        let changed = |before: [u8; 3], pixel| first || differs(before, pixel, FINE);
        let within = || {
            (area.top..area.bottom)
                .flat_map(move |y| (area.left..area.right).map(move |x| y * width + x))
        };
        self.palette.choose(
            within()
                .filter(|&at| changed(self.written[at], pixels[at]))
                .map(|at| pixels[at]),
        );
        self.indices.clear();
        let clear = self.palette.clear();
        for at in within() {
            let index = if changed(self.written[at], pixels[at]) {
                self.written[at] = pixels[at];
                self.palette.index(pixels[at])
            } else {
                clear
            };
            self.indices.push(index);
        }
        let mut encoder = Encoder::new(Vec::new(), width as u16, height as u16, &[])?;
        encoder.set_repeat(Repeat::Infinite)?;
        let head = encoder.get_ref().len();
        encoder.write_frame(&Frame {
            delay: (STEP.as_millis() / 10) as u16,
            dispose: DisposalMethod::Keep,
            transparent: Some(clear),
            left: area.left as u16,
            top: area.top as u16,
            width: (area.right - area.left) as u16,
            height: (area.bottom - area.top) as u16,
            palette: Some(self.palette.bytes()),
            buffer: self.indices.as_slice().into(),
            ..Frame::default()
        })?;
        let mut bytes = std::mem::take(encoder.get_mut());
        if !first {
            bytes.drain(..head);
        }
        let delay_at = self.length + if first { head as u64 } else { 0 } + DELAY_AT;
        self.append(&mut bytes)?;
        self.delay = Some((delay_at, moment));
        Ok(())
    }
}

impl Format for Gif {
    fn add(&mut self, picture: &Picture, time: Duration) -> Result<Added> {
        if self.last.is_some_and(|last| time < last + STEP) {
            return Ok(Added::NotNeeded);
        }
        self.last = Some(time);
        let mut pixels = self.scaler.scale(&picture.bgr0)?;
        let Scaler { width, height, .. } = self.scaler;
        let area = match self.written.is_empty() {
            true => Some(Area {
                left: 0,
                top: 0,
                right: width,
                bottom: height,
            }),
            false => Area::of_changes(&self.written, &pixels, width),
        };
        // Where nothing changed, the picture before is shown for longer.
        if let Some(area) = area {
            let moment = hundredths(time);
            self.stay(moment)?;
            self.write(&pixels, area, moment)?;
        }
        pixels.clear();
        self.scaler.give_back(pixels);
        Ok(Added::Kept)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, end: Duration) -> Result<u64> {
        // The last picture is seen for as long as any.
        self.stay(hundredths(end + STEP))?;
        Ok(match self.length {
            0 => 0,
            length => length + 1,
        })
    }
}

/// The clock of GIF. Times are rounded, never their differences, so that no error adds up.
fn hundredths(time: Duration) -> u64 {
    u64::try_from((time.as_millis() + 5) / 10).unwrap_or(u64::MAX)
}

fn differs(a: [u8; 3], b: [u8; 3], tolerance: u8) -> bool {
    a.iter().zip(b).any(|(a, b)| a.abs_diff(b) > tolerance)
}

/// A rectangle of pixels, its right and lower edge excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Area {
    /// The smallest area that holds every changed pixel of two pictures, `width` to a row.
    fn of_changes(before: &[[u8; 3]], after: &[[u8; 3]], width: usize) -> Option<Area> {
        let mut area: Option<Area> = None;
        let rows = before.chunks_exact(width).zip(after.chunks_exact(width));
        for (y, (before, after)) in rows.enumerate() {
            let is_new = |x: &usize| differs(before[*x], after[*x], TOLERANCE);
            let Some(left) = (0..width).find(is_new) else {
                continue;
            };
            let right = (left..width).rfind(is_new).unwrap_or(left) + 1;
            area = Some(match area {
                None => Area {
                    left,
                    top: y,
                    right,
                    bottom: y + 1,
                },
                Some(area) => Area {
                    left: area.left.min(left),
                    right: area.right.max(right),
                    bottom: y + 1,
                    ..area
                },
            });
        }
        area
    }
}

#[cfg(test)]
mod tests;

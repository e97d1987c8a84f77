//! Finds the pictures of a recording.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use super::format::{FROM_MOOF, KEY, RUN_FIELDS, TIMESCALE, Track};

/// The largest header box the reader takes into memory, in bytes: a fragment of a quarter second
/// needs a few hundred.
const MOST_HEADER: u64 = 1 << 20;

/// A recording's contents: what to decode, and where each picture lies in the file.
#[derive(Debug)]
pub struct Index {
    /// Size and parameter sets.
    pub track: Track,
    /// The pictures in order.
    pub samples: Vec<Sample>,
}

/// Where a picture lies and when it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Time from the start of the video.
    pub time: Duration,
    /// Whether decoding can start here.
    pub key: bool,
}

/// Reads where the pictures of a recording lie: every one that is in the file completely, however
/// the file ends. `None` if it is not a file such as [`super::Writer`] makes.
///
/// # Errors
/// When `file` cannot be read.
pub fn read_index(file: &mut (impl Read + Seek)) -> io::Result<Option<Index>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut track = None;
    let mut samples = Vec::new();
    let mut at = 0;
    while end - at >= 8 {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let (size, kind) = header.split_at(4);
        let size = size.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        if at == 0 && kind != b"ftyp" {
            return Ok(None);
        }
        if size < 8 || size > end - at {
            break;
        }
        if matches!(kind, b"moov" | b"moof") {
            if size > MOST_HEADER {
                return Ok(None);
            }
            let mut body = vec![0; size as usize - 8];
            file.read_exact(&mut body)?;
            let understood = if kind == b"moov" {
                track = read_track(&body);
                track.is_some()
            } else {
                read_fragment(&body, at, &mut samples).is_some()
            };
            if !understood {
                return Ok(None);
            }
        }
        at += size;
    }
    samples.retain(|sample: &Sample| sample.offset + u64::from(sample.size) <= end);
    Ok(track.map(|track| Index { track, samples }))
}

/// Reads numbers off the front of a slice; `None` past its end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        let digits = self.take(bytes)?;
        Some(
            digits
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        )
    }

    fn u16(&mut self) -> Option<u16> {
        self.number(2).map(|number| number as u16)
    }

    fn u32(&mut self) -> Option<u32> {
        self.number(4).map(|number| number as u32)
    }

    /// Version and flags are as expected.
    fn is_version(&mut self, version: u8, flags: u32) -> Option<()> {
        (self.u32()? == u32::from(version) << 24 | flags).then_some(())
    }
}

/// The contents of the only box of a kind in `body`.
fn child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<Bytes<'a>> {
    let mut bytes = Bytes(body);
    let mut found = None;
    while !bytes.0.is_empty() {
        let size = bytes.u32()? as usize;
        let name = bytes.take(4)?;
        let inside = bytes.take(size.checked_sub(8)?)?;
        if name == kind && found.replace(Bytes(inside)).is_some() {
            return None;
        }
    }
    found
}

fn descend<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<Bytes<'a>> {
    let mut at = Bytes(body);
    for kind in path {
        at = child(at.0, kind)?;
    }
    Some(at)
}

fn read_track(moov: &[u8]) -> Option<Track> {
    child(moov, b"mvex")?;
    let media = descend(moov, &[b"trak", b"mdia"])?.0;
    let mut times = child(media, b"mdhd")?;
    times.is_version(0, 0)?;
    times.take(8)?;
    if times.u32()? != TIMESCALE {
        return None;
    }
    let mut entries = descend(media, &[b"minf", b"stbl", b"stsd"])?;
    entries.is_version(0, 0)?;
    entries.take(4)?;
    let mut entry = child(entries.0, b"avc1")?;
    entry.take(24)?;
    let (width, height) = (entry.u16()?, entry.u16()?);
    entry.take(50)?;
    let mut config = child(entry.0, b"avcC")?;
    config.take(4)?;
    if config.number(2)? != 0xffe1 {
        return None;
    }
    let sps = config.u16()?;
    let sps = config.take(sps.into())?.to_vec();
    if config.number(1)? != 1 {
        return None;
    }
    let pps = config.u16()?;
    let pps = config.take(pps.into())?.to_vec();
    Some(Track {
        width,
        height,
        sps,
        pps,
    })
}

/// Adds the samples of a fragment whose `moof` box starts at `start`.
fn read_fragment(moof: &[u8], start: u64, samples: &mut Vec<Sample>) -> Option<()> {
    let fragment = child(moof, b"traf")?.0;
    child(fragment, b"tfhd")?.is_version(0, FROM_MOOF)?;
    let mut first = child(fragment, b"tfdt")?;
    first.is_version(1, 0)?;
    let mut ticks = first.number(8)?;
    let mut run = child(fragment, b"trun")?;
    run.is_version(0, RUN_FIELDS)?;
    let count = run.u32()? as usize;
    let mut offset = start.checked_add(u64::from(run.u32()?))?;
    if count.checked_mul(12)? != run.0.len() {
        return None;
    }
    for _ in 0..count {
        let (duration, size, flags) = (run.u32()?, run.u32()?, run.u32()?);
        samples.push(Sample {
            offset,
            size,
            time: from_ticks(ticks)?,
            key: flags == KEY,
        });
        offset = offset.checked_add(size.into())?;
        ticks = ticks.checked_add(duration.into())?;
    }
    Some(())
}

fn from_ticks(ticks: u64) -> Option<Duration> {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(TIMESCALE);
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

//! Fragmented MP4 (ISO/IEC 14496-12) with one H.264 track: written as it is recorded, read back.
//!
//! A fragment, once written, stands on its own: a file cut off anywhere plays up to its last
//! complete fragment. Every fragment carries its start time, and sample times are differences of
//! absolute times, so that rounding never adds up.
//!
//! The reader takes exactly what the writer makes and nothing else; it trusts no number in the
//! file and takes no more memory than the file has bytes.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use anyhow::{Result, ensure};

/// Ticks a second: the customary clock of video, 11 µs a tick.
const TIMESCALE: u32 = 90_000;

/// A fragment is written when it spans this long, which is what a killed process can lose.
const FRAGMENT: Duration = Duration::from_millis(150);

/// Duration of a sample whose successor is not known and which has no predecessor.
const FIRST_DURATION: u64 = TIMESCALE as u64 / 30;

/// Sample flags (8.8.3.1): depends on no other sample; depends on others and is no sync sample.
const KEY: u32 = 0x0200_0000;
const DELTA: u32 = 0x0101_0000;

/// `tfhd` flag: data offsets count from the start of the `moof` box.
const FROM_MOOF: u32 = 0x02_0000;
/// `trun` flags: a data offset, and each sample's duration, size and flags.
const RUN_FIELDS: u32 = 0x0701;

/// The largest header box the reader takes into memory, in bytes: a fragment of a quarter second
/// needs a few hundred.
const MOST_HEADER: u64 = 1 << 20;

/// What a decoder must know before the first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The sequence parameter set, without start code.
    pub sps: Vec<u8>,
    /// The picture parameter set, without start code.
    pub pps: Vec<u8>,
}

/// One coded picture.
struct Pending {
    ticks: u64,
    key: bool,
    data: Vec<u8>,
}

/// Writes a fragmented MP4.
pub struct Writer<W: Write> {
    out: W,
    fragments: u32,
    /// Samples of the fragment being gathered.
    pending: Vec<Pending>,
    /// When the newest sample is shown, and its distance from the one before it.
    last: Option<u64>,
    step: u64,
    /// The fragment being put together; kept for its memory.
    buffer: Vec<u8>,
    /// Sample buffers that were written.
    spare: Vec<Vec<u8>>,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the file's head.
    ///
    /// # Errors
    /// When the parameter sets are not such, or `out` cannot be written.
    pub fn new(mut out: W, track: &Track) -> Result<Self> {
        ensure!(
            track.sps.len() >= 4 && !track.pps.is_empty(),
            "the encoder gave no parameter sets"
        );
        let mut head = Vec::new();
        put_box(&mut head, b"ftyp", |b| {
            b.extend(b"iso6");
            put_u32(b, 0x200);
            b.extend(b"iso6isomavc1mp41");
        });
        put_moov(&mut head, track);
        out.write_all(&head)?;
        Ok(Writer {
            out,
            fragments: 0,
            pending: Vec::new(),
            last: None,
            step: FIRST_DURATION,
            written: head.len() as u64,
            buffer: head,
            spare: Vec::new(),
        })
    }

    /// Adds a picture: its NAL units, each after its length in four bytes. `time` counts from the
    /// start of the video and must grow; a time that does not is moved by one tick.
    ///
    /// # Errors
    /// When a fragment was due and cannot be written.
    pub fn push(&mut self, time: Duration, key: bool, nal_units: &[u8]) -> io::Result<()> {
        let mut ticks = to_ticks(time);
        if let Some(last) = self.last {
            ticks = ticks.max(last + 1);
            self.step = ticks - last;
        }
        self.last = Some(ticks);
        if let Some(first) = self.pending.first()
            && ticks - first.ticks >= to_ticks(FRAGMENT)
        {
            self.write_fragment()?;
        }
        let mut data = self.spare.pop().unwrap_or_default();
        data.clear();
        data.extend_from_slice(nal_units);
        self.pending.push(Pending { ticks, key, data });
        Ok(())
    }

    /// Writes what is gathered so far, for times when no picture comes. The last picture is given
    /// the duration of the one before it; the next one's time stays exact all the same.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_fragment()?;
        self.out.flush()
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Bytes of the head and of the complete fragments written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn write_fragment(&mut self) -> io::Result<()> {
        let Some(first) = self.pending.first() else {
            return Ok(());
        };
        let start = first.ticks;
        self.fragments += 1;
        self.buffer.clear();
        let mut offset_at = 0;
        put_box(&mut self.buffer, b"moof", |b| {
            put_full_box(b, b"mfhd", 0, 0, |b| put_u32(b, self.fragments));
            put_box(b, b"traf", |b| {
                put_full_box(b, b"tfhd", 0, FROM_MOOF, |b| put_u32(b, 1));
                put_full_box(b, b"tfdt", 1, 0, |b| put_u64(b, start));
                put_full_box(b, b"trun", 0, RUN_FIELDS, |b| {
                    put_u32(b, self.pending.len() as u32);
                    offset_at = b.len();
                    put_u32(b, 0);
                    for (at, sample) in self.pending.iter().enumerate() {
                        let next = self.pending.get(at + 1);
                        let duration = next.map_or(self.step, |next| next.ticks - sample.ticks);
                        put_u32(b, u32::try_from(duration).unwrap_or(u32::MAX));
                        put_u32(b, sample.data.len() as u32);
                        put_u32(b, if sample.key { KEY } else { DELTA });
                    }
                });
            });
        });
        let data_offset = self.buffer.len() as u32 + 8;
        self.buffer[offset_at..offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
        put_box(&mut self.buffer, b"mdat", |b| {
            for sample in &self.pending {
                b.extend_from_slice(&sample.data);
            }
        });
        let spent = self.pending.drain(..).map(|sample| sample.data);
        self.spare.extend(spent);
        self.out.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        Ok(())
    }
}

fn to_ticks(time: Duration) -> u64 {
    let ticks = (time.as_nanos() * u128::from(TIMESCALE) + 500_000_000) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX / 2)
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

/// A box (4.2): its length, its kind, and what `fill` adds.
fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u32(out, 0);
    out.extend(kind);
    fill(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A box with a version and flags.
fn put_full_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |b| {
        put_u32(b, u32::from(version) << 24 | flags);
        fill(b);
    });
}

/// No rotation, no scaling: a 3x3 matrix in 16.16 and, in its last column, 2.30 fixed point.
fn put_unity_matrix(out: &mut Vec<u8>) {
    for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
        put_u32(out, value);
    }
}

fn put_moov(out: &mut Vec<u8>, track: &Track) {
    put_box(out, b"moov", |b| {
        put_full_box(b, b"mvhd", 0, 0, |b| {
            for value in [0, 0, TIMESCALE, 0, 0x1_0000, 0x0100_0000, 0, 0] {
                put_u32(b, value);
            }
            put_unity_matrix(b);
            b.extend([0; 24]);
            put_u32(b, 2);
        });
        put_box(b, b"trak", |b| {
            // Flags: enabled, in the movie, in the preview.
            put_full_box(b, b"tkhd", 0, 7, |b| {
                for value in [0, 0, 1, 0, 0, 0, 0, 0, 0] {
                    put_u32(b, value);
                }
                put_unity_matrix(b);
                put_u32(b, u32::from(track.width) << 16);
                put_u32(b, u32::from(track.height) << 16);
            });
            put_box(b, b"mdia", |b| put_mdia(b, track));
        });
        put_box(b, b"mvex", |b| {
            put_full_box(b, b"trex", 0, 0, |b| {
                for value in [1, 1, 0, 0, 0] {
                    put_u32(b, value);
                }
            });
        });
    });
}

fn put_mdia(out: &mut Vec<u8>, track: &Track) {
    put_full_box(out, b"mdhd", 0, 0, |b| {
        for value in [0, 0, TIMESCALE, 0] {
            put_u32(b, value);
        }
        // The language: undetermined, three letters of five bits.
        put_u32(b, 0x55c4_0000);
    });
    put_full_box(out, b"hdlr", 0, 0, |b| {
        put_u32(b, 0);
        b.extend(b"vide");
        b.extend([0; 12]);
        b.extend(b"signcam\0");
    });
    put_box(out, b"minf", |b| {
        put_full_box(b, b"vmhd", 0, 1, |b| b.extend([0; 8]));
        put_box(b, b"dinf", |b| {
            put_full_box(b, b"dref", 0, 0, |b| {
                put_u32(b, 1);
                // Flag: the data lies in this very file.
                put_full_box(b, b"url ", 0, 1, |_| {});
            });
        });
        put_box(b, b"stbl", |b| {
            put_full_box(b, b"stsd", 0, 0, |b| {
                put_u32(b, 1);
                put_avc1(b, track);
            });
            for kind in [b"stts", b"stsc", b"stco"] {
                put_full_box(b, kind, 0, 0, |b| put_u32(b, 0));
            }
            put_full_box(b, b"stsz", 0, 0, |b| b.extend([0; 8]));
        });
    });
}

/// The visual sample entry (12.1.3) with the decoder's configuration (ISO/IEC 14496-15, 5.3.3).
fn put_avc1(out: &mut Vec<u8>, track: &Track) {
    put_box(out, b"avc1", |b| {
        b.extend([0; 6]);
        put_u16(b, 1);
        b.extend([0; 16]);
        put_u16(b, track.width);
        put_u16(b, track.height);
        // 72 dots an inch, both ways.
        put_u32(b, 0x48_0000);
        put_u32(b, 0x48_0000);
        put_u32(b, 0);
        put_u16(b, 1);
        b.extend([0; 32]);
        put_u16(b, 24);
        put_u16(b, 0xffff);
        put_box(b, b"avcC", |b| {
            b.push(1);
            b.extend(&track.sps[1..4]);
            // Lengths of four bytes; one sequence parameter set.
            b.extend([0xff, 0xe1]);
            put_u16(b, track.sps.len() as u16);
            b.extend(&track.sps);
            b.push(1);
            put_u16(b, track.pps.len() as u16);
            b.extend(&track.pps);
        });
    });
}

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
/// the file ends. `None` if it is not a file such as [`Writer`] makes.
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn track() -> Track {
        Track {
            width: 640,
            height: 480,
            sps: vec![0x67, 66, 192, 30, 1, 2, 3],
            pps: vec![0x68, 4, 5],
        }
    }

    /// Ten pictures at uneven times, each a byte more than the one before.
    fn recording() -> (Vec<u8>, Vec<Duration>) {
        let times: Vec<_> = [0, 33, 67, 140, 180, 260, 261, 700, 1700, 1733]
            .map(Duration::from_millis)
            .into();
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, &track()).unwrap();
        for (at, &time) in times.iter().enumerate() {
            writer.push(time, at == 0, &vec![at as u8; at + 5]).unwrap();
        }
        writer.flush().unwrap();
        assert_eq!(writer.written(), file.len() as u64);
        (file, times)
    }

    fn read(file: &[u8]) -> Option<Index> {
        read_index(&mut Cursor::new(file)).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_with_its_times() {
        let (file, times) = recording();
        let index = read(&file).unwrap();
        assert_eq!(index.track, track());
        assert_eq!(index.samples.len(), times.len());
        for (at, (sample, time)) in index.samples.iter().zip(&times).enumerate() {
            assert!(sample.time.abs_diff(*time) < Duration::from_micros(12));
            assert_eq!(sample.key, at == 0);
            let data = &file[sample.offset as usize..][..sample.size as usize];
            assert_eq!(data, vec![at as u8; at + 5]);
        }
    }

    #[test]
    fn another_reader_finds_the_same_samples() {
        let (file, _) = recording();
        let ours = read(&file).unwrap();
        let theirs = re_mp4::Mp4::read_bytes(&file).unwrap();
        let track = theirs.tracks().values().next().unwrap();
        assert_eq!((track.width, track.height), (640, 480));
        assert_eq!(track.samples.len(), ours.samples.len());
        for (theirs, ours) in track.samples.iter().zip(&ours.samples) {
            assert_eq!(
                (theirs.offset, theirs.size),
                (ours.offset, ours.size.into())
            );
            assert_eq!(theirs.is_sync, ours.key);
            let time = theirs.composition_timestamp as f64 / theirs.timescale as f64;
            assert!((time - ours.time.as_secs_f64()).abs() < 1e-6);
        }
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_complete_pictures() {
        let (file, _) = recording();
        let whole = read(&file).unwrap();
        let mut last = 0;
        for length in 0..file.len() {
            let count = read(&file[..length]).map_or(0, |index| {
                assert_eq!(index.samples[..], whole.samples[..index.samples.len()]);
                index.samples.len()
            });
            assert!(
                count >= last,
                "{length} bytes hold fewer pictures than less"
            );
            last = count;
        }
        assert_eq!(last, whole.samples.len() - 1);
    }

    #[test]
    fn a_killed_recorder_loses_less_than_half_a_second() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, &track()).unwrap();
        for frame in 0..60 {
            let time = Duration::from_millis(frame * 33);
            writer.push(time, false, &[1; 50]).unwrap();
        }
        drop(writer);
        let last = read(&file).unwrap().samples.last().unwrap().time;
        assert!(last > Duration::from_millis(59 * 33 - 500), "{last:?}");
    }

    #[test]
    fn a_pause_that_was_flushed_does_not_shift_later_times() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, &track()).unwrap();
        for time in [0, 40] {
            writer
                .push(Duration::from_millis(time), false, &[0; 8])
                .unwrap();
        }
        writer.flush().unwrap();
        writer.push(Duration::from_secs(5), false, &[0; 8]).unwrap();
        writer.flush().unwrap();
        let times: Vec<_> = read(&file)
            .unwrap()
            .samples
            .iter()
            .map(|s| s.time)
            .collect();
        assert_eq!(times, [0, 40, 5000].map(Duration::from_millis));
    }

    #[test]
    fn any_damaged_byte_is_survived() {
        let (file, _) = recording();
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = value;
                if let Some(index) = read(&damaged) {
                    assert!(index.samples.len() <= 10);
                }
            }
        }
    }

    #[test]
    fn a_box_that_claims_more_than_there_is_or_than_it_needs_takes_no_memory() {
        let (file, _) = recording();
        let moof = file.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
        for claim in [u32::MAX, 1 << 30, 7, 0] {
            let mut claiming = file.clone();
            claiming[moof..moof + 4].copy_from_slice(&claim.to_be_bytes());
            // What lies before it stays readable.
            assert_eq!(read(&claiming).unwrap().samples.len(), 0, "{claim}");
        }
        // A header box that is really there, but larger than any that is needed.
        let mut large = file[..moof].to_vec();
        put_box(&mut large, b"moof", |b| b.resize(2 << 20, 0));
        assert!(read(&large).is_none());

        let sample = file.windows(4).position(|kind| kind == b"trun").unwrap() + 20;
        let mut claiming = file.clone();
        claiming[sample..sample + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let index = read(&claiming).unwrap();
        assert!(index.samples.iter().all(|sample| sample.size < 100));
    }

    #[test]
    fn files_of_another_make_are_left_to_others() {
        assert!(read(b"").is_none());
        assert!(read(b"This is a text file, whatever its name.").is_none());
        let mut no_track = Vec::new();
        put_box(&mut no_track, b"ftyp", |b| b.extend(b"isom\0\0\0\0"));
        assert!(read(&no_track).is_none());
    }
}

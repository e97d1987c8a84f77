//! Writes a recording, fragment by fragment.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::format::{DELTA, FROM_MOOF, KEY, RUN_FIELDS, TIMESCALE, Track};

/// A fragment is written when it spans this long, which is what a killed process can lose.
const FRAGMENT: Duration = Duration::from_millis(150);

/// Duration of a sample whose successor is not known and which has no predecessor.
const FIRST_DURATION: u64 = TIMESCALE as u64 / 30;

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
pub(super) fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
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

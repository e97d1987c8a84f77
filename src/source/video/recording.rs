//! The program's own recordings: H.264 without reordered pictures in a fragmented MP4.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv420_to_rgb};

use super::common::check_size;
use crate::base::frame::{Frame, FramePool};
use crate::base::mp4::{self, Index};
use crate::source::pace::{Pace, Pacer};
use crate::source::stream::{Event, Losses, Source};

/// What stands between NAL units in a byte stream (ITU-T H.264, annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Plays a recording.
pub(super) struct Recording {
    path: PathBuf,
    name: String,
    file: File,
    index: Index,
    decoder: Decoder,
    pacer: Pacer,
    /// The next sample to decode.
    at: usize,
    damaged: u64,
    coded: Vec<u8>,
    stream: Vec<u8>,
}

impl Recording {
    /// Opens a recording; `None` where the file is not one.
    pub fn open(mut file: File, path: &Path, pace: Pace) -> Result<Option<Self>> {
        let shown = path.display();
        let index =
            mp4::read_index(&mut file).with_context(|| format!("cannot read the video {shown}"))?;
        let Some(index) = index else {
            return Ok(None);
        };
        check_size(index.track.width.into(), index.track.height.into(), path)?;
        ensure!(
            !index.samples.is_empty(),
            "the video {shown} holds no complete picture: its recording ended too early"
        );
        Ok(Some(Recording {
            path: path.to_owned(),
            name: shown.to_string(),
            file,
            index,
            decoder: Decoder::new().context("cannot start the H.264 decoder")?,
            pacer: Pacer::new(pace),
            at: 0,
            damaged: 0,
            coded: Vec::new(),
            stream: Vec::new(),
        }))
    }

    /// Reads sample `at` as the byte stream that the decoder takes; `None` if it is damaged.
    fn read_sample(&mut self) -> Result<Option<()>> {
        let Some(sample) = self.index.samples.get(self.at) else {
            return Ok(None);
        };
        self.coded.resize(sample.size as usize, 0);
        self.file
            .seek(SeekFrom::Start(sample.offset))
            .and_then(|_| self.file.read_exact(&mut self.coded))
            .with_context(|| format!("cannot read on in the video {}", self.name))?;
        self.stream.clear();
        if sample.key {
            for set in [&self.index.track.sps, &self.index.track.pps] {
                self.stream.extend(START_CODE);
                self.stream.extend(set);
            }
        }
        let mut rest = self.coded.as_slice();
        while let Some((length, behind)) = rest.split_first_chunk() {
            let Some((unit, behind)) =
                behind.split_at_checked(u32::from_be_bytes(*length) as usize)
            else {
                return Ok(None);
            };
            self.stream.extend(START_CODE);
            self.stream.extend(unit);
            rest = behind;
        }
        Ok(Some(()))
    }

    /// Decodes the sample that was read into `frame`; an error means that it is damaged.
    fn decode(&mut self, frame: &mut Frame) -> Result<()> {
        let Some(picture) = self.decoder.decode(&self.stream)? else {
            bail!("no picture came out");
        };
        let (width, height) = picture.dimensions();
        check_size(width, height, &self.path)?;
        let (y_stride, u_stride, v_stride) = picture.strides();
        frame.resize(width, height);
        let image = YuvPlanarImage {
            y_plane: picture.y(),
            y_stride: y_stride as u32,
            u_plane: picture.u(),
            u_stride: u_stride as u32,
            v_plane: picture.v(),
            v_stride: v_stride as u32,
            width: width as u32,
            height: height as u32,
        };
        yuv420_to_rgb(
            &image,
            &mut frame.pixels,
            width as u32 * 3,
            YuvRange::Limited,
            YuvStandardMatrix::Bt601,
        )?;
        Ok(())
    }
}

impl Source for Recording {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        let Some(&sample) = self.index.samples.get(self.at) else {
            return Ok(Event::End);
        };
        let Some(captured) = self.pacer.due(sample.time) else {
            return Ok(Event::Waiting(None));
        };
        let begun = Instant::now();
        let seq = self.at as u64;
        let readable = self.read_sample()?.is_some();
        self.at += 1;
        if readable {
            let decoded = pool.fill(|frame| {
                frame.seq = seq;
                frame.captured = captured;
                frame.time = sample.time;
                self.decode(frame)
            });
            match decoded {
                Ok(frame) => {
                    let decode = begun.elapsed();
                    return Ok(Event::Frame { frame, decode });
                }
                Err(error) => tracing::warn!("{}, picture {seq}: {error:#}", self.name),
            }
        }
        self.damaged += 1;
        if self.at == self.index.samples.len() && self.damaged == self.at as u64 {
            bail!(
                "none of the pictures in the video {} can be decoded",
                self.name
            );
        }
        Ok(Event::Waiting(None))
    }

    fn frames(&self) -> Option<u64> {
        Some(self.index.samples.len() as u64)
    }

    fn losses(&self) -> Losses {
        Losses {
            damaged: self.damaged,
            ..Losses::default()
        }
    }

    fn damage(&self) -> Option<String> {
        (self.damaged > 0).then(|| {
            format!(
                "{} is damaged: {} of {} pictures are missing",
                self.name,
                self.damaged,
                self.index.samples.len()
            )
        })
    }
}

//! H.264 in a fragmented MP4: what is on disk is playable at any moment, whatever ends the program.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result};
use openh264::encoder::{
    BitRate, Complexity, EncodedBitStream, Encoder, EncoderConfig, FrameRate, FrameType,
    IntraFramePeriod, Profile, QpRange, RateControlMode, VuiConfig,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv420,
};

use super::format::{Added, Format, Hurry, Picture};
use crate::base::mp4::{Track, Writer};

/// The finest quantisation used: 41 dB on camera pictures, at about 2 Mbit/s for 640x480.
const FINEST_QP: u8 = 26;

/// What noise and movement may take at most, in bits a second for a picture of 640x480; others
/// get theirs by area, but not less than the second figure.
const MOST_BITS: f64 = 5e6;
const LEAST_BITS: f64 = 2e6;

/// The smallest and largest sides the encoder takes, in pixels.
const SHORTEST: usize = 16;
const LONGEST: (usize, usize) = (3840, 2160);

/// Whether the encoder takes pictures of this size.
pub fn takes(width: usize, height: usize) -> bool {
    width.min(height) >= SHORTEST
        && width.max(height) <= LONGEST.0
        && width.min(height) <= LONGEST.1
}

/// What the encoder takes, in words.
pub(super) fn sizes() -> String {
    format!(
        "the encoder takes sides of {SHORTEST} pixels up to {}x{}",
        LONGEST.0, LONGEST.1
    )
}

/// A video being written.
pub(super) struct Video {
    /// Moves into the writer with the first picture.
    file: Option<File>,
    writer: Option<Writer<File>>,
    encoder: Encoder,
    planes: Planes,
    row_bytes: usize,
    /// A coded picture, each NAL unit after its length; kept for its memory.
    nal_units: Vec<u8>,
}

impl Video {
    /// Pictures of `width` x `height` into an empty file; an odd last column or row is cut off.
    ///
    /// # Errors
    /// When the encoder does not start.
    pub fn new(file: File, width: usize, height: usize, hurry: Hurry) -> Result<Video> {
        Ok(Video {
            file: Some(file),
            writer: None,
            encoder: encoder(width, height, hurry)?,
            planes: Planes::new(width & !1, height & !1),
            row_bytes: width * 4,
            nal_units: Vec::new(),
        })
    }

    /// Writes with `write`; what fails leaves no piece of a fragment behind.
    fn writing(
        &mut self,
        write: impl FnOnce(&mut Writer<File>) -> std::io::Result<()>,
    ) -> Result<()> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let written = write(writer);
        if written.is_err() {
            // Players skip what is left there, too; the write's own error matters more.
            let _ = writer.get_ref().set_len(writer.written());
        }
        Ok(written?)
    }
}

impl Format for Video {
    fn add(&mut self, picture: &Picture, time: Duration) -> Result<Added> {
        self.planes.convert(&picture.bgr0, self.row_bytes)?;
        let moment = Timestamp::from_millis(time.as_millis() as u64);
        let coded = self.encoder.encode_at(&self.planes, moment)?;
        let key = matches!(coded.frame_type(), FrameType::IDR | FrameType::I);
        let (mut sps, mut pps) = (None, None);
        split(&coded, &mut self.nal_units, &mut sps, &mut pps);
        if self.nal_units.is_empty() {
            return Ok(Added::LeftOut);
        }
        if let Some(file) = self.file.take() {
            let track = Track {
                width: self.planes.width as u16,
                height: self.planes.height as u16,
                sps: sps.unwrap_or_default(),
                pps: pps.unwrap_or_default(),
            };
            self.writer = Some(Writer::new(file, &track)?);
        }
        let nal_units = std::mem::take(&mut self.nal_units);
        let written = self.writing(|writer| writer.push(time, key, &nal_units));
        self.nal_units = nal_units;
        written.map(|()| Added::Kept)
    }

    fn flush(&mut self) -> Result<()> {
        self.writing(Writer::flush)
    }

    fn finish(&mut self, _: Duration) -> Result<u64> {
        self.flush()?;
        Ok(self.writer.as_ref().map_or(0, Writer::written))
    }
}

/// An encoder with settings for pictures of this size.
fn encoder(width: usize, height: usize, hurry: Hurry) -> Result<Encoder> {
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
    // Where nobody waits, every picture is kept in the finest quality, whatever it takes.
    let config = match hurry {
        Hurry::Live => config,
        Hurry::None => config
            .rate_control_mode(RateControlMode::Off)
            .skip_frames(false),
    };
    Encoder::with_api_config(OpenH264API::from_source(), config)
        .context("cannot start the H.264 encoder")
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

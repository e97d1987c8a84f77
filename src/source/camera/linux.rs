//! Which cameras Linux has and what they can deliver, asked of the kernel directly.
//!
//! `nokhwa` can list formats only of a camera it has opened and set to one of them, does not
//! open a camera that another program left in a state it does not know, and takes every
//! `/dev/video*` for a camera.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use v4l::buffer::Type;
use v4l::capability::Flags;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap;
use v4l::io::traits::CaptureStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{FourCC, Fraction, Timestamp};

use super::driver::{CameraError, Device, OLDEST_STAMP, Stream};
use super::formats::{Encoding, Format};

/// The encodings that can be decoded, by the kernel's names for them.
const ENCODINGS: [(&[u8; 4], Encoding); 6] = [
    (b"YUYV", Encoding::Yuyv),
    (b"NV12", Encoding::Nv12),
    (b"MJPG", Encoding::Mjpeg),
    (b"RGB3", Encoding::Rgb),
    (b"BGR3", Encoding::Bgr),
    (b"GREY", Encoding::Grey),
];

/// Rates to offer of a camera that takes any rate in a range.
const COMMON_RATES: [u32; 4] = [60, 30, 25, 15];

/// The rate to ask for where a camera does not tell its rates.
const ASSUMED_RATE: f64 = 30.0;

/// The nodes `/dev/videoN` that capture pictures. The others belong to cameras too (their
/// metadata, their codecs), or to cameras that are gone.
pub(super) fn devices() -> Result<Vec<Device>, CameraError> {
    let Ok(entries) = fs::read_dir("/dev") else {
        return Ok(Vec::new());
    };
    let mut indices: Vec<u32> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_prefix("video")?.parse().ok()
        })
        .collect();
    indices.sort_unstable();
    Ok(indices.into_iter().filter_map(device).collect())
}

fn device(index: u32) -> Option<Device> {
    let capabilities = open(index).and_then(|device| device.query_caps());
    let name = match capabilities {
        Ok(caps) if caps.capabilities.contains(Flags::VIDEO_CAPTURE) => caps.card,
        Ok(_) => return None,
        Err(error) => match error.raw_os_error().and_then(system_error) {
            // It is there, and saying why it cannot be used helps.
            Some(CameraError::Busy | CameraError::Denied) => {
                fs::read_to_string(format!("/sys/class/video4linux/video{index}/name"))
                    .unwrap_or_else(|_| format!("/dev/video{index}"))
            }
            _ => return None,
        },
    };
    let name = name.trim().to_owned();
    Some(Device { index, name })
}

/// What a camera can deliver.
pub(super) fn formats(device: &Device) -> Result<Vec<Format>, CameraError> {
    let device = open(device.index).map_err(failed)?;
    let mut formats = Vec::new();
    for coding in device.enum_formats().map_err(failed)? {
        let Some(encoding) = encoding(coding.fourcc) else {
            continue;
        };
        for (width, height) in sizes(&device, coding.fourcc) {
            for fps in rates(&device, coding.fourcc, width, height) {
                formats.push(Format {
                    encoding,
                    width,
                    height,
                    fps,
                });
            }
        }
    }
    Ok(formats)
}

fn encoding(fourcc: FourCC) -> Option<Encoding> {
    let known = ENCODINGS.iter().find(|(code, _)| **code == fourcc.repr);
    known.map(|(_, encoding)| *encoding)
}

fn sizes(device: &v4l::Device, fourcc: FourCC) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    for size in device.enum_framesizes(fourcc).unwrap_or_default() {
        match size.size {
            FrameSizeEnum::Discrete(size) => sizes.push((size.width, size.height)),
            FrameSizeEnum::Stepwise(range) => {
                let near = |wanted: u32, min: u32, max: u32, step: u32| {
                    let wanted = wanted.clamp(min, max.max(min));
                    min + (wanted - min) / step.max(1) * step.max(1)
                };
                for (width, height) in [(640, 480), (1280, 720)] {
                    sizes.push((
                        near(width, range.min_width, range.max_width, range.step_width),
                        near(
                            height,
                            range.min_height,
                            range.max_height,
                            range.step_height,
                        ),
                    ));
                }
                sizes.dedup();
            }
        }
    }
    sizes
}

fn rates(device: &v4l::Device, fourcc: FourCC, width: u32, height: u32) -> Vec<f64> {
    let Ok(intervals) = device.enum_frameintervals(fourcc, width, height) else {
        return vec![ASSUMED_RATE];
    };
    intervals
        .into_iter()
        .flat_map(|interval| match interval.interval {
            FrameIntervalEnum::Discrete(interval) => rate(interval).into_iter().collect(),
            FrameIntervalEnum::Stepwise(range) => {
                let slowest = rate(range.max).unwrap_or(0.0);
                let fastest = rate(range.min).unwrap_or(f64::INFINITY);
                COMMON_RATES
                    .into_iter()
                    .map(f64::from)
                    .filter(|rate| (slowest..=fastest).contains(rate))
                    .collect::<Vec<_>>()
            }
        })
        .collect()
}

/// Frames a second of the time between two frames.
fn rate(interval: Fraction) -> Option<f64> {
    let rate = f64::from(interval.denominator) / f64::from(interval.numerator);
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

/// Whether `nokhwa` cannot ask for a format: it asks for whole rates only, and for grey pictures by
/// a name that the kernel does not know.
pub(super) fn needs_direct(format: &Format) -> bool {
    format.fps.fract() != 0.0 || format.encoding == Encoding::Grey
}

/// Sets a camera to `format` where another program left it in a state that `nokhwa` does not
/// open: an encoding it does not know, or a rate that is not whole.
pub(super) fn prepare(device: &Device, format: &Format) -> Result<(), CameraError> {
    let device = open(device.index).map_err(failed)?;
    let current = device.format().map_err(failed)?;
    if encoding(current.fourcc).is_none_or(|known| known == Encoding::Grey) {
        let known = ENCODINGS
            .iter()
            .find(|(_, known)| *known == format.encoding);
        let fourcc = known.map_or(current.fourcc, |(code, _)| FourCC::new(code));
        let wanted = v4l::Format::new(format.width, format.height, fourcc);
        device.set_format(&wanted).map_err(failed)?;
    }
    let whole = device
        .params()
        .is_ok_and(|params| params.interval.numerator == 1);
    if !whole {
        let wanted = Parameters::with_fps(format.fps as u32);
        device.set_params(&wanted).map_err(failed)?;
    }
    Ok(())
}

/// A camera that is read without `nokhwa`, where [`needs_direct`] says so.
pub(super) struct DirectStream {
    stream: mmap::Stream<'static>,
}

/// Buffers that the kernel fills in turn, as many as `nokhwa` asks for.
const BUFFERS: u32 = 4;

impl DirectStream {
    /// Opens a camera with one of its formats, at the rate nearest to the format's that it has.
    pub(super) fn open(device: &Device, format: &Format) -> Result<Self, CameraError> {
        let device = open(device.index).map_err(failed)?;
        let coding = ENCODINGS
            .iter()
            .find(|(_, known)| *known == format.encoding);
        let Some((coding, _)) = coding else {
            return Err(CameraError::Refused("it has no such encoding".into()));
        };
        let wanted = v4l::Format::new(format.width, format.height, FourCC::new(coding));
        let set = device.set_format(&wanted).map_err(failed)?;
        if (set.width, set.height, set.fourcc) != (wanted.width, wanted.height, wanted.fourcc) {
            return Err(CameraError::Refused(format!("it gives {set} instead")));
        }
        // A thousand frames' time says rates like 30000/1001 exactly.
        let frames = (format.fps * 1001.0).round() as u32;
        let interval = Parameters::new(Fraction::new(1001, frames));
        device.set_params(&interval).map_err(failed)?;
        let stream = mmap::Stream::with_buffers(&device, Type::VideoCapture, BUFFERS);
        Ok(DirectStream {
            stream: stream.map_err(failed)?,
        })
    }
}

impl Stream for DirectStream {
    type Buffer = Vec<u8>;

    fn next(&mut self) -> Result<(Vec<u8>, Instant), CameraError> {
        let (bytes, about) = self.stream.next().map_err(failed)?;
        let used = bytes.get(..about.bytesused as usize).unwrap_or(bytes);
        Ok((used.to_vec(), captured(about.timestamp)))
    }
}

/// The moment of a kernel's stamp, which drivers take from the monotonic clock; the present where
/// it makes no sense.
fn captured(stamp: Timestamp) -> Instant {
    let now = Instant::now();
    let clock = clock_gettime(ClockId::Monotonic);
    let micros = |seconds: i64, micros: i64| {
        u64::try_from(seconds * 1_000_000 + micros).map(Duration::from_micros)
    };
    let age = match (
        micros(clock.tv_sec, clock.tv_nsec / 1000),
        micros(stamp.sec, stamp.usec),
    ) {
        (Ok(clock), Ok(stamp)) => clock.checked_sub(stamp),
        _ => None,
    };
    age.filter(|age| *age < OLDEST_STAMP)
        .and_then(|age| now.checked_sub(age))
        .unwrap_or(now)
}

fn open(index: u32) -> io::Result<v4l::Device> {
    v4l::Device::new(index as usize)
}

fn failed(error: io::Error) -> CameraError {
    let known = error.raw_os_error().and_then(system_error);
    known.unwrap_or_else(|| CameraError::Failed(error.to_string()))
}

/// What an error number of a camera means, where it means something particular.
pub(super) fn system_error(number: i32) -> Option<CameraError> {
    // The numbers are the same on every architecture that Linux runs on.
    const NOT_PERMITTED: i32 = 1;
    const NO_ENTRY: i32 = 2;
    const NO_SUCH_DEVICE_OR_ADDRESS: i32 = 6;
    const ACCESS_DENIED: i32 = 13;
    const BUSY: i32 = 16;
    const NO_SUCH_DEVICE: i32 = 19;
    match number {
        NOT_PERMITTED | ACCESS_DENIED => Some(CameraError::Denied),
        BUSY => Some(CameraError::Busy),
        NO_ENTRY | NO_SUCH_DEVICE_OR_ADDRESS | NO_SUCH_DEVICE => Some(CameraError::Gone),
        _ => None,
    }
}

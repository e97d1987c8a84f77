//! Cameras through `nokhwa`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nokhwa::utils::{
    CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use nokhwa::{Buffer, Camera, NokhwaError};

use super::driver::{CameraError, Device, Driver, OLDEST_STAMP, Stream};
use super::formats::{Encoding, Format};
#[cfg(target_os = "linux")]
use super::linux as listing;
#[cfg(not(target_os = "linux"))]
use listing_elsewhere as listing;

/// The operating system's cameras.
#[derive(Debug)]
pub(super) struct Native;

impl Driver for Native {
    type Stream = NativeStream;

    fn devices(&self) -> Result<Vec<Device>, CameraError> {
        listing::devices()
    }

    fn formats(&self, device: &Device) -> Result<Vec<Format>, CameraError> {
        listing::formats(device)
    }

    fn open(&self, device: &Device, format: &Format) -> Result<NativeStream, CameraError> {
        if listing::needs_direct(format) {
            return listing::DirectStream::open(device, format).map(NativeStream::Direct);
        }
        listing::prepare(device, format)?;
        let resolution = Resolution::new(format.width, format.height);
        let coding = frame_format(format.encoding);
        let exact = CameraFormat::new(resolution, coding, format.fps as u32);
        let exact = RequestedFormatType::Exact(exact);
        let request = RequestedFormat::with_formats(exact, std::slice::from_ref(&coding));
        let mut camera = Camera::new(CameraIndex::Index(device.index), request).map_err(refused)?;
        camera.open_stream().map_err(refused)?;
        Ok(NativeStream::Nokhwa {
            camera: Box::new(camera),
            clock: Clock::default(),
        })
    }
}

/// An open camera.
pub(super) enum NativeStream {
    Nokhwa {
        camera: Box<Camera>,
        clock: Clock,
    },
    /// With a format that `nokhwa` cannot ask for.
    Direct(listing::DirectStream),
}

/// A buffer as it was handed out.
pub(super) enum NativeBuffer {
    Nokhwa(Buffer),
    Direct(Vec<u8>),
}

impl AsRef<[u8]> for NativeBuffer {
    fn as_ref(&self) -> &[u8] {
        match self {
            NativeBuffer::Nokhwa(buffer) => buffer.buffer(),
            NativeBuffer::Direct(bytes) => bytes,
        }
    }
}

impl Stream for NativeStream {
    type Buffer = NativeBuffer;

    fn next(&mut self) -> Result<(NativeBuffer, Instant), CameraError> {
        match self {
            NativeStream::Nokhwa { camera, clock } => {
                let buffer = camera.frame().map_err(failed)?;
                let captured = clock.captured(buffer.capture_timestamp());
                Ok((NativeBuffer::Nokhwa(buffer), captured))
            }
            NativeStream::Direct(stream) => {
                let (bytes, captured) = stream.next()?;
                Ok((NativeBuffer::Direct(bytes), captured))
            }
        }
    }
}

/// A camera's clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// How old the picture was by its stamp that was the youngest of all.
    youngest: Option<Duration>,
    /// When the newest picture was captured.
    newest: Option<Instant>,
}

impl Clock {
    /// The kernel's stamp comes as time of day, which can be set while the program runs: turned
    /// into monotonic time at once.
    fn captured(&mut self, stamp: Option<Duration>) -> Instant {
        let now = Instant::now();
        let age = stamp.and_then(|stamp| SystemTime::now().duration_since(UNIX_EPOCH + stamp).ok());
        let age = match cfg!(windows) {
            true => age.map(|age| self.beyond_the_youngest(age)),
            false => age,
        };
        let age = age.filter(|age| *age < OLDEST_STAMP);
        let captured = age.and_then(|age| now.checked_sub(age)).unwrap_or(now);
        // Each younger picture moves the clock. Time goes forward all the same.
        let captured = self.newest.map_or(captured, |newest| newest.max(captured));
        self.newest = Some(captured);
        captured
    }

    /// A picture's age, where stamps count from the moment at which the first picture was asked
    /// for, as on Windows: by them all pictures are older than they are, by the time that the
    /// camera took to start. The youngest one is taken for fresh.
    fn beyond_the_youngest(&mut self, age: Duration) -> Duration {
        let youngest = self.youngest.map_or(age, |youngest| youngest.min(age));
        self.youngest = Some(youngest);
        age - youngest
    }
}

fn frame_format(encoding: Encoding) -> FrameFormat {
    match encoding {
        Encoding::Yuyv => FrameFormat::YUYV,
        Encoding::Nv12 => FrameFormat::NV12,
        Encoding::Mjpeg => FrameFormat::MJPEG,
        Encoding::Rgb => FrameFormat::RAWRGB,
        Encoding::Bgr => FrameFormat::RAWBGR,
        Encoding::Grey => FrameFormat::GRAY,
    }
}

/// Why a camera did not open. Its errors come as text only, the system's number among it.
fn refused(error: NokhwaError) -> CameraError {
    system_error(&error).unwrap_or_else(|| CameraError::Refused(error.to_string()))
}

/// What is said where the system's part that reads cameras does not start.
const NO_START: &str = if cfg!(windows) {
    "Windows' Media Foundation does not start"
} else {
    "the system's camera interface does not start"
};

/// What to do about that.
const NO_START_ADVICE: &str = if cfg!(windows) {
    ": add the Media Feature Pack under Settings, System, Optional features, and start Windows anew"
} else {
    ""
};

/// Why an open camera stopped, or cameras cannot be listed.
fn failed(error: NokhwaError) -> CameraError {
    if let NokhwaError::InitializeError { error, .. } = &error {
        return CameraError::Failed(format!("{NO_START} ({error}){NO_START_ADVICE}"));
    }
    system_error(&error).unwrap_or_else(|| CameraError::Failed(error.to_string()))
}

/// What an error means, where it means something particular.
fn system_error(error: &NokhwaError) -> Option<CameraError> {
    let text = error.to_string();
    windows_error(&text).or_else(|| {
        let (_, number) = text.split_once("(os error ")?;
        let (number, _) = number.split_once(')')?;
        listing::system_error(number.parse().ok()?)
    })
}

/// What an error's text means that ends with one of Windows' codes, as in "Access is denied.
/// (0x80070005)".
fn windows_error(text: &str) -> Option<CameraError> {
    const ACCESS_DENIED: u32 = 0x8007_0005;
    const SHARING_VIOLATION: u32 = 0x8007_0020;
    const BUSY: u32 = 0x8007_00aa;
    const FAILED_START_STREAMING: u32 = 0xc00d_3704;
    const DEVICE_INVALIDATED: u32 = 0xc00d_3ea2;
    const DEVICE_PREEMPTED: u32 = 0xc00d_3ea3;
    const NOT_CONNECTED: u32 = 0x8007_048f;
    let (_, code) = text.rsplit_once("(0x")?;
    let (code, _) = code.split_once(')')?;
    match u32::from_str_radix(code, 16).ok()? {
        ACCESS_DENIED => Some(CameraError::Denied),
        SHARING_VIOLATION | BUSY | FAILED_START_STREAMING | DEVICE_PREEMPTED => {
            Some(CameraError::Busy)
        }
        DEVICE_INVALIDATED | NOT_CONNECTED => Some(CameraError::Gone),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
mod listing_elsewhere {
    //! Devices and formats as `nokhwa` tells them.

    use nokhwa::utils::ApiBackend;

    use super::*;

    pub(in super::super) fn devices() -> Result<Vec<Device>, CameraError> {
        // Another thread lists cameras than opens them.
        #[cfg(windows)]
        crate::base::win32::share_com();
        allowed()?;
        let mut devices: Vec<_> = nokhwa::query(ApiBackend::Auto)
            .map_err(failed)?
            .into_iter()
            .filter_map(|info| {
                let index = info.index().as_index().ok()?;
                let name = info.human_name();
                Some(Device { index, name })
            })
            .collect();
        devices.sort_by_key(|device| device.index);
        Ok(devices)
    }

    pub(in super::super) fn formats(device: &Device) -> Result<Vec<Format>, CameraError> {
        let every = nokhwa::utils::frame_formats();
        let request = RequestedFormat::with_formats(RequestedFormatType::None, every);
        let mut camera = Camera::new(CameraIndex::Index(device.index), request).map_err(refused)?;
        let formats = camera.compatible_camera_formats().map_err(failed)?;
        Ok(formats
            .into_iter()
            .map(|format| Format {
                encoding: encoding(format.format()),
                width: format.width(),
                height: format.height(),
                fps: f64::from(format.frame_rate()),
            })
            .collect())
    }

    /// There is no other way to a camera here.
    pub(in super::super) enum DirectStream {}

    impl DirectStream {
        pub(in super::super) fn open(_: &Device, _: &Format) -> Result<Self, CameraError> {
            let why = "only whole rates can be asked for";
            Err(CameraError::Refused(why.into()))
        }
    }

    impl Stream for DirectStream {
        type Buffer = Vec<u8>;

        fn next(&mut self) -> Result<(Vec<u8>, Instant), CameraError> {
            match *self {}
        }
    }

    /// Whether a format is one that `nokhwa` cannot ask for.
    pub(in super::super) fn needs_direct(format: &Format) -> bool {
        format.fps.fract() != 0.0
    }

    pub(in super::super) fn prepare(_: &Device, _: &Format) -> Result<(), CameraError> {
        Ok(())
    }

    pub(in super::super) fn system_error(_: i32) -> Option<CameraError> {
        None
    }

    fn encoding(format: FrameFormat) -> Encoding {
        match format {
            FrameFormat::YUYV => Encoding::Yuyv,
            FrameFormat::NV12 => Encoding::Nv12,
            FrameFormat::MJPEG => Encoding::Mjpeg,
            FrameFormat::RAWRGB => Encoding::Rgb,
            FrameFormat::RAWBGR => Encoding::Bgr,
            FrameFormat::GRAY => Encoding::Grey,
        }
    }

    /// Asks the user for access where the system wants that, and waits for the answer.
    fn allowed() -> Result<(), CameraError> {
        if nokhwa::nokhwa_check() {
            return Ok(());
        }
        let (answer, answered) = crossbeam_channel::bounded(1);
        nokhwa::nokhwa_initialize(move |granted| {
            let _ = answer.try_send(granted);
        });
        match answered.recv_timeout(Duration::from_secs(60)) {
            Ok(true) => Ok(()),
            _ => Err(CameraError::Denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_camera_took_to_start_makes_no_picture_older() {
        let ms = Duration::from_millis;
        let mut clock = Clock::default();
        let ages = [900, 880, 885, 913].map(|age| clock.beyond_the_youngest(ms(age)));
        assert_eq!(ages, [0, 0, 5, 33].map(ms));
    }

    #[test]
    fn no_picture_is_captured_before_the_one_before_it() {
        let ms = Duration::from_millis;
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut clock = Clock::default();
        let first = clock.captured(Some(since() - ms(10)));
        assert!(clock.captured(Some(since() - ms(500))) >= first);
    }

    #[test]
    fn an_error_that_a_person_can_mend_is_known_by_the_systems_number() {
        let opening = |why: &str| refused(NokhwaError::OpenDeviceError("0".into(), why.into()));
        for (why, meaning) in [
            ("Access is denied. (0x80070005)", CameraError::Denied),
            ("It is in use. (0xC00D3704)", CameraError::Busy),
            ("It is preempted. (0xC00D3EA3)", CameraError::Busy),
            ("It is no longer present. (0xC00D3EA2)", CameraError::Gone),
        ] {
            assert_eq!(opening(why), meaning, "{why}");
        }
        let other = "Unspecified error (0x80004005)";
        let CameraError::Refused(said) = opening(other) else {
            panic!("another format is worth a try");
        };
        assert!(said.contains(other), "{said}");
    }
}

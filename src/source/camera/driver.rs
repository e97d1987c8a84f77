//! What the camera source needs of an operating system: devices, their formats, a stream of
//! buffers. The real one is in [`super::native`]; tests bring their own.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::formats::Format;

/// A time stamp older than this is taken for nonsense.
pub(super) const OLDEST_STAMP: Duration = Duration::from_secs(10);

/// A camera as the operating system lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The operating system's number for it: N of `/dev/videoN` on Linux. It can change when a
    /// camera is plugged in again.
    pub index: u32,
    /// What the camera calls itself.
    pub name: String,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (cam:{})", self.name, self.index)
    }
}

/// Access to cameras.
pub(super) trait Driver: Send + Sync + 'static {
    /// A camera that delivers.
    type Stream: Stream;

    /// The cameras there are, in order of their index.
    fn devices(&self) -> Result<Vec<Device>, CameraError>;

    /// What a camera can deliver, in no order.
    fn formats(&self, device: &Device) -> Result<Vec<Format>, CameraError>;

    /// Opens a camera with one of its formats.
    fn open(&self, device: &Device, format: &Format) -> Result<Self::Stream, CameraError>;
}

/// A camera that delivers. Dropping it closes the camera.
pub(super) trait Stream {
    /// A picture as the camera coded it.
    type Buffer: AsRef<[u8]> + Send + 'static;

    /// Waits for the next picture, for ever if need be. Returns the moment of its capture too.
    fn next(&mut self) -> Result<(Self::Buffer, Instant), CameraError>;
}

/// Why a camera cannot be used.
// Only Linux tells a busy camera and one that is gone from others that fail.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CameraError {
    /// Another program uses it.
    Busy,
    /// The user may not.
    Denied,
    /// It is not there, or not any more.
    Gone,
    /// It does not take what was asked for; another format may do.
    Refused(String),
    /// Anything else, in the driver's words.
    Failed(String),
}

impl fmt::Display for CameraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CameraError::Busy => f.write_str("another program is using it: close that program"),
            CameraError::Denied => f.write_str(DENIED),
            CameraError::Gone => f.write_str("it was unplugged"),
            CameraError::Refused(why) | CameraError::Failed(why) => f.write_str(why),
        }
    }
}

const DENIED: &str = if cfg!(target_os = "linux") {
    "no permission: add yourself to the group video (sudo usermod -aG video $USER), then log out \
     and in again"
} else if cfg!(target_os = "macos") {
    "no permission: allow your terminal in System Settings, Privacy & Security, Camera"
} else if cfg!(windows) {
    "no permission: allow desktop apps in Settings, Privacy & security, Camera"
} else {
    "no permission"
};

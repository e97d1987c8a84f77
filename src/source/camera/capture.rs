//! The thread that does nothing but take pictures from a camera and hand them over.
//!
//! Drivers keep the oldest pictures when nobody takes them, so that a slow reader sees the past:
//! decoding and all else happen elsewhere. A driver may also block for ever: the thread is
//! watched from outside, and left behind where it does not come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::driver::{CameraError, Device, Driver, Stream};
use super::formats::{Format, Wish, choose};
use crate::mailbox::{self, Empty, mailbox};

/// How long a camera may take to close before it is left behind.
const CLOSING_TIME: Duration = Duration::from_millis(300);

/// How many formats are tried on a camera before it is given up.
const MOST_FORMATS: usize = 8;

/// A picture as it came from the camera.
pub(super) struct Raw<B> {
    /// Counts the camera's pictures since it was opened.
    pub seq: u64,
    /// When it was captured.
    pub captured: Instant,
    /// How it is coded.
    pub format: Format,
    pub buffer: B,
}

/// A camera that is being opened or delivers.
pub(super) struct Capture<B> {
    /// Which camera it is.
    pub device: Device,
    /// When opening it began.
    pub since: Instant,
    raws: mailbox::Receiver<Raw<B>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<CameraError>>,
}

impl<B: Send + 'static> Capture<B> {
    /// Starts a thread that opens the camera with the first of its formats that works, the best
    /// one of those wished for first, and delivers until it is dropped or the camera fails.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start<D>(driver: Arc<D>, device: Device, wish: Wish) -> Result<Self>
    where
        D: Driver,
        D::Stream: Stream<Buffer = B>,
    {
        let (sender, raws) = mailbox();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("capture".into()).spawn({
            let (device, stop) = (device.clone(), Arc::clone(&stop));
            move || capture(&*driver, &device, &wish, &sender, &stop)
        });
        Ok(Capture {
            device,
            since: Instant::now(),
            raws,
            stop,
            thread: Some(thread.context("cannot start a thread for the camera")?),
        })
    }

    /// Takes the newest picture, waiting for one up to `timeout`; `None` when there is none.
    ///
    /// # Errors
    /// Why the camera delivers no more.
    pub fn take(&mut self, timeout: Duration) -> Result<Option<Raw<B>>, CameraError> {
        match self.raws.take(timeout) {
            Ok(raw) => Ok(Some(raw)),
            Err(Empty::Timeout) => Ok(None),
            // The thread has dropped its end of the mailbox as the last thing it does.
            Err(Empty::Closed) => Err(match self.thread.take().map(JoinHandle::join) {
                Some(Ok(error)) => error,
                _ => CameraError::Failed("its driver crashed".into()),
            }),
        }
    }

    /// Pictures that were replaced by newer ones before they were taken.
    pub fn replaced(&self) -> u64 {
        self.raws.replaced()
    }
}

impl<B> Drop for Capture<B> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else {
            return;
        };
        let deadline = Instant::now() + CLOSING_TIME;
        while !thread.is_finished() {
            if Instant::now() > deadline {
                tracing::debug!("{} does not close: left behind", self.device);
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Opens the camera and delivers until told to stop or the camera fails; returns why it ended.
fn capture<D: Driver>(
    driver: &D,
    device: &Device,
    wish: &Wish,
    sender: &mailbox::Sender<Raw<<D::Stream as Stream>::Buffer>>,
    stop: &AtomicBool,
) -> CameraError {
    let formats = match driver.formats(device) {
        Ok(formats) => match choose(&formats, wish) {
            Ok(formats) => formats,
            Err(why) => return CameraError::Failed(why),
        },
        Err(error) => return error,
    };
    let mut refusals = Vec::new();
    for format in formats.iter().take(MOST_FORMATS) {
        if stop.load(Ordering::Acquire) {
            return CameraError::Failed("it was closed while it was opened".into());
        }
        // Some cameras refuse only when the first picture is asked for.
        let opened = driver.open(device, format);
        let first = opened.and_then(|mut stream| Ok((stream.next()?, stream)));
        match first {
            Ok((first, stream)) => {
                tracing::info!("{device}: {format}");
                return deliver(stream, first, format, sender, stop);
            }
            Err(CameraError::Refused(why) | CameraError::Failed(why)) => {
                tracing::debug!("{device}: {format}: {why}");
                refusals.push(format!("{format}: {why}"));
            }
            Err(error) => return error,
        }
    }
    CameraError::Failed(format!(
        "it takes none of its formats:\n    {}",
        refusals.join("\n    ")
    ))
}

fn deliver<S: Stream>(
    mut stream: S,
    first: (S::Buffer, Instant),
    format: &Format,
    sender: &mailbox::Sender<Raw<S::Buffer>>,
    stop: &AtomicBool,
) -> CameraError {
    let mut next = Ok(first);
    for seq in 0.. {
        let (buffer, captured) = match next {
            Ok(picture) => picture,
            Err(error) => return error,
        };
        let raw = Raw {
            seq,
            captured,
            format: *format,
            buffer,
        };
        if sender.put(raw).is_err() || stop.load(Ordering::Acquire) {
            break;
        }
        next = stream.next();
    }
    CameraError::Failed("it was closed".into())
}

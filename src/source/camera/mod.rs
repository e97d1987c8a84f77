//! Cameras: the first one that works or a named one, read until the program ends, through
//! stalls, damaged pictures and being unplugged.

mod capture;
mod decode;
mod driver;
mod formats;
#[cfg(target_os = "linux")]
mod linux;
mod native;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use self::capture::{Capture, Raw};
use self::driver::{Driver, Stream};
use self::native::Native;
use super::{Event, Losses, Source};
use crate::base::frame::FramePool;

pub use self::driver::Device;
pub use self::formats::{Encoding, Format, Wish};

/// The longest that [`Source::next`] waits.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// How long a camera may take from being opened to its first good picture. Slow ones switch on
/// their light and measure it first.
const FIRST_PICTURE: Duration = Duration::from_secs(5);

/// A camera that was silent for so long has stalled.
const STALL: Duration = Duration::from_millis(900);

// A stall is noticed within a second.
const _: () = assert!(STALL.as_millis() + LONGEST_WAIT.as_millis() <= 1000);

/// Time between two attempts to find a camera again.
const RETRY: Duration = Duration::from_millis(500);

/// Which camera to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The first one that opens and gives a picture.
    First,
    /// The one with this index.
    Index(u32),
    /// The first one that works of those whose name holds this, in capitals or not.
    Named(String),
}

impl Choice {
    /// Whether a camera is one of those meant.
    fn allows(&self, device: &Device) -> bool {
        match self {
            Choice::First => true,
            Choice::Index(index) => device.index == *index,
            Choice::Named(part) => {
                let name = device.name.to_lowercase();
                name.contains(&part.to_lowercase())
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::First => f.write_str("camera"),
            Choice::Index(index) => write!(f, "cam:{index}"),
            Choice::Named(part) => write!(f, "camera named {part:?}"),
        }
    }
}

/// A source that reads a camera with one of the formats wished for. It is opened by the first call
/// of [`Source::next`].
pub fn open(choice: Choice, wish: Wish) -> Box<dyn Source> {
    Box::new(CameraSource::new(Native, choice, wish))
}

/// Decodes a camera's buffer, for the fuzzers.
///
/// # Errors
/// When the buffer is damaged.
#[cfg(fuzzing)]
pub fn decode_buffer(
    format: &Format,
    data: &[u8],
    frame: &mut crate::base::frame::Frame,
) -> Result<()> {
    decode::decode(format, data, frame)
}

/// A camera with what it can deliver.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// The camera.
    #[serde(flatten)]
    pub device: Device,
    /// Its formats in the order in which they are tried.
    pub formats: Vec<Format>,
    /// Why the formats are not known.
    pub error: Option<String>,
}

/// The cameras there are. None of them is switched on.
///
/// # Errors
/// When the operating system does not tell, or does not let this program use cameras.
pub fn list() -> Result<Vec<Listing>> {
    let devices = Native
        .devices()
        .map_err(|error| anyhow!("cannot list cameras: {error}"))?;
    Ok(devices
        .into_iter()
        .map(|device| {
            let (formats, error) = match Native.formats(&device) {
                Ok(formats) => (formats::ranked(&formats), None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            Listing {
                device,
                formats,
                error,
            }
        })
        .collect())
}

type Buffer<D> = <<D as Driver>::Stream as Stream>::Buffer;

struct CameraSource<D: Driver> {
    driver: Arc<D>,
    choice: Choice,
    wish: Wish,
    name: String,
    state: State<Buffer<D>>,
    /// Sequence number of the next picture: goes on counting when a camera is opened again.
    next_seq: u64,
    /// When the first frame was captured.
    start: Option<Instant>,
    /// Losses of captures that have ended, and all damaged pictures.
    losses: Losses,
}

enum State<B> {
    /// Nothing was tried yet.
    Start,
    /// One camera after the other is tried.
    Opening(Opening<B>),
    /// A camera delivers.
    Running(Running<B>),
    /// The camera is gone; it is looked for again at `retry`.
    Lost {
        device: Device,
        why: String,
        retry: Instant,
    },
}

struct Opening<B> {
    current: Option<Capture<B>>,
    candidates: VecDeque<Device>,
    failures: Vec<(Device, String)>,
    /// The camera that delivered before, and what became of it.
    before: Option<(Device, String)>,
}

struct Running<B> {
    capture: Capture<B>,
    /// Sequence number of the capture's first picture.
    first_seq: u64,
    /// When the last good frame came.
    last_good: Instant,
    /// Whether pictures came since then.
    damaged: bool,
}

impl<D: Driver> CameraSource<D> {
    fn new(driver: D, choice: Choice, wish: Wish) -> Self {
        CameraSource {
            driver: Arc::new(driver),
            choice,
            wish,
            name: "camera".into(),
            state: State::Start,
            next_seq: 0,
            start: None,
            losses: Losses::default(),
        }
    }

    /// The cameras to try at the start, in order.
    fn candidates(&self) -> Result<VecDeque<Device>> {
        let devices = self
            .driver
            .devices()
            .map_err(|error| anyhow!("cannot use cameras: {error}"))?;
        if devices.is_empty() && self.choice == Choice::First {
            bail!(
                "no camera found: plug one in, give pictures or a video with --source PATH, \
                 or watch a drawn hand with --source demo"
            );
        }
        let there: Vec<_> = devices.iter().map(Device::to_string).collect();
        let meant: VecDeque<_> = (devices.into_iter())
            .filter(|device| self.choice.allows(device))
            .collect();
        match (meant.is_empty(), there.is_empty()) {
            (false, _) => Ok(meant),
            (true, true) => bail!("there is no {}, nor any camera", self.choice),
            (true, false) => bail!(
                "there is no {}: choose one of {}",
                self.choice,
                there.join(", ")
            ),
        }
    }

    /// Tries the candidates; `Ok(None)` when the state has changed.
    fn go_on_opening(&mut self, pool: &FramePool) -> Result<Option<Event>> {
        let State::Opening(opening) = &mut self.state else {
            return Ok(None);
        };
        let Some(capture) = &mut opening.current else {
            let Some(device) = opening.candidates.pop_front() else {
                return self.give_up_opening();
            };
            opening.current = Some(Capture::start(Arc::clone(&self.driver), device, self.wish)?);
            return Ok(None);
        };
        let why = match capture.take(LONGEST_WAIT) {
            Ok(Some(raw)) => match decode(pool, &raw, self.next_seq, &mut self.start) {
                Ok(event) => {
                    self.run(raw.seq);
                    return Ok(Some(event));
                }
                Err(error) => {
                    tracing::debug!("{}: {error:#}", capture.device);
                    self.losses.damaged += 1;
                    (capture.since.elapsed() > FIRST_PICTURE)
                        .then(|| format!("it gives no good picture: {error:#}"))
                }
            },
            Ok(None) if capture.since.elapsed() > FIRST_PICTURE => Some(format!(
                "it opened, but gave no picture within {} s",
                FIRST_PICTURE.as_secs()
            )),
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        };
        match why {
            Some(why) => {
                let device = capture.device.clone();
                tracing::debug!("{device}: {why}");
                opening.failures.push((device, why));
                opening.current = None;
                Ok(None)
            }
            None => Ok(Some(Event::Waiting(Some(match &opening.before {
                Some((device, why)) => waiting_for(device, why),
                None => format!("opening {}", capture.device.name),
            })))),
        }
    }

    /// No candidate is left: the end at the start, patience later on.
    fn give_up_opening(&mut self) -> Result<Option<Event>> {
        let State::Opening(opening) = &mut self.state else {
            return Ok(None);
        };
        let failures = std::mem::take(&mut opening.failures);
        let Some((device, why)) = opening.before.take() else {
            let tried: Vec<_> = failures
                .iter()
                .map(|(device, why)| format!("{device}: {why}"))
                .collect();
            match &tried[..] {
                [one] if self.choice != Choice::First => bail!("cannot use the camera {one}"),
                _ => bail!(
                    "no camera works; --source demo shows a drawn hand without one:\n  {}",
                    tried.join("\n  ")
                ),
            }
        };
        self.state = State::Lost {
            device,
            why,
            retry: Instant::now() + RETRY,
        };
        Ok(None)
    }

    /// The camera that is being opened works: its picture `seq` was good.
    fn run(&mut self, seq: u64) {
        let State::Opening(opening) = std::mem::replace(&mut self.state, State::Start) else {
            return;
        };
        let Some(capture) = opening.current else {
            return;
        };
        self.name.clone_from(&capture.device.name);
        let first_seq = self.next_seq.saturating_sub(seq);
        self.next_seq += 1;
        self.state = State::Running(Running {
            capture,
            first_seq,
            last_good: Instant::now(),
            damaged: false,
        });
    }

    /// Takes the running camera's next picture; `Ok(None)` when there was none or it is gone.
    fn go_on_running(&mut self, pool: &FramePool) -> Option<Event> {
        let State::Running(running) = &mut self.state else {
            return None;
        };
        match running.capture.take(LONGEST_WAIT) {
            Ok(Some(raw)) => {
                let seq = running.first_seq + raw.seq;
                self.next_seq = seq + 1;
                match decode(pool, &raw, seq, &mut self.start) {
                    Ok(event) => {
                        running.last_good = Instant::now();
                        running.damaged = false;
                        return Some(event);
                    }
                    Err(error) => {
                        tracing::debug!("{}: picture {seq}: {error:#}", self.name);
                        self.losses.damaged += 1;
                        running.damaged = true;
                    }
                }
                Some(Event::Waiting(running.trouble(&self.name)))
            }
            Ok(None) => Some(Event::Waiting(running.trouble(&self.name))),
            Err(error) => {
                let why = error.to_string();
                let device = running.capture.device.clone();
                tracing::debug!("{device}: {why}");
                self.losses.replaced += running.capture.replaced();
                self.state = State::Lost {
                    device,
                    why,
                    retry: Instant::now(),
                };
                None
            }
        }
    }

    /// Looks for a lost camera once it is time to.
    fn look_again(&mut self) -> Option<Event> {
        let State::Lost { device, why, retry } = &self.state else {
            return None;
        };
        let wait = retry.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait.min(LONGEST_WAIT));
            return Some(Event::Waiting(Some(waiting_for(device, why))));
        }
        // The same camera in another socket has the same name, but may have another index.
        let mut candidates = self.driver.devices().unwrap_or_default();
        candidates.retain(|candidate| candidate.name == device.name);
        candidates.sort_by_key(|candidate| candidate.index != device.index);
        self.state = State::Opening(Opening {
            current: None,
            candidates: candidates.into(),
            failures: Vec::new(),
            before: Some((device.clone(), why.clone())),
        });
        None
    }
}

impl<B> Running<B> {
    /// What is wrong with a camera that gave no good picture for a while.
    fn trouble(&self, name: &str) -> Option<String> {
        let silent = self.last_good.elapsed();
        if silent < STALL {
            None
        } else if self.damaged {
            Some(format!("{name} gives damaged pictures only"))
        } else {
            let seconds = silent.as_secs().max(1);
            Some(format!("{name} gives no picture: {seconds} s"))
        }
    }
}

fn waiting_for(device: &Device, why: &str) -> String {
    format!("waiting for {}: {why}", device.name)
}

/// Decodes a picture into a frame; the first one starts the media time.
fn decode<B: AsRef<[u8]>>(
    pool: &FramePool,
    raw: &Raw<B>,
    seq: u64,
    start: &mut Option<Instant>,
) -> Result<Event> {
    let began = Instant::now();
    let frame = pool.fill(|frame| {
        decode::decode(&raw.format, raw.buffer.as_ref(), frame)?;
        frame.seq = seq;
        frame.captured = raw.captured;
        let start = *start.get_or_insert(raw.captured);
        frame.time = raw.captured.saturating_duration_since(start);
        anyhow::Ok(())
    })?;
    Ok(Event::Frame {
        frame,
        decode: began.elapsed(),
    })
}

impl<D: Driver> Source for CameraSource<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        loop {
            let event = match &self.state {
                State::Start => {
                    self.state = State::Opening(Opening {
                        current: None,
                        candidates: self.candidates()?,
                        failures: Vec::new(),
                        before: None,
                    });
                    None
                }
                State::Opening(_) => self.go_on_opening(pool)?,
                State::Running(_) => self.go_on_running(pool),
                State::Lost { .. } => self.look_again(),
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    fn losses(&self) -> Losses {
        let running = match &self.state {
            State::Running(running) => running.capture.replaced(),
            _ => 0,
        };
        Losses {
            replaced: self.losses.replaced + running,
            ..self.losses
        }
    }
}

//! `signcam latency`: from the screen through the camera to the program, with no extra hardware.
//!
//! The window blinks, the camera looks at it, and the time from a change on the screen until the
//! program has a frame that shows it is taken: screen, exposure, readout, cable, driver and
//! decoding together. [`blink`] decides and measures, `sight` tells what the camera sees.

pub mod blink;
mod sight;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::base::frame::FramePool;
use crate::commands::inputs::SourceArgs;
use crate::sink::screen::{Action, Screen};
use crate::sink::window::Window;
use crate::source::{Event, Origin, Pace, Source};
use blink::{Blink, Outcome, Trips};
use sight::{Colour, Grid};

/// The window's width and height, in pixels.
const WINDOW: (usize, usize) = (640, 480);

/// How long the window waits for a frame before it looks after itself.
const WAIT: Duration = Duration::from_millis(1);

/// Nothing from the camera for so long ends the measurement.
const SILENCE: Duration = Duration::from_secs(8);

const HOW: &str = "\
signcam latency: the window now blinks between black and white. Turn the camera so that it sees \
the window, straight or at an angle, or hold a mirror (a phone's dark glass will do) so that it \
sees the window in it. Then leave it still for a minute. Esc or q gives up.";

/// What `signcam latency` takes.
#[derive(Debug, Args)]
pub struct LatencyArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Blinks, measures, and returns what is to be printed.
///
/// # Errors
/// When there is no camera or display, the camera does not see the window, or somebody gives up.
pub fn latency(args: &LatencyArgs, interrupted: &AtomicBool) -> Result<String> {
    let origin = args.source.origin();
    if matches!(origin, Origin::Path(_) | Origin::Demo) {
        bail!("cannot measure the latency of {origin}: it takes a camera that sees the screen");
    }
    let source = args.source.open(Pace::Max)?;
    let (width, height) = WINDOW;
    let mut window = Window::open("signcam latency", width, height, Action::of)?;
    eprintln!("{HOW}");
    let start = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let seen = watch(source, start, Arc::clone(&stop))?;
    let outcome = measure(&mut window, &seen, start, interrupted);
    stop.store(true, Ordering::Release);
    let report = Report::new(&origin, &outcome?);
    Ok(if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.to_string()
    })
}

/// A frame as the blinking needs it; times since the start.
struct Seen {
    captured: Duration,
    now: Duration,
    grid: Grid,
}

/// Reads the camera on a thread, which is left behind where a driver does not come back.
fn watch(
    mut source: Box<dyn Source>,
    start: Instant,
    stop: Arc<AtomicBool>,
) -> Result<Receiver<Result<Seen>>> {
    let (sender, receiver) = bounded(8);
    let read = move || {
        let pool = FramePool::new();
        while !stop.load(Ordering::Acquire) {
            let seen = match source.next(&pool) {
                Ok(Event::Frame { frame, .. }) => Ok(Seen {
                    captured: frame.captured.saturating_duration_since(start),
                    now: start.elapsed(),
                    grid: Grid::of(&frame),
                }),
                Ok(Event::Waiting(_)) => continue,
                Ok(Event::End) => Err(anyhow!("the camera has no more frames")),
                Err(error) => Err(error),
            };
            let failed = seen.is_err();
            if sender.send(seen).is_err() || failed {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("camera".into()).spawn(read);
    thread.context("cannot start a thread for the camera")?;
    Ok(receiver)
}

fn measure(
    window: &mut Window,
    seen: &Receiver<Result<Seen>>,
    start: Instant,
    interrupted: &AtomicBool,
) -> Result<Outcome> {
    let (width, height) = WINDOW;
    let mut blink = Blink::new();
    let mut pixels = vec![0; width * height];
    let mut shown = None;
    let mut last_frame = Instant::now();
    let mut said = 0;
    loop {
        if shown != Some(blink.colour()) {
            shown = Some(blink.colour());
            pixels.fill(match blink.colour() {
                Colour::Black => 0x00_0000,
                Colour::White => 0xff_ffff,
            });
            window.show(&pixels, width, height)?;
            blink.shown(start.elapsed());
        }
        match seen.recv_timeout(WAIT) {
            Ok(frame) => {
                let Seen {
                    captured,
                    now,
                    grid,
                } = frame?;
                last_frame = Instant::now();
                blink.frame(captured, now, &grid).map_err(refused)?;
            }
            Err(RecvTimeoutError::Timeout) => blink.tick(start.elapsed()).map_err(refused)?,
            Err(RecvTimeoutError::Disconnected) => bail!("the camera's thread has ended"),
        }
        if let Some(outcome) = blink.outcome() {
            return Ok(outcome);
        }
        if last_frame.elapsed() > SILENCE {
            bail!("the camera gives no pictures: see `signcam cameras`");
        }
        if interrupted.load(Ordering::Acquire) || window.actions().contains(&Action::Quit) {
            bail!("given up before the latency was measured");
        }
        let tenths = (blink.progress() * 10.0) as u32;
        if tenths > said {
            said = tenths;
            eprintln!("{} %", tenths * 10);
        }
    }
}

fn refused(why: String) -> anyhow::Error {
    anyhow!("cannot measure the latency: {why}")
}

/// What was measured, in milliseconds.
#[derive(Debug, Serialize)]
struct Report {
    camera: String,
    /// Share of the camera's picture that sees the window.
    window_share: f64,
    camera_period_ms: f64,
    /// Each change as soon as the last was seen.
    in_loop: Way,
    /// Changes at random times.
    at_random: Way,
}

#[derive(Debug, Serialize)]
struct Way {
    /// From the change until the program had a frame that shows it.
    round_trip: Spread,
    /// The same, less the camera's period.
    less_period_p50_ms: f64,
    /// From the change until the driver's time stamp of that frame.
    to_stamp: Spread,
}

#[derive(Debug, Serialize)]
struct Spread {
    min_ms: f64,
    p50_ms: f64,
    p95_ms: f64,
    max_ms: f64,
    count: u64,
}

impl Report {
    fn new(origin: &Origin, outcome: &Outcome) -> Self {
        let period = outcome.period.as_secs_f64() * 1e3;
        let way = |trips: &Trips| {
            let round_trip = Spread::of(&trips.to_program);
            Way {
                less_period_p50_ms: round_trip.p50_ms - period,
                round_trip,
                to_stamp: Spread::of(&trips.to_stamp),
            }
        };
        Report {
            camera: origin.to_string(),
            window_share: outcome.share,
            camera_period_ms: period,
            in_loop: way(&outcome.in_loop),
            at_random: way(&outcome.at_random),
        }
    }
}

impl Spread {
    fn of(times: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1e3;
        Spread {
            min_ms: ms(times.min()),
            p50_ms: ms(times.value_at_quantile(0.5)),
            p95_ms: ms(times.value_at_quantile(0.95)),
            max_ms: ms(times.max()),
            count: times.len(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, period {:.1} ms; the window fills {:.0} % of its picture",
            self.camera,
            self.camera_period_ms,
            self.window_share * 100.0
        )?;
        writeln!(
            f,
            "{:<34}{:>8}{:>8}{:>8}{:>8}{:>7}",
            "ms from a change on the screen", "min", "p50", "p95", "max", "count"
        )?;
        let mut row = |name: &str, spread: &Spread| {
            let Spread {
                min_ms,
                p50_ms,
                p95_ms,
                max_ms,
                count,
            } = spread;
            writeln!(
                f,
                "{name:<34}{min_ms:>8.1}{p50_ms:>8.1}{p95_ms:>8.1}{max_ms:>8.1}{count:>7}"
            )
        };
        row("to the program, in a loop", &self.in_loop.round_trip)?;
        row("to the driver's stamp, in a loop", &self.in_loop.to_stamp)?;
        row("to the program, at random", &self.at_random.round_trip)?;
        row("to the driver's stamp, at random", &self.at_random.to_stamp)?;
        writeln!(
            f,
            "less the camera's period: {:.1} ms in a loop, {:.1} ms at random. A change waits up to \
             a period for the next exposure; what is left is the screen, the exposure, the camera's \
             electronics, the cable and the driver. The true delay lies within a period of it.",
            self.in_loop.less_period_p50_ms, self.at_random.less_period_p50_ms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_states_the_cameras_period_and_what_is_left_without_it() {
        let mut histogram = Histogram::new_with_bounds(1, 10_000_000, 3).unwrap();
        for ms in 80..=120 {
            histogram.record(ms * 1000).unwrap();
        }
        let trips = Trips {
            to_program: histogram.clone(),
            to_stamp: histogram,
        };
        let outcome = Outcome {
            period: Duration::from_micros(33_300),
            share: 0.25,
            in_loop: trips.clone(),
            at_random: trips,
        };
        let report = Report::new(&Origin::Camera(2), &outcome);
        let left = report.in_loop.less_period_p50_ms;
        assert!((left - (100.0 - 33.3)).abs() < 0.2, "{left}");
        let text = report.to_string();
        for part in [
            "cam:2, period 33.3 ms",
            "25 %",
            "66.7 ms in a loop",
            "exposure",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["at_random"]["round_trip"]["count"], 41);
        assert!(json["at_random"]["less_period_p50_ms"].is_number());
    }
}

//! Times per stage, rates and losses of a running program.
//!
//! [`Stats`] is a handle that threads share; [`Stats::report`] sums up. Times are kept in
//! histograms of constant size, so that a program may run for days. They start when the program
//! has the frame's capture time from the driver: exposure, the cable, the compositor and the
//! panel are outside what is measured here.

pub mod file;
mod meter;
mod plot;
mod report;
mod stage;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::source::Losses;
pub use report::{Dropped, Rates, Report, Setup, Stages, Times};
pub use stage::Stage;

use meter::Meter;
use stage::STAGES;

/// What is counted over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Frames from the source.
    Source,
    /// Readings.
    Inference,
    /// Pictures shown.
    Display,
}

/// Where frames got lost behind the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// Replaced by a newer one before the recognizer took it.
    Mailbox,
    /// Replaced by a newer one before it was shown.
    Display,
    /// Not recorded, because the encoder was busy.
    Record,
}

/// Times are kept in microseconds up to a minute, exact to three digits.
const LONGEST_US: u64 = 60_000_000;

/// A handle on the figures of a running program; clones share them.
#[derive(Debug, Clone)]
pub struct Stats {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    stages: [Histogram<u64>; STAGES.len()],
    rates: [Meter; 3],
    losses: Losses,
    drops: [u64; 3],
    /// Losses and drops at the last restart.
    before: (Losses, [u64; 3]),
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Stats {
            inner: Arc::new(Mutex::new(Inner {
                stages: histograms(),
                rates: Default::default(),
                losses: Losses::default(),
                drops: [0; 3],
                before: Default::default(),
            })),
        }
    }

    /// Forgets what was measured so far: a program's first frames say little about the others.
    pub fn restart(&self) {
        let mut inner = self.lock();
        inner.stages = histograms();
        inner.rates = Default::default();
        inner.before = (inner.losses, inner.drops);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// Notes what a stage took.
    pub fn time(&self, stage: Stage, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.lock().stages[stage as usize].saturating_record(micros.max(1));
    }

    /// Counts something that happened at `moment`.
    pub fn count(&self, rate: Rate, moment: Instant) {
        self.lock().rates[rate as usize].count(moment);
    }

    /// Sets what the source lost so far.
    pub fn set_losses(&self, losses: Losses) {
        self.lock().losses = losses;
    }

    /// Sets how many frames got lost in a place so far.
    pub fn set_dropped(&self, place: Drop, frames: u64) {
        self.lock().drops[place as usize] = frames;
    }

    /// How often something happens now, per second.
    pub fn current(&self, rate: Rate) -> f64 {
        self.lock().rates[rate as usize].recent_rate(Instant::now())
    }

    /// Frames that the source delivered so far.
    pub fn frames(&self) -> u64 {
        self.lock().rates[Rate::Source as usize].total
    }

    /// Frames that did not reach the recognizer: lost in the source, or replaced by newer ones.
    pub fn dropped(&self) -> u64 {
        let inner = self.lock();
        inner.losses.replaced + inner.losses.damaged + inner.drops[Drop::Mailbox as usize]
    }

    /// What each stage that ran took, with its name; in a frame's order.
    pub fn stages(&self) -> Vec<(&'static str, Times)> {
        let inner = self.lock();
        let stages = STAGES.iter().zip(&inner.stages);
        stages
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|((_, name), histogram)| (*name, Times::of(histogram)))
            .collect()
    }

    /// What each stage that ran took, in microseconds, with its name; in a frame's order.
    pub fn histograms(&self) -> Vec<(&'static str, Histogram<u64>)> {
        let inner = self.lock();
        let stages = STAGES.iter().zip(&inner.stages);
        stages
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|((_, name), histogram)| (*name, histogram.clone()))
            .collect()
    }

    /// Sums up.
    pub fn report(&self, setup: Setup) -> Report {
        let inner = self.lock();
        let rate = |rate: Rate| inner.rates[rate as usize].mean_rate();
        let (losses, drops) = inner.before;
        let dropped = |place: Drop| inner.drops[place as usize] - drops[place as usize];
        Report {
            setup,
            frames: inner.rates[Rate::Source as usize].total,
            stages: Stages(STAGES.map(|(stage, _)| Times::of(&inner.stages[stage as usize]))),
            fps: Rates {
                source: rate(Rate::Source),
                inference: rate(Rate::Inference),
                display: rate(Rate::Display),
            },
            dropped: Dropped {
                mailbox: inner.losses.replaced - losses.replaced + dropped(Drop::Mailbox),
                decode: inner.losses.damaged - losses.damaged,
                record: dropped(Drop::Record),
                display: dropped(Drop::Display),
            },
        }
    }
}

/// One for each stage.
fn histograms() -> [Histogram<u64>; STAGES.len()] {
    std::array::from_fn(|_| match Histogram::new_with_bounds(1, LONGEST_US, 3) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("the bounds are constant and valid"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup {
            processor: "a processor".into(),
            isa: "avx2".into(),
            threads: 1,
            model: "asl.onnx".into(),
        }
    }

    #[test]
    fn percentiles_come_from_what_was_timed() {
        let stats = Stats::new();
        for ms in 1..=100 {
            stats.time(Stage::Infer, Duration::from_millis(ms));
        }
        let times = *stats.report(setup()).stages.get(Stage::Infer);
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected * 0.01;
        assert!(near(times.p50_ms, 50.0), "{times:?}");
        assert!(near(times.p95_ms, 95.0), "{times:?}");
        assert!(near(times.p99_ms, 99.0), "{times:?}");
        assert!(near(times.max_ms, 100.0), "{times:?}");
        assert_eq!(times.count, 100);
    }

    #[test]
    fn rates_count_intervals_between_what_happened() {
        let stats = Stats::new();
        let start = Instant::now();
        for at in 0..31 {
            stats.count(Rate::Source, start + Duration::from_millis(at * 20));
        }
        let report = stats.report(setup());
        assert_eq!(report.frames, 31);
        assert!((report.fps.source - 50.0).abs() < 1e-6);
        assert_eq!(report.fps.display, 0.0);
    }

    #[test]
    fn after_a_restart_only_what_came_since_counts() {
        let stats = Stats::new();
        stats.time(Stage::Infer, Duration::from_millis(900));
        stats.count(Rate::Source, Instant::now());
        stats.set_dropped(Drop::Mailbox, 4);
        stats.restart();
        stats.time(Stage::Infer, Duration::from_millis(2));
        stats.set_dropped(Drop::Mailbox, 5);
        let report = stats.report(setup());
        assert_eq!(report.frames, 0);
        assert_eq!(report.stages.get(Stage::Infer).count, 1);
        assert!(report.stages.get(Stage::Infer).max_ms < 3.0);
        assert_eq!(report.dropped.mailbox, 1);
    }

    #[test]
    fn the_json_report_has_the_fields_that_tools_rely_on() {
        let stats = Stats::new();
        stats.time(Stage::Decode, Duration::from_millis(2));
        stats.time(Stage::AgeAtPresent, Duration::from_millis(7));
        stats.set_losses(Losses {
            replaced: 2,
            damaged: 3,
        });
        stats.set_dropped(Drop::Mailbox, 5);
        let json = serde_json::to_value(stats.report(setup())).unwrap();
        for field in ["processor", "isa", "threads", "model", "frames"] {
            assert!(!json[field].is_null(), "{field} is missing in {json}");
        }
        for field in ["p50_ms", "p95_ms", "p99_ms", "max_ms", "count"] {
            assert!(json["stages"]["age_at_present"][field].is_number());
        }
        assert!(json["stages"]["infer"].is_null(), "a stage that never ran");
        assert_eq!(json["dropped"]["mailbox"], 7);
        assert_eq!(json["dropped"]["decode"], 3);
        assert_eq!(json["dropped"]["record"], 0);
        assert!(json["fps"]["inference"].is_number());
    }

    #[test]
    fn the_table_names_each_stage_that_ran() {
        let stats = Stats::new();
        stats.time(Stage::Blit, Duration::from_micros(1500));
        let table = stats.report(setup()).to_string();
        assert!(table.contains("blit") && table.contains("1.50"), "{table}");
        assert!(!table.contains("overlay"), "{table}");
    }
}

//! Times per stage, rates and losses of a running program.
//!
//! [`Stats`] is a handle that threads share; [`Stats::report`] sums up. Times are kept in
//! histograms of constant size, so that a program may run for days. They start when the program
//! has the frame's capture time from the driver: exposure, the cable, the compositor and the
//! panel are outside what is measured here.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::source::Losses;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A source's bytes into pixels.
    Decode,
    /// Finding or following the hand.
    Find,
    /// Cropping and resizing.
    Preprocess,
    /// The letter network.
    Infer,
    /// Drawing letter, box and figures over the frame.
    Overlay,
    /// Handing a picture to the window until it took it.
    Blit,
    /// Handing a picture to the recorder.
    Record,
    /// From a frame's capture until it was shown (or its line printed, without a window).
    AgeAtPresent,
}

/// Every stage with its name in reports, in a frame's order.
const STAGES: [(Stage, &str); 8] = [
    (Stage::Decode, "decode"),
    (Stage::Find, "find"),
    (Stage::Preprocess, "preprocess"),
    (Stage::Infer, "infer"),
    (Stage::Overlay, "overlay"),
    (Stage::Blit, "blit"),
    (Stage::Record, "record"),
    (Stage::AgeAtPresent, "age_at_present"),
];

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

/// The span over which current rates are taken.
const RECENT: Duration = Duration::from_secs(2);

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
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let histogram = || match Histogram::new_with_bounds(1, LONGEST_US, 3) {
            Ok(histogram) => histogram,
            Err(_) => unreachable!("the bounds are constant and valid"),
        };
        Stats {
            inner: Arc::new(Mutex::new(Inner {
                stages: std::array::from_fn(|_| histogram()),
                rates: std::array::from_fn(|_| Meter::default()),
                losses: Losses::default(),
                drops: [0; 3],
            })),
        }
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

    /// Sums up.
    pub fn report(&self, setup: Setup) -> Report {
        let inner = self.lock();
        let rate = |rate: Rate| inner.rates[rate as usize].mean_rate();
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
                mailbox: inner.losses.replaced + inner.drops[Drop::Mailbox as usize],
                decode: inner.losses.damaged,
                record: inner.drops[Drop::Record as usize],
                display: inner.drops[Drop::Display as usize],
            },
        }
    }
}

/// How often something happens.
#[derive(Debug, Default)]
struct Meter {
    total: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    recent: VecDeque<Instant>,
}

impl Meter {
    fn count(&mut self, moment: Instant) {
        self.total += 1;
        self.first.get_or_insert(moment);
        self.last = Some(moment);
        self.recent.push_back(moment);
        self.forget(moment);
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&oldest) = self.recent.front() {
            if now.saturating_duration_since(oldest) <= RECENT {
                break;
            }
            self.recent.pop_front();
        }
    }

    fn recent_rate(&mut self, now: Instant) -> f64 {
        self.forget(now);
        match (self.recent.front(), self.recent.back()) {
            (Some(&from), Some(&to)) => per_second(self.recent.len() as u64 - 1, to - from),
            _ => 0.0,
        }
    }

    fn mean_rate(&self) -> f64 {
        match (self.first, self.last) {
            (Some(from), Some(to)) => {
                per_second(self.total - 1, to.saturating_duration_since(from))
            }
            _ => 0.0,
        }
    }
}

fn per_second(count: u64, span: Duration) -> f64 {
    if count == 0 || span.is_zero() {
        0.0
    } else {
        count as f64 / span.as_secs_f64()
    }
}

/// What ran: figures of one machine or model say nothing about another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// The processor's name.
    pub processor: String,
    /// The instruction set that the network's kernels use.
    pub isa: String,
    /// Threads that the network runs on.
    pub threads: usize,
    /// The model's name.
    pub model: String,
}

/// Figures of a run that has ended.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What ran.
    #[serde(flatten)]
    pub setup: Setup,
    /// Frames that the source delivered.
    pub frames: u64,
    /// What each stage took.
    pub stages: Stages,
    /// Mean rates over the run.
    pub fps: Rates,
    /// Frames lost, by place.
    pub dropped: Dropped,
}

/// What each stage took.
#[derive(Debug, Clone)]
pub struct Stages([Times; STAGES.len()]);

impl Stages {
    /// What one stage took.
    pub fn get(&self, stage: Stage) -> &Times {
        &self.0[stage as usize]
    }

    /// The stages that ran, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Times)> {
        let names = STAGES.iter().map(|(_, name)| *name);
        names.zip(&self.0).filter(|(_, times)| times.count > 0)
    }
}

impl Serialize for Stages {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// What a stage took: percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// Half were faster.
    pub p50_ms: f64,
    /// 95 of 100 were faster.
    pub p95_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// How often it ran.
    pub count: u64,
}

impl Times {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Times {
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: histogram.max() as f64 / 1000.0,
            count: histogram.len(),
        }
    }
}

/// Mean rates over a run, per second; 0 for what did not run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Frames from the source.
    pub source: f64,
    /// Readings.
    pub inference: f64,
    /// Pictures shown.
    pub display: f64,
}

/// Frames lost, by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Replaced by newer ones before the recognizer took them.
    pub mailbox: u64,
    /// Too damaged to decode.
    pub decode: u64,
    /// Not recorded.
    pub record: u64,
    /// Replaced by newer ones before they were shown.
    pub display: u64,
}

impl fmt::Display for Report {
    /// A table for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup {
            processor,
            isa,
            threads,
            model,
        } = &self.setup;
        writeln!(f, "{processor}, {isa}, threads: {threads}, model: {model}")?;
        let header = ["ms", "p50", "p95", "p99", "max", "count"];
        let [name, p50, p95, p99, max, count] = header;
        writeln!(f, "{name:<16}{p50:>9}{p95:>9}{p99:>9}{max:>9}{count:>9}")?;
        for (name, times) in self.stages.iter() {
            let Times {
                p50_ms,
                p95_ms,
                p99_ms,
                max_ms,
                count,
            } = times;
            writeln!(
                f,
                "{name:<16}{p50_ms:>9.2}{p95_ms:>9.2}{p99_ms:>9.2}{max_ms:>9.2}{count:>9}"
            )?;
        }
        let Rates {
            source,
            inference,
            display,
        } = self.fps;
        writeln!(
            f,
            "frames {}; fps: source {source:.1}, inference {inference:.1}, display {display:.1}",
            self.frames
        )?;
        let Dropped {
            mailbox,
            decode,
            record,
            display,
        } = self.dropped;
        write!(
            f,
            "lost: mailbox {mailbox}, decode {decode}, record {record}, display {display}"
        )
    }
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
    fn the_current_rate_falls_to_zero_once_nothing_happens_any_more() {
        let mut meter = Meter::default();
        let start = Instant::now();
        for at in 0..100 {
            meter.count(start + Duration::from_millis(at * 10));
        }
        let end = start + Duration::from_millis(990);
        assert!((meter.recent_rate(end) - 100.0).abs() < 1e-6);
        assert_eq!(meter.recent_rate(end + RECENT * 2), 0.0);
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

//! Figures of a run that has ended.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::stage::{STAGES, Stage};

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
pub struct Stages(pub(super) [Times; STAGES.len()]);

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
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
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

//! Reports in files.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::plot::plot;
use super::{Report, Setup, Times};
use crate::base::files::{check_no_device, write_whole};

/// A file for a [`Report`], in the form that its name ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsFile {
    path: PathBuf,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Everything.
    Json,
    /// A row for each stage.
    Csv,
}

impl FromStr for StatsFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let form = match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Form::Json,
            Some("csv") => Form::Csv,
            _ => return Err("the name must end in .json or .csv".into()),
        };
        check_no_device(&path).map_err(|error| error.to_string())?;
        Ok(StatsFile { path, form })
    }
}

impl StatsFile {
    /// Writes the report, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, report: &Report) -> Result<()> {
        let content = match self.form {
            Form::Json => serde_json::to_string_pretty(report)? + "\n",
            Form::Csv => rows(report).context("cannot make a table of the figures")?,
        };
        write_whole(&self.path, content.as_bytes())
    }
}

/// The stages that ran, one a row.
fn rows(report: &Report) -> Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["stage", "p50_ms", "p95_ms", "p99_ms", "max_ms", "count"])?;
    for (name, times) in report.stages.iter() {
        let Times {
            p50_ms,
            p95_ms,
            p99_ms,
            max_ms,
            count,
        } = times;
        let times = [p50_ms, p95_ms, p99_ms, max_ms].map(f64::to_string);
        table.write_field(name)?;
        table.write_record(times.iter().chain([&count.to_string()]))?;
    }
    Ok(String::from_utf8(table.into_inner()?)?)
}

/// Draws how often each stage took how long to an SVG file, whole or not at all.
///
/// # Errors
/// When the picture cannot be drawn or the file not be written.
pub fn write_plot(
    path: &Path,
    setup: &Setup,
    stages: &[(&'static str, Histogram<u64>)],
) -> Result<()> {
    let picture = plot(setup, stages).with_context(|| format!("cannot draw {}", path.display()))?;
    write_whole(path, picture.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::{Stage, Stats};

    fn measured() -> (Stats, Setup) {
        let stats = Stats::new();
        for ms in 1..=20 {
            stats.time(Stage::Infer, Duration::from_millis(ms));
            stats.time(Stage::AgeAtPresent, Duration::from_millis(2 * ms));
        }
        let setup = Setup {
            processor: "a <fast> processor".into(),
            isa: "avx2".into(),
            threads: 1,
            model: "asl.onnx".into(),
        };
        (stats, setup)
    }

    #[test]
    fn the_ending_says_which_form_a_report_takes() {
        let folder = tempfile::tempdir().unwrap();
        let (stats, setup) = measured();
        let report = stats.report(setup);
        let written = |name: &str| {
            let path = folder.path().join(name);
            let file: StatsFile = path.to_str().unwrap().parse().unwrap();
            file.write(&report).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&written("a.json")).unwrap();
        assert_eq!(json["stages"]["infer"]["count"], 20);
        let table = written("a.csv");
        let mut lines = table.lines();
        assert_eq!(
            lines.next(),
            Some("stage,p50_ms,p95_ms,p99_ms,max_ms,count")
        );
        let infer = lines.next().unwrap();
        assert!(
            infer.starts_with("infer,10") && infer.ends_with(",20"),
            "{infer}"
        );
        assert!("a.txt".parse::<StatsFile>().is_err());
    }

    #[test]
    fn the_picture_names_each_stage_and_the_machine() {
        let (stats, setup) = measured();
        let picture = plot(&setup, &stats.histograms()).unwrap();
        for text in ["infer", "age_at_present", "fast", "ms", "p95"] {
            assert!(picture.contains(text), "{text} is missing");
        }
        assert!(
            !picture.contains("<fast>"),
            "the processor's name is not escaped"
        );
    }
}

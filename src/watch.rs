//! `signcam` without a command: watches a source live.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::Args;

use crate::files::write_whole;
use crate::frame::{Frame, Rect};
use crate::int8::Isa;
#[cfg(feature = "record")]
use crate::live::StartRecording;
use crate::live::{Guide, Live, OpenScreen, View};
use crate::machine;
use crate::model::Model;
use crate::picture::has_picture_name;
use crate::predict::parse_box;
use crate::recognize::finder::Finder;
use crate::recognize::hand::Tracker;
use crate::recognize::steady::Steadying;
use crate::recognize::{HandPlace, Reading, Recognizer, RecognizerOptions, THRESHOLD};
use crate::source::{self, DEFAULT_FPS, Origin, Pace};
use crate::stats::{Setup, Stats};

/// Where to watch, and where to.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Where frames come from: a camera, a folder of pictures (sub-folders included, in path
    /// order), a picture or a video. Without it, the first camera that works
    #[arg(long, value_name = "cam:N|PATH")]
    pub source: Option<Origin>,
    /// How fast a file plays: pictures a second (a video has a rate of its own), or `max`, which
    /// skips nothing and reads as fast as it can
    #[arg(long, value_name = "FPS|max", default_value = "30", value_parser = parse_pace)]
    pub pace: Pace,
    /// Open no window: print each reading as a line of JSON
    #[arg(long)]
    pub headless: bool,
    /// Record what the window shows, or would show, to this MP4 file
    #[cfg(feature = "record")]
    #[arg(long, value_name = "OUT.mp4")]
    pub record: Option<PathBuf>,
    /// At the end, write times per stage, rates and losses to this JSON file, and as a table to
    /// stderr
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// Read letters with this model instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Read letters in this box only, into which the hand is put, instead of finding the hand: its
    /// left and top edge, width and height in fractions of the picture. Keys move it
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = parse_box)]
    pub guide: Option<Rect>,
    /// Show no letter that is less probable than this, 0 to 1
    #[arg(long, value_name = "P", default_value_t = THRESHOLD, value_parser = parse_threshold)]
    pub threshold: f32,
    /// Show the picture as the camera sees it, not as a mirror would
    #[arg(long)]
    pub no_mirror: bool,
}

/// Watches until the source ends, the person before the screen quits, or a signal comes.
///
/// # Errors
/// When the model cannot be loaded, the source cannot be opened or is gone for good, there is no
/// display for the window, or the figures cannot be written.
pub fn watch(args: &WatchArgs) -> Result<()> {
    let interrupted = interruption()?;
    let origin = args.source.clone().unwrap_or_default();
    let source = source::open(&origin, args.pace)?;
    let model = match &args.model {
        Some(path) => Model::load(path)?,
        None => Model::embedded()?,
    };
    let model_name = model.name().to_owned();
    // Pictures of a folder do not follow each other as a camera's do.
    let stills = match &origin {
        Origin::Path(path) => path.is_dir() || has_picture_name(path),
        _ => false,
    };
    let options = RecognizerOptions {
        threshold: args.threshold,
        place: match args.guide {
            Some(guide) => HandPlace::Guide(guide),
            None if stills => HandPlace::Found(Box::new(Tracker::of_stills(Finder::embedded()?))),
            None => HandPlace::Found(Box::new(Tracker::new(Finder::embedded()?))),
        },
        steadying: (!stills).then_some(Steadying::DEFAULT),
    };
    let mut recognizer = Recognizer::new(model, options);
    let stats = Stats::new();
    let guided = args.guide.is_some();
    let live = Live {
        source,
        guide: args.guide.map(Guide::around),
        reader: Box::new(move |frame: &Frame, guide: Rect| -> Result<Reading> {
            if guided {
                recognizer.set_guide(guide);
            }
            recognizer.read(frame)
        }),
        keep_all: args.pace == Pace::Max && matches!(origin, Origin::Path(_)),
        interrupted,
        stats: stats.clone(),
    };
    let view = View {
        screen: (!args.headless).then(|| screen(format!("signcam: {origin}"))),
        mirror: !args.no_mirror,
        #[cfg(feature = "record")]
        record: args.record.clone().map(record),
        #[cfg(not(feature = "record"))]
        record: None,
    };
    let lines = args
        .headless
        .then(|| Box::new(std::io::stdout()) as Box<dyn Write + Send>);
    let result = live.run(view, lines);
    if let Some(path) = &args.stats {
        write_stats(&stats, model_name, path)?;
    }
    result
}

#[cfg(feature = "window")]
fn screen(title: String) -> OpenScreen {
    Box::new(move |width, height| {
        let window = crate::sink::window::Window::open(&title, width, height)?;
        Ok(Box::new(window))
    })
}

#[cfg(not(feature = "window"))]
fn screen(_: String) -> OpenScreen {
    Box::new(|_, _| anyhow::bail!("this build of signcam opens no window: use --headless"))
}

#[cfg(feature = "record")]
fn record(path: PathBuf) -> StartRecording {
    Box::new(move |width, height| {
        let recorder = crate::sink::record::Recorder::start(&path, width, height)?;
        Ok(Box::new(recorder))
    })
}

/// A flag that Ctrl-C and the signals to terminate set; asked a second time, they end at once.
fn interruption() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::AcqRel) {
            std::process::exit(130);
        }
    })
    .context("cannot listen to Ctrl-C")?;
    Ok(interrupted)
}

fn write_stats(stats: &Stats, model: String, path: &Path) -> Result<()> {
    let report = stats.report(Setup {
        processor: machine::processor(),
        isa: Isa::choose()?.name().to_owned(),
        threads: 1,
        model,
    });
    eprintln!("{report}");
    let json = serde_json::to_string_pretty(&report)? + "\n";
    write_whole(path, json.as_bytes())
}

fn parse_threshold(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(threshold) if (0.0..=1.0).contains(&threshold) => Ok(threshold),
        _ => Err("a probability is a number from 0 to 1".into()),
    }
}

fn parse_pace(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Max);
    }
    match text.parse() {
        Ok(fps) if (0.1..=1000.0).contains(&fps) => Ok(Pace::RealTime { fps }),
        _ => Err(format!(
            "give frames a second, 0.1 to 1000 (like {DEFAULT_FPS}), or max"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_rate_or_as_fast_as_possible() {
        assert_eq!(parse_pace("max"), Ok(Pace::Max));
        assert_eq!(parse_pace("12.5"), Ok(Pace::RealTime { fps: 12.5 }));
        for wrong in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(parse_pace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_threshold_is_a_probability() {
        assert_eq!(parse_threshold("0.75"), Ok(0.75));
        for wrong in ["1.01", "-0.1", "nan", "", "half"] {
            assert!(parse_threshold(wrong).is_err(), "{wrong}");
        }
    }
}

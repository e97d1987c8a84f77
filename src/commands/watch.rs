//! `signcam` without a command: watches a source live.

use std::io::Write;
#[cfg(feature = "record")]
use std::path::Path;
use std::path::PathBuf;

#[cfg(feature = "window")]
use anyhow::Context;
use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::base::files::check_no_device;
use crate::base::frame::Frame;
use crate::base::interruption::interruption;
use crate::commands::inputs::{ReaderArgs, SourceArgs, SpellingArgs};
#[cfg(feature = "record")]
use crate::live::StartRecording;
use crate::live::{Guide, Live, OpenScreen, SharedPractice, View};
use crate::recognize::practice::Practice;
use crate::recognize::words::{Expected, Words};
#[cfg(feature = "record")]
use crate::sink::record::{Hurry, Recorder, dated, recording_name};
#[cfg(feature = "record")]
use crate::sink::screen::Recording;
#[cfg(feature = "window")]
use crate::sink::{clipboard::Clipboard, screen::Action, window::Window};
use crate::source::{DEFAULT_FPS, Origin, Pace};
use crate::stats::Stats;
use crate::stats::file::{StatsFile, write_plot};

/// Where to watch, and where to.
#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    reader: ReaderArgs,
    #[command(flatten)]
    spelling: SpellingArgs,
    /// Suggest words of this list for the one being spelled: a word a line, the most frequent first
    #[arg(long, value_name = "FILE", conflicts_with = "headless")]
    pub words: Option<PathBuf>,
    /// Ask for the letters of this word one by one, show how each is held, and confirm it
    #[arg(long, value_name = "WORD")]
    pub practice: Option<Practice>,
    /// Open no window: print each reading as a line of JSON
    #[arg(long)]
    pub headless: bool,
    #[cfg(feature = "record")]
    #[command(flatten)]
    record: RecordArgs,
    /// At the end, write times per stage, rates and losses to this file, and as a table to stderr
    #[arg(long, value_name = "FILE.json|FILE.csv")]
    pub stats: Option<StatsFile>,
    /// At the end, draw how often each stage took how long
    #[arg(
        long,
        value_name = "FILE.svg",
        value_parser = PathBufValueParser::new().try_map(file_name)
    )]
    pub stats_plot: Option<PathBuf>,
    /// Show the picture as the camera sees it, not as a mirror would
    #[arg(long)]
    pub no_mirror: bool,
}

/// What is recorded.
#[cfg(feature = "record")]
#[derive(Debug, Args)]
struct RecordArgs {
    /// Record what the window shows, or would show, to this file: a video, or a small clip for a
    /// web page. In the window, the key r starts and stops recordings at any time
    #[arg(
        long,
        value_name = "OUT.mp4|OUT.gif",
        value_parser = PathBufValueParser::new().try_map(recording_name)
    )]
    record: Option<PathBuf>,
    /// The folder for recordings that the key r starts; each has its date in its name
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        conflicts_with = "headless"
    )]
    record_to: PathBuf,
    /// Record the picture as the camera sees it, not mirrored and with nothing drawn over it
    #[arg(long)]
    record_clean: bool,
}

/// Takes the name of a file on the command line, where a wrong one costs nothing yet.
fn file_name(path: PathBuf) -> Result<PathBuf> {
    check_no_device(&path).map(|()| path)
}

/// Watches until the source ends, the person before the screen quits, or a signal comes.
///
/// # Errors
/// When the model cannot be loaded, the source cannot be opened or is gone for good, there is no
/// display for the window, or the figures cannot be written.
pub fn watch(args: &WatchArgs) -> Result<()> {
    let interrupted = interruption()?;
    let origin = args.source.origin();
    let pace = args.source.pace(Pace::RealTime { fps: DEFAULT_FPS });
    let source = args.source.open(pace)?;
    let mut recognizer = args.reader.recognizer(&origin)?;
    let setup = args.reader.setup(recognizer.model())?;
    let words = args.words.as_deref().map(Words::load).transpose()?;
    let speller = args.spelling.speller(&origin, recognizer.model());
    let speller = match &words {
        Some(words) => speller.map(|speller| speller.expecting(Expected::new(words))),
        None => speller,
    };
    ensure!(
        args.practice.is_none() || speller.is_some(),
        "cannot practise with {origin}: --practice takes pictures that follow each other, and a model of letters"
    );
    let practice = args.practice.clone().map(SharedPractice::new);
    let stats = Stats::new();
    let guide = args.reader.guide;
    let live = Live {
        source,
        guide: guide.map(Guide::around),
        speller,
        practice: practice.clone(),
        reader: Box::new(move |frame: &Frame, guide| recognizer.read_guided(frame, guide)),
        keep_all: pace == Pace::Max && matches!(origin, Origin::Path(_) | Origin::Demo),
        interrupted,
        stats: stats.clone(),
    };
    let view = View {
        screen: (!args.headless).then(|| screen(format!("signcam: {origin}"))),
        mirror: !args.no_mirror,
        practice,
        words: words.unwrap_or_default(),
        #[cfg(feature = "window")]
        copy: Some({
            let mut clipboard = Clipboard::default();
            Box::new(move |text: &str| clipboard.copy(text))
        }),
        #[cfg(not(feature = "window"))]
        copy: None,
        ..args.recordings()?
    };
    let lines = args
        .headless
        .then(|| Box::new(std::io::stdout()) as Box<dyn Write + Send>);
    let result = live.run(view, lines);
    if args.stats.is_some() || args.stats_plot.is_some() {
        let report = stats.report(setup);
        eprintln!("{report}");
        if let Some(file) = &args.stats {
            file.write(&report)?;
        }
        if let Some(path) = &args.stats_plot {
            write_plot(path, &report.setup, &stats.histograms())?;
        }
    }
    result
}

#[cfg(feature = "window")]
fn screen(title: String) -> OpenScreen {
    Box::new(move |width, height| {
        let window = Window::open(&title, width, height, Action::of)
            .context("without a display, --headless prints readings instead")?;
        Ok(Box::new(window))
    })
}

#[cfg(not(feature = "window"))]
fn screen(_: String) -> OpenScreen {
    Box::new(|_, _| anyhow::bail!("this build of signcam opens no window: use --headless"))
}

impl WatchArgs {
    /// The recordings that are asked for and those that a key may ask for.
    ///
    /// # Errors
    /// When the folder for recordings is none.
    #[cfg(feature = "record")]
    fn recordings(&self) -> Result<View> {
        let folder = self.record.record_to.clone();
        ensure!(
            folder.is_dir(),
            "cannot record to {}: there is no such folder; make it, or give another with --record-to",
            folder.display()
        );
        let start = |path: &Path, (width, height)| -> Result<Box<dyn Recording>> {
            Ok(Box::new(Recorder::start(path, width, height, Hurry::Live)?))
        };
        let on_key = move |width, height| start(&dated(&folder), (width, height));
        let first = self.record.record.clone().map(|path| -> StartRecording {
            Box::new(move |width, height| start(&path, (width, height)))
        });
        Ok(View {
            record: first,
            record_on_key: Some(Box::new(on_key)),
            record_clean: self.record.record_clean,
            ..View::default()
        })
    }

    #[cfg(not(feature = "record"))]
    fn recordings(&self) -> Result<View> {
        Ok(View::default())
    }
}

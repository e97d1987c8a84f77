//! What commands that watch something have in common: where frames come from and how they are
//! read.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::base::frame::Rect;
use crate::base::machine;
use crate::demo::Text;
use crate::int8::Isa;
use crate::model::{Model, Reads};
use crate::recognize::finder::Finder;
use crate::recognize::hand::Tracker;
use crate::recognize::sequence::SequenceReader;
use crate::recognize::speller::{Speller, Spelling};
use crate::recognize::steady::Steadying;
use crate::recognize::{HandPlace, Recognizer, RecognizerOptions, THRESHOLD};
use crate::source::{self, DEFAULT_FPS, OpenOptions, Origin, Pace, Source, Turn};
#[cfg(feature = "camera")]
use crate::source::{
    Size,
    camera::{Encoding, Wish},
};
use crate::stats::Setup;

/// Longest time that a letter can be asked to be held for, in milliseconds.
const DWELLS_TO: i64 = 10_000;

/// Most threads that one network may use.
const MOST_THREADS: i64 = 16;

/// Where frames come from.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Where frames come from: a camera, a folder of pictures (sub-folders included, in path
    /// order), a picture or a video; or `demo`, a signing hand that the program draws. Without it,
    /// the first camera that works
    #[arg(long, value_name = "cam:N|PATH|demo", value_parser = OsStringValueParser::new().map(Origin::from))]
    pub source: Option<Origin>,
    /// Turn every picture clockwise by 90, 180 or 270 degrees, for a camera that stands on its side
    #[arg(long, value_name = "DEGREES")]
    pub rotate: Option<Turn>,
    /// What the demo spells, once: letters and spaces. Without it, a text of its own again and again
    #[arg(long, value_name = "TEXT", requires = "source")]
    pub text: Option<Text>,
    /// How fast a file plays: pictures a second (a video has a rate of its own), or `max`, which
    /// skips nothing and reads as fast as it can [default: 30; of bench: max]
    #[arg(long, value_name = "FPS|max", value_parser = parse_pace)]
    pub pace: Option<Pace>,
    /// Use the camera whose name holds this (see `signcam cameras`), or the one with this number
    #[cfg(feature = "camera")]
    #[arg(long, value_name = "NAME", conflicts_with = "source")]
    pub camera: Option<String>,
    /// Ask the camera, or the demo, for pictures of this size; without it, one near 640x480 is chosen
    #[cfg(feature = "camera")]
    #[arg(long, value_name = "WxH")]
    pub size: Option<Size>,
    /// Ask the camera for this many pictures a second; without it, a rate near 30 is chosen
    #[cfg(feature = "camera")]
    #[arg(long, value_name = "N", value_parser = parse_fps)]
    pub fps: Option<f64>,
    /// Ask the camera for pictures coded like this; without it, uncompressed colour is preferred
    #[cfg(feature = "camera")]
    #[arg(long, value_name = "CODING")]
    pub encoding: Option<Encoding>,
}

impl SourceArgs {
    /// Where frames shall come from.
    pub fn origin(&self) -> Origin {
        #[cfg(feature = "camera")]
        if let Some(camera) = &self.camera {
            return match camera.parse() {
                Ok(index) => Origin::Camera(index),
                Err(_) => Origin::NamedCamera(camera.clone()),
            };
        }
        self.source.clone().unwrap_or_default()
    }

    /// How fast files play, where nothing else was asked for `unless_told`.
    pub fn pace(&self, unless_told: Pace) -> Pace {
        self.pace.unwrap_or(unless_told)
    }

    /// Opens the source.
    ///
    /// # Errors
    /// As [`source::open`].
    pub fn open(&self, pace: Pace) -> Result<Box<dyn Source>> {
        let origin = self.origin();
        ensure!(
            self.text.is_none() || origin == Origin::Demo,
            "--text is for the demo to spell, but frames come from {origin}: add --source demo"
        );
        let options = OpenOptions {
            pace,
            turn: self.rotate,
            text: self.text.clone(),
            #[cfg(feature = "camera")]
            wish: Wish {
                size: self.size,
                fps: self.fps,
                encoding: self.encoding,
            },
        };
        source::open(&origin, &options)
    }
}

/// Which network reads.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelArgs {
    /// Read letters, or other classes, with this model instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// What of a picture the model reads, for a file that does not say so itself
    #[arg(long, value_enum, requires = "model")]
    pub reads: Option<Reads>,
}

impl ModelArgs {
    /// The network that was asked for.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(&self) -> Result<Model> {
        match &self.model {
            Some(path) => Model::load_as(path, self.reads),
            None => Model::embedded(),
        }
    }
}

/// How frames are read.
#[derive(Debug, Clone, Args)]
pub struct ReaderArgs {
    /// Which network reads.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Read sequences with this network instead of the built-in one (`train sequence` makes one):
    /// it says what is typed of the last two seconds
    #[arg(long, value_name = "FILE", conflicts_with = "guide")]
    pub sequence: Option<PathBuf>,
    /// Read letters in this box only, into which the hand is put, instead of finding the hand: its
    /// left and top edge, width and height in fractions of the picture. Keys move it
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = parse_box)]
    pub guide: Option<Rect>,
    /// Show no letter that is less probable than this, 0 to 1
    #[arg(long, value_name = "P", default_value_t = THRESHOLD, value_parser = parse_threshold)]
    pub threshold: f32,
    /// Threads that share the work of a network's large layers
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=MOST_THREADS)
    )]
    pub threads: u8,
}

impl Default for ReaderArgs {
    /// As without any option.
    fn default() -> Self {
        ReaderArgs {
            model: ModelArgs::default(),
            sequence: None,
            guide: None,
            threshold: THRESHOLD,
            threads: 1,
        }
    }
}

impl ReaderArgs {
    /// A recognizer for frames from `origin`, whose pictures follow each other unless they are a
    /// folder's.
    ///
    /// # Errors
    /// When a model cannot be loaded.
    pub fn recognizer(&self, origin: &Origin) -> Result<Recognizer> {
        let recognizer = self.recognizer_of_frames(origin)?;
        let follows_hands = self.guide.is_none() && !are_stills(origin);
        let sequence = match &self.sequence {
            Some(path) => Some(SequenceReader::load(path, recognizer.model().labels())?),
            None if follows_hands => SequenceReader::embedded(recognizer.model())?,
            None => None,
        };
        Ok(recognizer.reading_sequences(sequence))
    }

    /// The same without the network that reads sequences.
    ///
    /// # Errors
    /// When a model cannot be loaded.
    pub fn recognizer_of_frames(&self, origin: &Origin) -> Result<Recognizer> {
        let threads = self.threads.into();
        let mut model = self.model.load()?;
        model.set_threads(threads);
        let stills = are_stills(origin);
        let place = match self.guide {
            Some(guide) => HandPlace::Guide(guide),
            None if model.reads().is_whole() => HandPlace::Whole,
            None => {
                let mut finder = Finder::embedded()?;
                finder.set_threads(threads);
                HandPlace::Found(Box::new(match stills {
                    true => Tracker::of_stills(finder),
                    false => Tracker::new(finder),
                }))
            }
        };
        let options = RecognizerOptions {
            threshold: self.threshold,
            place,
            steadying: (!stills).then_some(Steadying::DEFAULT),
        };
        Ok(Recognizer::new(model, options))
    }

    /// What runs, for a report.
    ///
    /// # Errors
    /// When `SIGNCAM_ISA` names instructions that are not there.
    pub fn setup(&self, model: &Model) -> Result<Setup> {
        Ok(Setup {
            processor: machine::processor(),
            isa: Isa::choose()?.name().to_owned(),
            threads: self.threads.into(),
            model: model.name().to_owned(),
        })
    }
}

/// How letters become text.
#[derive(Debug, Clone, Args)]
pub struct SpellingArgs {
    /// Type a letter once it was held for so many milliseconds. Without it, the time follows how
    /// fast you spell
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u16).range(1..=DWELLS_TO))]
    pub dwell: Option<u16>,
}

impl SpellingArgs {
    /// A speller for what `model` reads from `origin`; `None` where no class is a letter or pictures
    /// do not follow each other.
    pub fn speller(&self, origin: &Origin, model: &Model) -> Option<Speller> {
        let spelling = Spelling {
            dwell: self.dwell.map(|ms| Duration::from_millis(ms.into())),
            ..Spelling::DEFAULT
        };
        (model.spells() && !are_stills(origin)).then(|| Speller::new(spelling))
    }
}

/// Whether pictures do not follow each other as a camera's do: a single one, or a folder's.
fn are_stills(origin: &Origin) -> bool {
    match origin {
        Origin::Path(path) => source::shows_stills(path),
        _ => false,
    }
}

/// Reads a box that is given as left, top, width and height in fractions of a picture.
///
/// # Errors
/// When these are not four such numbers.
pub fn parse_box(text: &str) -> Result<Rect> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|number| number.trim().parse())
        .collect::<Result<_, _>>()
        .context("four numbers are needed: left, top, width, height")?;
    let [x, y, width, height] = numbers[..] else {
        bail!(
            "four numbers are needed: left, top, width, height, not {}",
            numbers.len()
        );
    };
    ensure!(
        numbers.iter().all(|number| (-1.0..=2.0).contains(number)),
        "the numbers are fractions of the picture, 0 to 1, not pixels"
    );
    ensure!(
        width > 0.0 && height > 0.0,
        "width and height must be greater than 0"
    );
    Ok(Rect {
        x0: x,
        y0: y,
        x1: x + width,
        y1: y + height,
    })
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

#[cfg(feature = "camera")]
fn parse_fps(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(fps) if (0.1..=1000.0).contains(&fps) => Ok(fps),
        _ => Err("give frames a second, 0.1 to 1000".into()),
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

//! `signcam eval`: how many letters of a labelled folder are read right, signer by signer.
//!
//! Pictures of one signer are near-copies of each other, so that a figure over all pictures
//! would say how many pictures somebody took: what counts here is the mean over signers, and the
//! worst of them. `signcam eval --clips` does the same for what is typed of clips.

mod boxes;
mod calibration;
mod clips;
mod folder;
mod report;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{ArgGroup, Args};

use crate::base::frame::Rect;
use crate::base::picture::Picture;
use crate::commands::Answer;
use crate::commands::inputs::ReaderArgs;
use crate::model::{Model, NOTHING};
use crate::recognize::THRESHOLD;
use crate::recognize::finder::{Finder, Found};
use crate::recognize::letter::LetterReader;
use boxes::Boxes;
use clips::eval_clips;
use folder::{Labelled, labelled_pictures};
use report::{Failure, Outcome, Report};

/// The label of pictures of a hand that signs no letter; counted as [`NOTHING`].
const OTHER: &str = "other";

/// What `signcam eval` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("table").args(["boxes", "clips"]).multiple(true))]
pub struct EvalArgs {
    /// Folder of pictures: DIR/<signer>/<LABEL>/* or, for one signer, DIR/<LABEL>/*.
    /// The labels `other` and `nothing` stand for no letter
    #[arg(value_name = "DIR", required_unless_present = "clips")]
    pub folder: Option<PathBuf>,
    /// Instead of pictures, read the clips of this table as if they were watched live: path, signer,
    /// split, kind and text of each. Where hands are may stand in a `boxes.csv` beside it
    #[arg(long, value_name = "CSV", conflicts_with_all = ["folder", "boxes", "whole"])]
    pub clips: Option<PathBuf>,
    /// Table of hand boxes: path, x0, y0, x1, y1 in fractions of the picture; empty where there
    /// is no hand. Without it the hand is looked for
    #[arg(long, value_name = "CSV")]
    pub boxes: Option<PathBuf>,
    /// Read only what has this in the table's column `split`
    #[arg(long, value_name = "NAME", requires = "table")]
    pub split: Option<String>,
    /// Look for the hand even where the table of boxes says where it is
    #[arg(long, requires = "boxes")]
    pub find: bool,
    /// Take each picture for a crop that its hand fills
    #[arg(long, conflicts_with = "boxes")]
    pub whole: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Read letters with this model instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
}

/// Reads a table of boxes, for the fuzzers.
///
/// # Errors
/// When it makes no sense.
#[cfg(fuzzing)]
pub fn read_boxes(table: &std::path::Path, split: Option<&str>) -> Result<()> {
    Boxes::read(table, split).map(|_| ())
}

/// Where a picture's hand is said to be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hand {
    /// Wherever it is found.
    Unknown,
    /// All over the picture.
    Whole,
    /// In this box.
    At(Rect),
    /// Nowhere.
    None,
}

/// Reads the pictures and returns what is to be printed. Pictures that cannot be read are named on
/// stderr, counted and left out.
///
/// # Errors
/// When the model, the folder or the table cannot be read, a label is none of the model's, or no
/// picture is left to read.
pub fn eval(args: &EvalArgs) -> Result<Answer> {
    if let Some(table) = &args.clips {
        let reader = ReaderArgs {
            model: args.model.clone(),
            ..ReaderArgs::default()
        };
        let text = eval_clips(table, args.split.as_deref(), &reader, args.json)?;
        return Ok(Answer::whole(text));
    }
    let folder = args.folder.as_deref().context("eval takes a folder")?;
    let model = match &args.model {
        Some(path) => Model::load(path)?,
        None => Model::embedded()?,
    };
    let mut pictures = labelled_pictures(folder, model.labels())?;
    let unless_told = if args.whole {
        Hand::Whole
    } else {
        Hand::Unknown
    };
    let mut hands = vec![unless_told; pictures.len()];
    if let Some(table) = &args.boxes {
        let boxes = Boxes::read(table, args.split.as_deref())?;
        (pictures, hands) = boxes.place(pictures, folder)?;
        if args.find {
            hands.fill(Hand::Unknown);
        }
    }
    let all = pictures.len();
    let mut failed = Vec::new();
    let (mut read, mut outcomes) = (Vec::new(), Vec::new());
    let results = read_all(&model, &Finder::embedded()?, &pictures, &hands)?;
    for (picture, outcome) in pictures.into_iter().zip(results) {
        match outcome {
            Ok(outcome) => {
                read.push(picture);
                outcomes.push(outcome);
            }
            Err(error) => {
                tracing::error!("{error:#}");
                failed.push(Failure {
                    path: picture.path.to_string_lossy().into_owned(),
                    error: format!("{error:#}"),
                });
            }
        }
    }
    ensure!(!read.is_empty(), "none of the {all} pictures can be read");
    let failures = failed.len();
    let mut report = Report::new(&read, &outcomes);
    report.failed = failed;
    Ok(Answer {
        text: if args.json {
            serde_json::to_string_pretty(&report)? + "\n"
        } else {
            report.table()
        },
        failed: failures,
        all,
    })
}

/// Reads every picture, on all cores; an error in place of those whose file cannot be read.
fn read_all(
    model: &Model,
    finder: &Finder,
    pictures: &[Labelled],
    hands: &[Hand],
) -> Result<Vec<Result<Outcome>>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut reader = LetterReader::new(model.clone());
        let mut finder = finder.clone();
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((picture, &hand)) = pictures.get(at).zip(hands.get(at)) else {
                return done;
            };
            let outcome = match Picture::decode(&picture.path) {
                Ok(pixels) => read(&mut reader, &mut finder, picture, pixels, hand).map(Ok),
                Err(error) => Ok(Err(error)),
            };
            let failed = outcome.is_err();
            done.push((at, outcome));
            if failed {
                // The others stop too: there is nothing to report on.
                next.store(pictures.len(), Ordering::Relaxed);
                return done;
            }
        }
    };
    let mut outcomes = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(pictures.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut outcomes = Vec::new();
        for thread in threads {
            let part = thread.join();
            outcomes.extend(part.map_err(|_| anyhow!("a thread that reads pictures gave up"))?);
        }
        anyhow::Ok(outcomes)
    })?;
    outcomes.sort_by_key(|&(at, _)| at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn read(
    reader: &mut LetterReader,
    finder: &mut Finder,
    labelled: &Labelled,
    picture: Picture,
    hand: Hand,
) -> Result<Outcome> {
    let path = &labelled.path;
    let Picture {
        width,
        height,
        pixels,
    } = picture;
    let found = match hand {
        Hand::None => None,
        Hand::At(hand) => Some(Found::certain(hand)),
        Hand::Whole => Some(Found::certain(reader.whole(width, height))),
        Hand::Unknown => finder.hand(&pixels, width, height)?,
    };
    let Some(found) = found else {
        return Ok(Outcome::NoHand);
    };
    let scores = reader
        .read(&pixels, width, height, found.hand)
        .with_context(|| format!("cannot read a letter from {}", path.display()))?;
    let (label, confidence) = scores.best();
    if !found.is_hand(label) {
        return Ok(Outcome::NoHand);
    }
    Ok(Outcome::Read {
        label: label.to_string(),
        confidence,
        shown: scores.letter(THRESHOLD).is_some(),
    })
}

/// Whether a label stands for no letter.
fn is_no_letter(label: &str) -> bool {
    label == NOTHING || label == OTHER
}

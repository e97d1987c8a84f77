//! `signcam eval`: how many letters, or pictures of other classes, of a labelled folder are read
//! right, signer by signer.
//!
//! Pictures of one signer are near-copies of each other, so that a figure over all pictures
//! would say how many pictures somebody took: what counts here is the mean over signers, and the
//! worst of them. `signcam eval --clips` does the same for what is typed of clips.

mod boxes;
mod calibration;
pub mod clips;
mod folder;
mod joints;
mod place;
mod report;
mod shrink;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{ArgGroup, Args};

use crate::base::picture::Picture;
use crate::commands::Answer;
use crate::commands::inputs::{ModelArgs, ReaderArgs};
use crate::model::Model;
use crate::recognize::THRESHOLD;
use crate::recognize::finder::{Finder, Found};
use crate::recognize::letter::LetterReader;
use boxes::Boxes;
use clips::eval_clips;
use folder::{Labelled, labelled_pictures};
use joints::{Distances, JointFigures};
use place::{Hand, Place};
use report::{Failure, Outcome, Report};
use shrink::Shrunk;

/// What `signcam eval` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("table").args(["boxes", "clips"]).multiple(true))]
pub struct EvalArgs {
    /// Folder of pictures: DIR/<signer>/<LABEL>/* or, for one signer or none, DIR/<LABEL>/*.
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
    /// Read the pictures again with the hand at these fractions of its size, 2 for a half, on a
    /// backdrop
    #[arg(
        long,
        value_name = "2,3,4",
        value_delimiter = ',',
        conflicts_with_all = ["whole", "clips"],
        value_parser = clap::value_parser!(u8).range(2..=16)
    )]
    pub shrink: Vec<u8>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Read sequences with this network instead of the built-in one
    #[arg(long, value_name = "FILE", requires = "clips")]
    pub sequence: Option<PathBuf>,
    /// Which network reads.
    #[command(flatten)]
    pub model: ModelArgs,
}

/// Reads a table of boxes, for the fuzzers.
///
/// # Errors
/// When it makes no sense.
#[cfg(fuzzing)]
pub fn read_boxes(table: &std::path::Path, split: Option<&str>) -> Result<()> {
    Boxes::read(table, split).map(|_| ())
}

/// What was made of one picture.
#[derive(Debug)]
struct Seen {
    outcome: Outcome,
    /// How far its joints are off, where they are known and the network gives them.
    joints: Option<Distances>,
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
            sequence: args.sequence.clone(),
            ..ReaderArgs::default()
        };
        let text = eval_clips(table, args.split.as_deref(), &reader, args.json)?;
        return Ok(Answer::whole(text));
    }
    let folder = args.folder.as_deref().context("eval takes a folder")?;
    let model = args.model.load()?;
    let mut pictures = labelled_pictures(folder, model.labels())?;
    let unless_told = if args.whole || model.reads().is_whole() {
        Hand::Whole
    } else {
        Hand::Unknown
    };
    let mut places = vec![Place::of(unless_told); pictures.len()];
    if let Some(table) = &args.boxes {
        let boxes = Boxes::read(table, args.split.as_deref())?;
        (pictures, places) = boxes.place(pictures, folder)?;
        if args.find {
            (places.iter_mut()).for_each(|place| place.hand = unless_told);
        }
    }
    let all = pictures.len();
    let sizes: Vec<u8> = [1].into_iter().chain(args.shrink.iter().copied()).collect();
    let results = read_all(&model, &Finder::embedded()?, &pictures, &places, &sizes)?;
    let mut failed = Vec::new();
    let mut read = Vec::new();
    let mut by_size: Vec<Vec<Seen>> = sizes.iter().map(|_| Vec::new()).collect();
    for (picture, result) in pictures.into_iter().zip(results) {
        match result {
            Ok(seen) => {
                read.push(picture);
                (by_size.iter_mut().zip(seen)).for_each(|(size, seen)| size.push(seen));
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
    let mut reports = by_size.into_iter().map(|seen| report(&read, seen));
    let mut report = reports.next().context("no picture was read")?;
    report.failed = failed;
    report.shrink = args.shrink.iter().copied().zip(reports).collect();
    Ok(Answer {
        text: match (args.json, report.has_letters()) {
            (true, _) => serde_json::to_string_pretty(&report)? + "\n",
            (false, true) => report.table(),
            (false, false) => report.table_of_classes(),
        },
        failed: failures,
        all,
    })
}

/// The report of pictures of one size.
fn report(pictures: &[Labelled], seen: Vec<Seen>) -> Report {
    let joints: Vec<Distances> = seen.iter().filter_map(|seen| seen.joints).collect();
    let outcomes: Vec<Outcome> = seen.into_iter().map(|seen| seen.outcome).collect();
    let mut report = Report::new(pictures, &outcomes);
    report.joints = JointFigures::of(&joints);
    report
}

/// Reads every picture at one of each of `sizes` of its size, on all cores; an error in place of
/// those whose file cannot be read.
fn read_all(
    model: &Model,
    finder: &Finder,
    pictures: &[Labelled],
    places: &[Place],
    sizes: &[u8],
) -> Result<Vec<Result<Vec<Seen>>>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut eyes = Eyes {
            reader: LetterReader::new(model.clone()),
            finder: finder.clone(),
        };
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((labelled, place)) = pictures.get(at).zip(places.get(at)) else {
                return done;
            };
            let seen = match Picture::decode(&labelled.path) {
                Ok(picture) => eyes.read_at_sizes(labelled, &picture, place, sizes).map(Ok),
                Err(error) => Ok(Err(error)),
            };
            let failed = seen.is_err();
            done.push((at, seen));
            if failed {
                // The others stop too: there is nothing to report on.
                next.store(pictures.len(), Ordering::Relaxed);
                return done;
            }
        }
    };
    let mut all = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(pictures.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            let part = thread.join();
            all.extend(part.map_err(|_| anyhow!("a thread that reads pictures gave up"))?);
        }
        anyhow::Ok(all)
    })?;
    all.sort_by_key(|&(at, _)| at);
    all.into_iter().map(|(_, seen)| seen).collect()
}

/// The networks, and their buffers.
struct Eyes {
    reader: LetterReader,
    finder: Finder,
}

impl Eyes {
    fn read_at_sizes(
        &mut self,
        labelled: &Labelled,
        picture: &Picture,
        place: &Place,
        sizes: &[u8],
    ) -> Result<Vec<Seen>> {
        let path = &labelled.path;
        let read = |&size: &u8| match size {
            1 => self.read(picture, place),
            size => {
                // The same place every time and in every choice of pictures.
                let name = path.file_name().unwrap_or_default().as_encoded_bytes();
                let names = [labelled.signer.as_bytes(), labelled.label.as_bytes(), name];
                let seed = names
                    .iter()
                    .copied()
                    .flatten()
                    .fold(u64::from(size), |seed, &byte| {
                        seed.wrapping_mul(31).wrapping_add(byte.into())
                    });
                let shrunk = Shrunk::of(picture, size.into(), seed)?;
                self.read(&shrunk.picture, &place.shrunk(&shrunk))
            }
        };
        (sizes.iter().map(read).collect::<Result<_>>())
            .with_context(|| format!("cannot read {}", path.display()))
    }

    fn read(&mut self, picture: &Picture, place: &Place) -> Result<Seen> {
        let (width, height) = (picture.width, picture.height);
        let found = match place.hand {
            Hand::None => None,
            Hand::At(hand) => Some(Found::certain(hand)),
            Hand::Whole => Some(Found::certain(self.reader.whole(width, height))),
            Hand::Unknown => self.finder.hand(&picture.pixels, width, height)?,
        };
        let reference = place.reference.filter(|_| self.reader.model().has_joints());
        let scores = match found {
            Some(found) => {
                let pixels = &picture.pixels;
                let scores = self.reader.read(pixels, width, height, found.hand)?;
                found.is_hand(scores.best().0).then_some(scores)
            }
            None => None,
        };
        let read = scores.and_then(|scores| scores.joints);
        Ok(Seen {
            outcome: match scores {
                None => Outcome::NoHand,
                Some(scores) => {
                    let (label, confidence) = scores.best();
                    Outcome::Read {
                        label: label.to_string(),
                        confidence,
                        shown: scores.letter(THRESHOLD).is_some(),
                    }
                }
            },
            joints: reference.map(|known| known.distances(read.as_ref(), width, height)),
        })
    }
}

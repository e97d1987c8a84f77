//! `signcam predict`: every letter's probability for picture files.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::base::frame::Rect;
use crate::base::joints::Joints;
use crate::base::picture::Picture;
use crate::commands::Answer;
use crate::commands::inputs::{ModelArgs, parse_box};
use crate::recognize::THRESHOLD;
use crate::recognize::finder::{Finder, Found};
use crate::recognize::letter::LetterReader;

/// Width of the bar of a probability of 1, in characters.
const BAR: f32 = 30.0;

/// What `signcam predict` takes.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// JPEG, PNG, WebP, BMP or GIF pictures
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The hand's box in fractions of the picture: its left and top edge, width and height.
    /// Without it the hand is looked for. With a model of whole pictures: the part to read
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = parse_box)]
    pub hand: Option<Rect>,
    /// Print JSON: an array with an object for each picture
    #[arg(long)]
    pub json: bool,
    /// Which network reads.
    #[command(flatten)]
    pub model: ModelArgs,
}

/// What was read from one picture, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Prediction<'a> {
    path: Cow<'a, str>,
    /// The letter, or other class, at the default threshold; null for none.
    letter: Option<String>,
    confidence: f32,
    /// Left, top, width, height, in fractions of the picture.
    /// Null where no hand was found, or the whole picture was read.
    #[serde(rename = "box")]
    hand: Option<[f32; 4]>,
    /// The hand's joints, x and y of each in fractions of the picture; null where none are known.
    joints: Option<Joints>,
    /// Every label, best first; none where no hand was found.
    probabilities: Vec<(String, f32)>,
}

/// Reads the pictures and returns what is to be printed. Of several, those that cannot be read are
/// named on stderr and counted.
///
/// # Errors
/// When the model cannot be loaded, the only picture cannot be read, or the box cannot be cropped
/// from a picture.
pub fn predict(args: &PredictArgs) -> Result<Answer> {
    let mut reader = LetterReader::new(args.model.load()?);
    let mut finder = Finder::embedded()?;
    let all = args.images.len();
    let mut predictions = Vec::with_capacity(all);
    for path in &args.images {
        match Picture::decode(path) {
            Ok(picture) => {
                predictions.push(read(&mut reader, &mut finder, path, &picture, args.hand)?);
            }
            Err(error) if all == 1 => return Err(error),
            Err(error) => tracing::error!("{error:#}"),
        }
    }
    let text = if args.json {
        serde_json::to_string_pretty(&predictions)? + "\n"
    } else {
        predictions.iter().map(table).collect::<Vec<_>>().join("\n")
    };
    Ok(Answer {
        text,
        failed: all - predictions.len(),
        all,
    })
}

fn read<'a>(
    reader: &mut LetterReader,
    finder: &mut Finder,
    path: &'a Path,
    picture: &Picture,
    hand: Option<Rect>,
) -> Result<Prediction<'a>> {
    let (width, height) = (picture.width, picture.height);
    let is_whole = hand.is_none() && reader.model().reads().is_whole();
    let found = match hand {
        Some(hand) => Some(Found::certain(hand)),
        None if is_whole => Some(Found::certain(Rect::FULL)),
        None => finder.hand(&picture.pixels, width, height)?,
    };
    let shown_path = path.to_string_lossy();
    let without_hand = Prediction {
        path: shown_path.clone(),
        letter: None,
        confidence: 0.0,
        hand: None,
        joints: None,
        probabilities: Vec::new(),
    };
    let Some(found) = found else {
        return Ok(without_hand);
    };
    let hand = found.hand;
    let scores = reader
        .read(&picture.pixels, width, height, hand)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if !found.is_hand(scores.best().0) {
        return Ok(without_hand);
    }
    let top = scores.top(usize::MAX);
    Ok(Prediction {
        path: shown_path,
        letter: scores.letter(THRESHOLD).map(|letter| letter.to_string()),
        confidence: scores.best().1,
        hand: (!is_whole).then_some([hand.x0, hand.y0, hand.width(), hand.height()]),
        joints: scores.joints,
        probabilities: top
            .into_iter()
            .map(|(label, probability)| (label.to_string(), probability))
            .collect(),
    })
}

fn table(prediction: &Prediction<'_>) -> String {
    let letter = match (&prediction.letter, prediction.hand) {
        (Some(letter), _) => letter,
        (None, Some(_)) => "no letter",
        (None, None) if prediction.probabilities.is_empty() => {
            "no hand found (--box says where it is)"
        }
        (None, None) => "no class is certain",
    };
    let mut text = format!("{}: {letter}\n", prediction.path);
    let labels = prediction.probabilities.iter();
    let width = labels.map(|(label, _)| label.chars().count()).max();
    for (label, probability) in &prediction.probabilities {
        let bar = "#".repeat((probability * BAR).round() as usize);
        let row = format!(
            "  {label:<width$}  {:>6.2} %  {bar}",
            probability * 100.0,
            width = width.unwrap_or(0),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

//! Tables of labelled clips: which video shows whom spelling what, and the boxes of hands beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::files::open_bounded;
use crate::base::frame::Rect;

/// Bytes that a table may have.
const MAX_BYTES: u64 = 256 << 20;

/// The file of boxes beside a table of clips.
const BOXES: &str = "boxes.csv";

/// What happens in a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A word or a few are spelled.
    Spelled,
    /// The alphabet in one take.
    Alphabet,
    /// A name is spelled among word signs.
    AmongSigns,
    /// One letter.
    Letter,
    /// One letter, perhaps with gestures, or twice.
    Mixed,
    /// The handshape of a letter that is a movement, held still.
    Static,
    /// Word signs or rest: nothing is spelled.
    Sign,
}

impl Kind {
    /// As it stands in a table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Spelled => "spelled",
            Kind::Alphabet => "alphabet",
            Kind::AmongSigns => "among_signs",
            Kind::Letter => "letter",
            Kind::Mixed => "mixed",
            Kind::Static => "static",
            Kind::Sign => "sign",
        }
    }
}

/// One clip and what is signed in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Its path as it stands in the table.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Who signs.
    pub signer: String,
    /// What happens in it.
    pub kind: Kind,
    /// In capitals, without spaces; `?` stands for any letter.
    pub text: String,
}

#[derive(Deserialize)]
struct ClipRow {
    path: String,
    signer: String,
    #[serde(default)]
    split: Option<String>,
    kind: Kind,
    text: String,
}

/// Reads a table of clips; with `split`, only the rows that have it in their column of this name.
///
/// # Errors
/// When it cannot be read, lacks a column, a row makes no sense, or no row is left.
pub fn clips(table: &Path, split: Option<&str>) -> Result<Vec<Clip>> {
    let shown = table.display();
    let folder = table.parent().unwrap_or(Path::new(""));
    let mut clips = Vec::new();
    for (line, row) in rows::<ClipRow>(table)? {
        if split.is_some() && row.split.as_deref() != split {
            continue;
        }
        let text: String = (row.text.chars())
            .filter(|letter| !letter.is_whitespace())
            .flat_map(char::to_uppercase)
            .collect();
        let fits = match row.kind {
            Kind::Sign => text.is_empty(),
            Kind::Letter | Kind::Mixed | Kind::Static => text.chars().count() == 1,
            Kind::Spelled | Kind::Alphabet | Kind::AmongSigns => !text.is_empty(),
        };
        ensure!(
            fits && !row.path.is_empty(),
            "line {line} of {shown} makes no sense: a clip of kind {} with the path {:?} and the \
             text {:?}",
            row.kind.name(),
            row.path,
            row.text
        );
        clips.push(Clip {
            path: folder.join(&row.path),
            name: row.path,
            signer: row.signer,
            kind: row.kind,
            text,
        });
    }
    ensure!(
        !clips.is_empty(),
        "no clip is left to read in {shown}{}",
        split.map_or(String::new(), |split| format!(
            ": no row has the split {split:?}"
        ))
    );
    Ok(clips)
}

/// Boxes of hands, by a clip's name and a frame's number in it.
#[derive(Debug, Default)]
pub struct Boxes(HashMap<String, HashMap<u64, Vec<Rect>>>);

#[derive(Deserialize)]
struct BoxRow {
    path: String,
    frame: u64,
    x0: f32,
    y0: f32,
    x1: f32,
    y1: f32,
}

impl Boxes {
    /// Reads the boxes beside a table of clips; `None` where there are none.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or a row makes no sense.
    pub fn beside(table: &Path) -> Result<Option<Boxes>> {
        let path = table.with_file_name(BOXES);
        if !path.exists() {
            return Ok(None);
        }
        let mut boxes = Boxes::default();
        for (line, row) in rows::<BoxRow>(&path)? {
            let hand = Rect {
                x0: row.x0,
                y0: row.y0,
                x1: row.x1,
                y1: row.y1,
            };
            ensure!(
                hand.width() > 0.0 && hand.height() > 0.0,
                "line {line} of {} makes no sense: {hand:?} is no box",
                path.display()
            );
            let frames = boxes.0.entry(row.path).or_default();
            frames.entry(row.frame).or_default().push(hand);
        }
        Ok(Some(boxes))
    }

    /// The hands in a frame of a clip; `None` where nobody looked.
    pub fn hands(&self, clip: &str, frame: u64) -> Option<&[Rect]> {
        let hands = self.0.get(clip)?.get(&frame)?;
        Some(hands)
    }
}

/// A table's rows with their lines.
fn rows<R: DeserializeOwned>(table: &Path) -> Result<Vec<(u64, R)>> {
    let read = || -> Result<Vec<(u64, R)>> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(open_bounded(table, MAX_BYTES)?);
        let headers = reader.headers()?.clone();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push((line, record.deserialize(Some(&headers))?));
        }
        Ok(rows)
    };
    read().with_context(|| format!("cannot read the table {}", table.display()))
}

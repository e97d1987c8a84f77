//! What the program's own networks say of clips, of crops of letters and of the drawn hand, frame by
//! frame. It is kept in a folder for runs to come, by the networks that said it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::RngExt;
use rand::rngs::StdRng;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::track::{Track, normal};
use crate::base::files::write_whole;
use crate::base::frame::{Frame, FramePool, Rect};
use crate::base::joints::Joints;
use crate::base::picture::Picture;
use crate::demo::Text;
use crate::recognize::letter::LetterReader;
use crate::recognize::observation::Observation;
use crate::recognize::{EMBEDDED_NETWORKS, Recognizer};
use crate::source::clips::{Clip, Kind};
use crate::source::demo::{DEFAULT_SIZE, Demo};
use crate::source::{Event, Pace, Source, video};
use crate::train::data::dataset::{Dataset, Split};
use crate::train::data::loader::seeded;

/// Frames nearer to each other than this are left out: the network reads 15 steps a second.
const SPARSE: Duration = Duration::from_millis(45);

/// How often each crop is looked at: as it is, and off by a little.
const LOOKS: u64 = 3;

/// What the drawn hand spells: every letter and many neighbours, double letters, J and Z.
const DRAWN: [&str; 24] = [
    "HELLO", "JAZZ", "ZOO", "QUICK", "FOX", "WORLD", "JOB", "MAZE", "VIEW", "GLYPH", "TREND",
    "SUMMIT", "KAYAK", "BUZZ", "JET", "PIZZA", "COFFEE", "ENJOY", "LAZY", "SIZE", "MAJOR", "BANJO",
    "ABC", "NUDGE",
];

/// What the networks say of a clip.
#[derive(Debug, Clone)]
pub struct SeenClip {
    /// Its path in the table.
    pub name: String,
    /// Who signs.
    pub signer: String,
    /// What happens in it.
    pub kind: Kind,
    /// What is spelled.
    pub text: String,
    /// Frame after frame.
    pub frames: Vec<Observation>,
}

/// What the letter network says of a crop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeenCrop {
    /// Whose hand it is.
    pub signer: String,
    /// What it signs.
    pub label: String,
    /// A probability for each label of the letter network.
    pub probabilities: Vec<f32>,
    /// The joints from the middle of the hand's box, in its larger sides; where the network gives them.
    pub joints: Option<Joints>,
}

/// The folder within `cache` for what today's networks say.
///
/// # Errors
/// When it cannot be made.
pub fn folder(cache: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    EMBEDDED_NETWORKS.hash(&mut hasher);
    let folder = cache.join(format!("{:016x}", hasher.finish()));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

/// What the networks say of clips; `told` hears of each that is done, and its error ends it. A clip that
/// cannot be read is left out, with a warning.
///
/// # Errors
/// When the folder cannot be written.
pub fn clips(
    folder: &Path,
    clips: &[Clip],
    recognizer: &Recognizer,
    told: impl Fn(&Clip) -> Result<()> + Sync,
) -> Result<Vec<SeenClip>> {
    let seen = (clips.par_iter())
        .map(|clip| {
            let path = folder.join(clip.name.replace(['/', '\\'], "__") + ".json");
            let frames = match kept(&path)? {
                Some(frames) => Some(frames),
                None => match look(clip, recognizer.clone()) {
                    Ok(frames) => Some(keep(&path, frames)?),
                    Err(error) => {
                        tracing::warn!("{} is left out: {error:#}", clip.path.display());
                        None
                    }
                },
            };
            told(clip)?;
            Ok(frames.map(|frames| SeenClip {
                name: clip.name.clone(),
                signer: clip.signer.clone(),
                kind: clip.kind,
                text: clip.text.clone(),
                frames,
            }))
        })
        .collect::<Result<Vec<Option<SeenClip>>>>()?;
    Ok(seen.into_iter().flatten().collect())
}

fn look(clip: &Clip, mut recognizer: Recognizer) -> Result<Vec<Observation>> {
    let mut source = video::open(&clip.path, Pace::Max)?;
    let pool = FramePool::new();
    let mut frames: Vec<Observation> = Vec::new();
    loop {
        let frame = match source.next(&pool)? {
            Event::Frame { frame, .. } => frame,
            Event::Waiting(_) => continue,
            Event::End => return Ok(frames),
        };
        let last = frames
            .last()
            .map(|last| frame.time.saturating_sub(last.time));
        if last.is_none_or(|since| since >= SPARSE) {
            recognizer.read(&frame)?;
            frames.push(recognizer.observation().clone());
        }
    }
}

/// What the letter network says of the training crops of a folder of them; an error of `check`, which is
/// asked before each, ends it.
///
/// # Errors
/// When a picture cannot be read, or the folder cannot be written.
pub fn crops(
    folder: &Path,
    dataset: &Dataset,
    reader: &LetterReader,
    check: impl Fn() -> Result<()> + Sync,
) -> Result<Vec<SeenCrop>> {
    let path = folder.join("crops.json");
    if let Some(seen) = kept(&path)? {
        return Ok(seen);
    }
    let samples = dataset.of_split(Split::Train);
    let seen = (samples.par_iter())
        .map_init(
            || reader.clone(),
            |reader, &at| {
                check()?;
                let sample = &dataset.samples[at];
                let label = dataset
                    .labels
                    .get(sample.class)
                    .cloned()
                    .unwrap_or_default();
                let picture = Picture::decode(&sample.path)?;
                let hand = sample.hand.unwrap_or(Rect::FULL);
                (0..LOOKS)
                    .map(|look| {
                        let mut rng = seeded(at as u64, look);
                        let hand = if look == 0 {
                            hand
                        } else {
                            beside(hand, &mut rng)
                        };
                        let (width, height) = (picture.width, picture.height);
                        let scores = reader.read(&picture.pixels, width, height, hand)?;
                        Ok(SeenCrop {
                            signer: sample.signer.as_deref().unwrap_or_default().to_owned(),
                            label: label.clone(),
                            probabilities: scores.iter().map(|(_, p)| p).collect(),
                            joints: scores
                                .joints
                                .map(|joints| within(joints, hand, [width as f32, height as f32])),
                        })
                    })
                    .collect::<Result<Vec<SeenCrop>>>()
            },
        )
        .collect::<Result<Vec<_>>>()?;
    keep(&path, seen.into_iter().flatten().collect())
}

/// Joints from the middle of a hand's box, in its larger sides; both are given in fractions of a picture
/// of this size.
fn within(joints: Joints, hand: Rect, [width, height]: [f32; 2]) -> Joints {
    let (x, y) = ((hand.x0 + hand.x1) / 2.0, (hand.y0 + hand.y1) / 2.0);
    let side = (hand.width() * width).max(hand.height() * height).max(1.0);
    joints.map(|joint| {
        [
            (joint[0] - x) * width / side,
            (joint[1] - y) * height / side,
        ]
    })
}

/// A box that is off by a little.
fn beside(hand: Rect, rng: &mut StdRng) -> Rect {
    let zoom = rng.random_range(0.88..1.15);
    let (x, y) = ((hand.x0 + hand.x1) / 2.0, (hand.y0 + hand.y1) / 2.0);
    let (x, y) = (
        x + normal(rng, 0.04) * hand.width(),
        y + normal(rng, 0.04) * hand.height(),
    );
    let (w, h) = (hand.width() * zoom / 2.0, hand.height() * zoom / 2.0);
    Rect {
        x0: x - w,
        y0: y - h,
        x1: x + w,
        y1: y + h,
    }
}

/// What the networks say of the drawn hand while it spells, as a right hand and as a left one; an error of
/// `check`, which is asked before each word, ends it.
///
/// # Errors
/// When a network fails, or the folder cannot be written.
pub fn drawn(
    folder: &Path,
    letters: &[String],
    recognizer: &Recognizer,
    check: impl Fn() -> Result<()> + Sync,
) -> Result<Vec<Track>> {
    let tracks = (DRAWN.par_iter())
        .flat_map(|word| [(*word, false), (*word, true)])
        .map(|(word, mirrored)| {
            check()?;
            let side = if mirrored { "left" } else { "right" };
            let path = folder.join(format!("drawn-{word}-{side}.json"));
            let frames = match kept(&path)? {
                Some(frames) => frames,
                None => keep(&path, spell(word, mirrored, recognizer.clone())?)?,
            };
            let places = (word.chars())
                .filter_map(|c| letters.iter().position(|letter| letter.chars().eq([c])));
            Ok(Track {
                frames,
                letters: places.collect(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(tracks)
}

fn spell(word: &str, mirrored: bool, mut recognizer: Recognizer) -> Result<Vec<Observation>> {
    let text: Text = word
        .parse()
        .map_err(|error: String| anyhow::anyhow!(error))?;
    let mut source = Demo::new(Some(&text), DEFAULT_SIZE, Pace::Max)?;
    let pool = FramePool::new();
    let mut frames = Vec::new();
    let mut flipped = Frame::empty();
    loop {
        let frame = match source.next(&pool)? {
            Event::Frame { frame, .. } => frame,
            Event::Waiting(_) => continue,
            Event::End => return Ok(frames),
        };
        if frame.seq % 2 == 1 {
            continue;
        }
        let frame = if mirrored {
            flipped.resize(frame.width, frame.height);
            (flipped.seq, flipped.time) = (frame.seq, frame.time);
            let row = frame.width * 3;
            for (to, from) in
                (flipped.pixels.chunks_exact_mut(row)).zip(frame.pixels.chunks_exact(row))
            {
                for (to, from) in to.chunks_exact_mut(3).zip(from.chunks_exact(3).rev()) {
                    to.copy_from_slice(from);
                }
            }
            &flipped
        } else {
            &*frame
        };
        recognizer.read(frame)?;
        frames.push(recognizer.observation().clone());
    }
}

fn kept<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = serde_json::from_slice(&content);
    value.map(Some).with_context(|| {
        format!(
            "{} is damaged: delete it, and it is made again",
            path.display()
        )
    })
}

fn keep<T: Serialize>(path: &Path, value: T) -> Result<T> {
    write_whole(path, &serde_json::to_vec(&value)?)?;
    Ok(value)
}

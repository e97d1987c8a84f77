//! What the network that reads sequences learns from.
//!
//! - [`seen`]: what the finder and the letter network say of clips, of crops of letters and of the
//!   drawn hand, kept in a folder beside the run.
//! - [`words`]: words put together from crops of one hand each.
//! - [`paths`]: sequences of joints without pictures.
//! - [`vary`]: the same sequence again, quicker, farther, mirrored, with frames lost.
//!
//! Every example is a row of [`Observation`](crate::recognize::observation::Observation)s, from which
//! [`Features`] makes steps as it does live.

pub mod paths;
pub mod seen;
mod track;
pub mod vary;
pub mod words;

use anyhow::Result;
use rand::RngExt;
use rand::rngs::StdRng;
use rayon::prelude::*;

use crate::recognize::sequence::features::{Features, Step, width};
use crate::source::clips::Kind;
use crate::train::data::loader::seeded;
use paths::Paths;
use seen::{SeenClip, SeenCrop};
pub use track::Track;
use track::pick;
use words::Words;

/// Sequences end after so many steps: longer ones cost more than they teach.
const LONGEST: usize = 150;

/// How much of a longer clip without letters is taken, in seconds.
const EXCERPT: f32 = 5.0;

/// A track as the network sees it.
#[derive(Debug, Clone)]
pub struct Example {
    /// Step after step, [`width`] numbers each.
    pub values: Vec<f32>,
    /// How many steps.
    pub steps: usize,
    /// The letters in order, as places among the network's letters.
    pub letters: Vec<usize>,
}

/// All there is to learn from.
pub struct Sequences {
    labels: usize,
    words: Vec<Track>,
    letters: Vec<Track>,
    signs: Vec<Track>,
    /// J and Z that are drawn.
    moving: [Vec<Track>; 2],
    drawn: Vec<Track>,
    made: Option<Words>,
    paths: Option<Paths>,
    seed: u64,
}

/// How many sequences there are.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Counts {
    /// Clips of words.
    pub words: usize,
    /// Clips of letters that are held.
    pub letters: usize,
    /// Clips in which nothing is spelled.
    pub signs: usize,
    /// Clips of J and of Z.
    pub moving: [usize; 2],
    /// Tracks of the drawn hand.
    pub drawn: usize,
    /// Hands that words are put together from.
    pub hands: usize,
    /// Sequences of joints.
    pub joints: usize,
}

impl Sequences {
    /// Learns from these clips, words of these crops, the drawn hand and sequences of joints, of a letter
    /// network with `labels` labels; `letters` are what the network shall tell apart, as in the clips'
    /// texts.
    pub fn new(
        labels: usize,
        letters: &[String],
        clips: &[SeenClip],
        crops: &[SeenCrop],
        drawn: Vec<Track>,
        paths: Option<Paths>,
        seed: u64,
    ) -> Self {
        let mut sequences = Sequences {
            labels,
            words: Vec::new(),
            letters: Vec::new(),
            signs: Vec::new(),
            moving: [Vec::new(), Vec::new()],
            drawn,
            made: None,
            paths,
            seed,
        };
        for clip in clips {
            let places: Option<Vec<usize>> = (clip.text.chars())
                .map(|c| letters.iter().position(|letter| letter.chars().eq([c])))
                .collect();
            // A text with a letter that anything may stand for teaches nothing.
            let Some(places) = places else { continue };
            let moving = ["J", "Z"].iter().position(|name| *name == clip.text);
            let into = match (clip.kind, moving) {
                (Kind::Sign, _) => &mut sequences.signs,
                (Kind::Static, _) => continue,
                (Kind::Spelled | Kind::AmongSigns | Kind::Alphabet, _) => &mut sequences.words,
                (Kind::Letter | Kind::Mixed, Some(at)) => &mut sequences.moving[at],
                (Kind::Letter, None) => &mut sequences.letters,
                (Kind::Mixed, None) => continue,
            };
            into.push(Track {
                frames: clip.frames.clone(),
                letters: places,
            });
        }
        let pasts = sequences.signs.iter().map(|track| track.frames.clone());
        sequences.made = Words::new(letters, crops, pasts.collect());
        sequences
    }

    /// How many sequences there are.
    pub fn counts(&self) -> Counts {
        Counts {
            words: self.words.len(),
            letters: self.letters.len(),
            signs: self.signs.len(),
            moving: [self.moving[0].len(), self.moving[1].len()],
            drawn: self.drawn.len(),
            hands: self.made.as_ref().map_or(0, Words::hands),
            joints: self.paths.as_ref().map_or(0, Paths::count),
        }
    }

    /// The examples of step `step`, the same ones for the same seed.
    ///
    /// # Errors
    /// When there is nothing to learn from.
    pub fn batch(&self, step: u64, size: usize) -> Result<Vec<Example>> {
        let examples: Vec<Option<Example>> = (0..size as u64)
            .into_par_iter()
            .map(|at| {
                let mut rng = seeded(self.seed, step * size as u64 + at);
                // A track that is too short for its letters teaches nothing: another is drawn.
                (0..20).find_map(|_| {
                    let track = self.track(&mut rng)?;
                    let example = example(&track, self.labels)?;
                    let needed = 2 * example.letters.len() + 1;
                    (needed..=LONGEST)
                        .contains(&example.steps)
                        .then_some(example)
                })
            })
            .collect();
        let examples: Vec<Example> = examples.into_iter().flatten().collect();
        anyhow::ensure!(!examples.is_empty(), "there are no sequences to learn from");
        Ok(examples)
    }

    fn track(&self, rng: &mut StdRng) -> Option<Track> {
        let kind: f32 = rng.random();
        if kind < 0.42 {
            return self.clip(rng);
        }
        if kind < 0.48 {
            let drawn = pick(&self.drawn, rng)?;
            let quick = rng.random_range(0.35..1.1);
            return Some(vary::vary(&vary::at_pace(drawn, quick), rng));
        }
        match &self.paths {
            Some(paths) if kind < 0.68 => paths.track(self.made.as_ref(), rng),
            _ => Some(self.made.as_ref()?.track(rng)),
        }
    }

    /// A real track, varied.
    fn clip(&self, rng: &mut StdRng) -> Option<Track> {
        let kind: f32 = rng.random();
        let (tracks, is_sign) = match kind {
            ..0.3 => (&self.words, false),
            ..0.62 => (&self.letters, false),
            ..0.8 => (&self.signs, true),
            ..0.9 => (&self.moving[0], false),
            _ => (&self.moving[1], false),
        };
        let track = pick(tracks, rng)?;
        let track = match is_sign {
            true => vary::excerpt(track, EXCERPT, rng),
            false => track.clone(),
        };
        Some(vary::with_end(vary::vary(&track, rng), rng))
    }
}

/// What the network sees of a track; `None` of one without frames.
pub fn example(track: &Track, labels: usize) -> Option<Example> {
    let mut features = Features::default();
    let mut values = Vec::new();
    for frame in &track.frames {
        let take = |step: Step| {
            values.extend_from_slice(step.values);
            Ok(())
        };
        features.push(frame, take).ok()?;
    }
    let steps = values.len() / width(labels);
    (steps > 0).then(|| Example {
        values,
        steps,
        letters: track.letters.clone(),
    })
}

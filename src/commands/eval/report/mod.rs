//! What was read right and wrong, for people and as JSON.

mod table;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::calibration::Calibration;
use super::folder::Labelled;
use super::joints::JointFigures;
use crate::model::{NOTHING, is_letter};

/// Letters that are movements: a picture of their hand's shape alone says little.
const MOVING: [&str; 2] = ["J", "Z"];

/// With fewer pictures of a signer's letter, their being misread says nothing of its label.
const FEWEST_TO_DOUBT: usize = 4;

/// What became of one picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// No hand was found.
    NoHand,
    /// A hand was read.
    Read {
        /// The most probable label, `nothing` included.
        label: String,
        /// Its probability.
        confidence: f32,
        /// Whether it is a letter that is probable enough to be shown.
        shown: bool,
    },
}

/// A picture that could not be read.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub path: String,
    pub error: String,
}

/// How the pictures of a class are read.
#[derive(Debug, Serialize)]
struct Class {
    pictures: usize,
    accuracy: f64,
}

/// Accuracies are shares in 0..1; `None`, null in JSON, where there is nothing to take a share of.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Mean over signers of the letters without J and Z.
    static24_mean: Option<f64>,
    /// The worst signer's.
    static24_worst: Option<f64>,
    /// Mean over signers of all letters.
    all26_mean: Option<f64>,
    /// Share of pictures without a letter that are shown as one.
    false_letters: Option<f64>,
    signers: BTreeMap<String, Signer>,
    /// Share of all pictures that are read as what they show, `nothing` included.
    accuracy: f64,
    /// Each class by its label, `nothing` included.
    classes: BTreeMap<String, Class>,
    /// What was signed, what was read, how often; most often first.
    confusions: Vec<(String, String, usize)>,
    /// Pictures that count nowhere, because they could not be read; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failed: Vec<Failure>,
    /// Where the joints are known and the network gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) joints: Option<JointFigures>,
    /// The same with the hand at a fraction of its size, by what it was divided by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) shrink: BTreeMap<u8, Report>,
    /// For people only: what tools read stays as it is.
    #[serde(skip)]
    calibration: Calibration,
    /// Whoever signs them; for people only, too.
    #[serde(skip)]
    letters: BTreeMap<String, Share>,
    /// Signers' letters that are mostly read as others, the largest share first; for people only, too.
    #[serde(skip)]
    doubts: Vec<Doubt>,
}

/// A letter of one signer of which most pictures are read as something else: a wrong label, or one
/// who is hard to read.
#[derive(Debug)]
struct Doubt {
    signer: String,
    label: String,
    /// Of the pictures in which a hand was found.
    share: Share,
    /// What most of the misread pictures are read as, and how many.
    mostly: (String, usize),
}

#[derive(Debug, Serialize)]
struct Signer {
    /// Pictures of this signer, those without a letter included.
    frames: usize,
    /// Share of them that are read as what they show.
    accuracy: f64,
    static24: Option<f64>,
    all26: Option<f64>,
    /// Pictures of letters in which no hand was found; each counts as wrong.
    no_hand: usize,
}

/// Right ones of all.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    right: usize,
    all: usize,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }

    fn value(self) -> Option<f64> {
        (self.all > 0).then(|| self.right as f64 / self.all as f64)
    }

    /// The order in which the smaller share comes first.
    fn worst_first(self, other: Share) -> Ordering {
        let [a, b] = [self, other].map(|share| share.value().unwrap_or_default());
        a.total_cmp(&b)
    }
}

/// How often each letter of each signer, by signer and label, was read as what.
type Readings<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<&'a str, usize>>;

#[derive(Debug, Default)]
struct Tally {
    all: Share,
    static24: Share,
    all26: Share,
    no_hand: usize,
}

impl Report {
    /// Counts what became of each picture.
    pub(super) fn new(pictures: &[Labelled], outcomes: &[Outcome]) -> Self {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        let mut false_letters = Share::default();
        let mut calibration = Calibration::default();
        let mut letters: BTreeMap<String, Share> = BTreeMap::new();
        let mut classes: BTreeMap<String, Share> = BTreeMap::new();
        let mut all = Share::default();
        let mut readings = Readings::new();
        for (picture, outcome) in pictures.iter().zip(outcomes) {
            let signed = match picture.is_nothing {
                true => NOTHING,
                false => &picture.label,
            };
            let is_right = match outcome {
                Outcome::NoHand => signed == NOTHING,
                Outcome::Read { label, .. } => label == signed,
            };
            if let Outcome::Read { confidence, .. } = outcome {
                calibration.count(*confidence, is_right);
            }
            let tally = tallies.entry(picture.signer.to_string()).or_default();
            let class = classes.entry(signed.to_owned()).or_default();
            for share in [&mut tally.all, class, &mut all] {
                share.count(is_right);
            }
            if picture.is_nothing {
                false_letters.count(matches!(outcome, Outcome::Read { shown: true, .. }));
                continue;
            }
            match outcome {
                Outcome::NoHand => tally.no_hand += 1,
                Outcome::Read { label, .. } => {
                    let letter = readings.entry((&picture.signer, &picture.label));
                    *letter.or_default().entry(label).or_default() += 1;
                }
            }
            letters
                .entry(picture.label.to_string())
                .or_default()
                .count(is_right);
            if is_letter(&picture.label) {
                tally.all26.count(is_right);
                if !MOVING.contains(&&*picture.label) {
                    tally.static24.count(is_right);
                }
            }
        }
        let signers: BTreeMap<String, Signer> = tallies
            .into_iter()
            .map(|(name, tally)| (name, Signer::from(tally)))
            .collect();
        let static24: Vec<f64> = signers.values().filter_map(|s| s.static24).collect();
        let all26: Vec<f64> = signers.values().filter_map(|s| s.all26).collect();
        Report {
            static24_mean: mean(&static24),
            static24_worst: static24.iter().copied().min_by(f64::total_cmp),
            all26_mean: mean(&all26),
            false_letters: false_letters.value(),
            signers,
            accuracy: all.value().unwrap_or_default(),
            classes: classes
                .into_iter()
                .map(|(label, share)| (label, Class::from(share)))
                .collect(),
            confusions: confusions(&readings),
            failed: Vec::new(),
            joints: None,
            shrink: BTreeMap::new(),
            calibration,
            letters,
            doubts: doubts(&readings),
        }
    }

    /// Whether any picture shows one of the 26 letters.
    pub(super) fn has_letters(&self) -> bool {
        self.letters.keys().any(|label| is_letter(label))
    }
}

/// What was signed, what was read, how often, whoever signed; most often first.
fn confusions(readings: &Readings) -> Vec<(String, String, usize)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (&(_, label), read) in readings {
        for (&read, count) in read.iter().filter(|&(&read, _)| read != label) {
            *counts.entry((label, read)).or_default() += count;
        }
    }
    let mut confusions: Vec<_> = counts
        .into_iter()
        .map(|((signed, read), count)| (signed.to_owned(), read.to_owned(), count))
        .collect();
    confusions.sort_by_key(|&(.., count)| std::cmp::Reverse(count));
    confusions
}

/// The letters of which more than half the pictures with a hand are misread, the worst read first.
fn doubts(readings: &Readings) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for (&(signer, label), read) in readings {
        let share = Share {
            right: read.get(label).copied().unwrap_or_default(),
            all: read.values().sum(),
        };
        let others = read.iter().filter(|&(&read, _)| read != label);
        if let Some((mostly, &count)) = others.max_by_key(|&(_, count)| count)
            && share.all >= FEWEST_TO_DOUBT
            && 2 * share.right < share.all
        {
            doubts.push(Doubt {
                signer: signer.to_owned(),
                label: label.to_owned(),
                share,
                mostly: ((*mostly).to_owned(), count),
            });
        }
    }
    doubts.sort_by(|a, b| a.share.worst_first(b.share));
    doubts
}

impl From<Share> for Class {
    fn from(share: Share) -> Self {
        Class {
            pictures: share.all,
            accuracy: share.value().unwrap_or_default(),
        }
    }
}

impl From<Tally> for Signer {
    fn from(tally: Tally) -> Self {
        Signer {
            frames: tally.all.all,
            accuracy: tally.all.value().unwrap_or_default(),
            static24: tally.static24.value(),
            all26: tally.all26.value(),
            no_hand: tally.no_hand,
        }
    }
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

#[cfg(test)]
mod tests;

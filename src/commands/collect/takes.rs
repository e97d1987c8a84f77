//! What is collected next: labels, takes, and what each take shall be like.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Shot;
use super::folder::{Count, Folder};
use super::names::check_name;
use crate::model::NOTHING;
use crate::sink::keyboard::Symbol;

/// From one picture of a take to the next.
const EVERY: Duration = Duration::from_millis(250);

/// Pictures of a take at most: more of the same teach nothing.
pub const MOST: usize = 12;

/// A label of pictures that show no letter but a hand.
const OTHER: &str = "other";

/// What takes shall be like, in turn. Their number has no divisor in common with the rhythm of
/// takes that are held back, so that each of them is held back now and then.
const HINTS: [&str; 7] = [
    "as you would sign it",
    "a little nearer to the camera",
    "farther from the camera",
    "with the hand turned a little",
    "elsewhere in the picture",
    "in another light",
    "before another background",
];

/// The same for pictures without a letter.
const NO_LETTER: [&str; 7] = [
    "hands at rest",
    "scratch your head or your chin",
    "hold a cup or a pen",
    "hands on the way from one letter to another",
    "wave, point, count",
    "in another light",
    "no hand at all, or both",
];

/// One hold of the space bar.
#[derive(Debug)]
struct Take {
    number: u32,
    pictures: Vec<String>,
    /// When the next picture is due.
    due: Instant,
}

/// A take that can be taken back.
#[derive(Debug)]
struct Done {
    label: usize,
    pictures: Vec<String>,
}

/// What was the matter with the newest picture of a take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// There was no hand to be found.
    NoHand,
    /// The take has as many pictures as it may have.
    Full,
}

/// What can be collected: at least one label.
#[derive(Debug, Clone)]
pub struct Labels(Vec<Arc<str>>);

impl Labels {
    /// Takes labels in the order in which they are gone through.
    ///
    /// # Errors
    /// When there is none, one cannot be a folder's name, or two are the same but for case.
    pub fn new(labels: Vec<Arc<str>>) -> Result<Labels> {
        ensure!(!labels.is_empty(), "there is no label to collect");
        let mut seen = Vec::new();
        for label in &labels {
            check_name(label).with_context(|| format!("cannot collect the label {label:?}"))?;
            let lower = label.to_lowercase();
            ensure!(
                !seen.contains(&lower),
                "cannot collect the label {label:?} twice: in some systems' folders upper and \
                 lower case are the same"
            );
            seen.push(lower);
        }
        Ok(Labels(labels))
    }
}

/// Collects pictures of one label after the other.
#[derive(Debug)]
pub struct Takes {
    folder: Folder,
    labels: Vec<Arc<str>>,
    at: usize,
    take: Option<Take>,
    trouble: Option<Trouble>,
    /// The takes of this run, newest last.
    done: Vec<Done>,
    /// What a key led to.
    notice: Option<String>,
}

impl Takes {
    /// Collects into `folder` pictures of these labels.
    pub fn new(folder: Folder, labels: Labels) -> Takes {
        Takes {
            folder,
            labels: labels.0,
            at: 0,
            take: None,
            trouble: None,
            done: Vec::new(),
            notice: None,
        }
    }

    /// Where pictures go.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The label whose pictures are taken.
    pub fn label(&self) -> &Arc<str> {
        // There is at least one, and only their indices are ever set.
        &self.labels[self.at]
    }

    /// Every label with how much there is of it.
    pub fn counts(&self) -> impl Iterator<Item = (&Arc<str>, Count)> {
        (self.labels.iter()).map(|label| (label, self.folder.count(label)))
    }

    /// Goes to the next label.
    pub fn next_label(&mut self) {
        self.choose_at((self.at + 1) % self.labels.len());
    }

    /// Goes to the next label that starts with what was typed, or else with the Latin letter of
    /// the same key.
    pub fn choose(&mut self, symbol: Symbol) {
        let small = |letter: char| letter.to_lowercase().next();
        let next = |wanted: char| {
            let count = self.labels.len();
            let mut steps = (1..=count).map(|step| (self.at + step) % count);
            steps.find(|&at| {
                let first = self.labels[at].chars().next();
                first.and_then(small) == small(wanted)
            })
        };
        if let Some(at) = next(symbol.typed).or_else(|| next(symbol.latin)) {
            self.choose_at(at);
        }
    }

    fn choose_at(&mut self, at: usize) {
        // A take is of one label: while the space bar is held the label stays.
        if self.take.is_none() {
            self.at = at;
            self.notice = None;
        }
    }

    /// The space bar went down.
    pub fn hold(&mut self, now: Instant) {
        if self.take.is_none() {
            self.notice = None;
            self.trouble = None;
            self.take = Some(Take {
                number: self.folder.count(self.label()).takes.saturating_add(1),
                pictures: Vec::new(),
                due: now,
            });
        }
    }

    /// The space bar was let go.
    pub fn release(&mut self) {
        let Some(take) = self.take.take() else {
            return;
        };
        self.trouble = None;
        if !take.pictures.is_empty() {
            self.done.push(Done {
                label: self.at,
                pictures: take.pictures,
            });
        }
    }

    /// Removes the take that runs, or else the newest one of this run that is still there.
    ///
    /// # Errors
    /// When its pictures cannot be removed.
    pub fn take_back(&mut self) -> Result<()> {
        let before = self.done.len();
        let running = self.take.is_some();
        self.release();
        if running && self.done.len() == before {
            // It held no picture; the one before it is not meant.
            return Ok(());
        }
        let Some(done) = self.done.pop() else {
            self.notice = Some("there is nothing to take back".into());
            return Ok(());
        };
        self.at = done.label;
        let label = Arc::clone(self.label());
        self.folder.remove(&label, &done.pictures)?;
        let count = done.pictures.len();
        self.notice = Some(format!("took back {count} pictures of {label}"));
        Ok(())
    }

    /// Whether a picture is due.
    pub fn wants(&self, now: Instant) -> bool {
        let take = self.take.as_ref();
        take.is_some_and(|take| take.pictures.len() < MOST && now >= take.due)
    }

    /// Stores a picture, unless it came late or shows no hand where it should.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn store(&mut self, shot: &Shot, now: Instant) -> Result<()> {
        if !self.wants(now) {
            return Ok(());
        }
        let label = Arc::clone(self.label());
        let Some(take) = &mut self.take else {
            return Ok(());
        };
        if shot.hand.is_none() && !is_no_letter(&label) {
            self.trouble = Some(Trouble::NoHand);
            return Ok(());
        }
        let path = self.folder.add(shot, &label, take.number)?;
        take.pictures.push(path);
        take.due = now + EVERY;
        self.trouble = (take.pictures.len() == MOST).then_some(Trouble::Full);
        Ok(())
    }

    /// Pictures of the take that runs.
    pub fn taken(&self) -> Option<usize> {
        self.take.as_ref().map(|take| take.pictures.len())
    }

    /// What the person is asked for.
    pub fn request(&self) -> String {
        let hints = match is_no_letter(self.label()) {
            true => NO_LETTER,
            false => HINTS,
        };
        match (&self.take, self.trouble, &self.notice) {
            (Some(_), Some(Trouble::NoHand), _) => {
                "no hand is found: move it into the picture, into more light".into()
            }
            (Some(_), Some(Trouble::Full), _) => "that is enough: let go of the space bar".into(),
            (Some(_), None, _) => "taking pictures: move the hand a little, keep its shape".into(),
            (None, _, Some(notice)) => notice.clone(),
            (None, _, None) => {
                let takes = self.folder.count(self.label()).takes as usize;
                let hint = hints[takes % hints.len()];
                format!("{}, take {}: {hint}. Hold space", self.label(), takes + 1)
            }
        }
    }
}

fn is_no_letter(label: &str) -> bool {
    label == NOTHING || label == OTHER
}

//! What was typed right and wrong, for people and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::distance::{error_rate, is_exact};
use super::{Found, Outcome};
use crate::commands::eval::report::{mean, percent};
use crate::source::clips::{Clip, Kind};

/// Letters that are movements.
const MOVING: [&str; 2] = ["J", "Z"];

/// A clip with what became of it.
type Read<'a> = (&'a Clip, &'a Outcome);

/// Everything that was measured. Shares and rates are `None`, null in JSON, where there is nothing
/// to take them of.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    all: Figures,
    signers: BTreeMap<String, Figures>,
    /// For people only: what tools read stays as it is.
    #[serde(skip)]
    kinds: BTreeMap<(Kind, String), Row>,
}

#[derive(Debug, Serialize)]
struct Figures {
    /// Clips that were asked for.
    clips: usize,
    failed: Vec<Failed>,
    words: Spelled,
    names: Spelled,
    alphabet: Spelled,
    letters: Letters,
    j: Drawn,
    z: Drawn,
    static_as_moving: Still,
    silence: Silence,
    delay_ms: Delay,
    boxes: Option<Boxes>,
}

/// A clip that could not be read.
#[derive(Debug, Clone, Serialize)]
struct Failed {
    path: String,
    error: String,
}

/// Clips in which words are spelled.
#[derive(Debug, Default, Serialize)]
struct Spelled {
    /// Letter error rate: the mean over clips of edit distance by letters, at most 1 a clip.
    ler: Option<f64>,
    /// Clips of which every letter and no other is typed.
    exact: usize,
    clips: usize,
}

/// Clips of one letter that is held still.
#[derive(Debug, Serialize)]
struct Letters {
    /// Share of the clips in which it is typed.
    typed: Option<f64>,
    /// Other letters typed, a clip.
    others: Option<f64>,
    clips: usize,
}

/// Clips of one letter that is drawn.
#[derive(Debug, Serialize)]
struct Drawn {
    /// People who draw it.
    people: usize,
    /// People of whom a clip types it.
    typed: usize,
}

/// Clips in which the shape of a drawn letter is held still.
#[derive(Debug, Serialize)]
struct Still {
    clips: usize,
    /// Clips that type a drawn letter nevertheless.
    typed: usize,
}

/// Clips in which nothing is spelled.
#[derive(Debug, Serialize)]
struct Silence {
    letters_per_minute: Option<f64>,
    minutes: f64,
}

/// From the last frame that shows a letter to the frame with which it is typed, over all letters
/// typed.
#[derive(Debug, Serialize)]
struct Delay {
    p50: Option<f64>,
    p95: Option<f64>,
}

/// Frames of which it is known where hands are.
#[derive(Debug, Serialize)]
struct Boxes {
    frames: usize,
    /// The found box fits one of the hands: intersection over union of at least a half.
    on_hand: usize,
    /// It fits none.
    elsewhere: usize,
    /// No hand was found.
    none: usize,
    #[serde(skip)]
    beside: usize,
}

/// A person's clips of one kind.
#[derive(Debug, Default)]
struct Row {
    clips: usize,
    failed: usize,
    spelled: Vec<f64>,
    exact: usize,
    /// Clips that type the clip's letter.
    typed: usize,
    /// Letters typed that are not the clip's, or that are typed where nothing is spelled.
    others: usize,
    minutes: f64,
    found: Found,
}

impl Report {
    /// Counts what became of each clip; `boxes`: whether it is known where hands are.
    pub(super) fn new(clips: &[Clip], outcomes: &[Result<Outcome, String>], boxes: bool) -> Self {
        let mut signers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut kinds: BTreeMap<(Kind, String), Row> = BTreeMap::new();
        for (at, (clip, outcome)) in clips.iter().zip(outcomes).enumerate() {
            signers.entry(&clip.signer).or_default().push(at);
            let row = kinds.entry((clip.kind, clip.signer.clone())).or_default();
            row.count(clip, outcome);
        }
        let of = |places: &[usize]| {
            let both = |&at: &usize| Some((clips.get(at)?, outcomes.get(at)?));
            Figures::new(&places.iter().filter_map(both).collect::<Vec<_>>(), boxes)
        };
        let all: Vec<usize> = (0..clips.len()).collect();
        Report {
            all: of(&all),
            signers: (signers.iter())
                .map(|(name, places)| ((*name).to_owned(), of(places)))
                .collect(),
            kinds,
        }
    }

    /// The report for people.
    pub fn table(&self) -> String {
        let names = self.signers.keys().map(|name| name.chars().count());
        let width = names.max().unwrap_or(0).max("signer".len());
        let mut text = String::new();
        let mut line = |cells: [&str; 8]| {
            let [signer, kind, clips, ler, exact, typed, others, hand] = cells;
            let row = format!(
                "{signer:<width$}  {kind:<11}  {clips:>5}  {ler:>7}  {exact:>5}  {typed:>5}  {others:>6}  {hand:>7}"
            );
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", row.trim_end());
        };
        line([
            "signer", "kind", "clips", "errors", "exact", "typed", "others", "on hand",
        ]);
        for ((kind, signer), row) in &self.kinds {
            let cells = row.cells(*kind);
            let cells = cells.each_ref().map(String::as_str);
            let [clips, ler, exact, typed, others, hand] = cells;
            line([signer, kind.name(), clips, ler, exact, typed, others, hand]);
        }
        text + "\n" + &self.all.table()
    }
}

impl Row {
    fn count(&mut self, clip: &Clip, outcome: &Result<Outcome, String>) {
        self.clips += 1;
        let Ok(outcome) = outcome else {
            self.failed += 1;
            return;
        };
        match clip.kind {
            Kind::Spelled | Kind::Alphabet | Kind::AmongSigns => {
                self.spelled.push(error_rate(clip, outcome));
                self.exact += usize::from(is_exact(clip, outcome));
            }
            Kind::Letter | Kind::Mixed | Kind::Static => {
                self.typed += usize::from(types_its_letter(clip, outcome));
                self.others += others(clip, outcome);
            }
            Kind::Sign => {
                self.others += outcome.text.chars().count();
            }
        }
        self.minutes += outcome.length.as_secs_f64() / 60.0;
        self.found.add(outcome.found);
    }

    /// Clips, letter error rate, exact ones, typed ones, others, and share of boxes on a hand.
    fn cells(&self, kind: Kind) -> [String; 6] {
        let read = self.clips - self.failed;
        let share = |count: usize, of: usize| match of {
            0 => "-".to_owned(),
            of => percent(Some(count as f64 / of as f64)),
        };
        let clips = match self.failed {
            0 => self.clips.to_string(),
            failed => format!("{read}+{failed}"),
        };
        let dash = || String::from("-");
        let hand = share(self.found.on_hand, self.found.frames);
        match kind {
            Kind::Spelled | Kind::Alphabet | Kind::AmongSigns => [
                clips,
                percent(mean(&self.spelled)),
                self.exact.to_string(),
                dash(),
                dash(),
                hand,
            ],
            Kind::Letter | Kind::Mixed | Kind::Static => [
                clips,
                dash(),
                dash(),
                self.typed.to_string(),
                self.others.to_string(),
                hand,
            ],
            Kind::Sign => [clips, dash(), dash(), dash(), self.others.to_string(), hand],
        }
    }
}

impl Figures {
    fn new(clips: &[(&Clip, &Result<Outcome, String>)], boxes: bool) -> Figures {
        let failed = clips.iter().filter_map(|(clip, outcome)| {
            Some(Failed {
                path: clip.name.clone(),
                error: outcome.as_ref().err()?.clone(),
            })
        });
        let read: Vec<Read> = (clips.iter())
            .filter_map(|&(clip, outcome)| Some((clip, outcome.as_ref().ok()?)))
            .collect();
        let mut found = Found::default();
        for (_, outcome) in &read {
            found.add(outcome.found);
        }
        let boxes = boxes.then_some(Boxes {
            frames: found.frames,
            on_hand: found.on_hand,
            elsewhere: found.elsewhere,
            none: found.none,
            beside: found.beside,
        });
        Figures {
            clips: clips.len(),
            failed: failed.collect(),
            words: Spelled::new(of_kind(&read, Kind::Spelled)),
            names: Spelled::new(of_kind(&read, Kind::AmongSigns)),
            alphabet: Spelled::new(of_kind(&read, Kind::Alphabet)),
            letters: Letters::new(&read),
            j: Drawn::new(&read, "J"),
            z: Drawn::new(&read, "Z"),
            static_as_moving: Still::new(&read),
            silence: Silence::new(&read),
            delay_ms: Delay::new(&read),
            boxes,
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, said: String| {
            let _ = writeln!(text, "{name:<26}  {said}");
        };
        for (name, spelled) in [
            ("words", &self.words),
            ("names among signs", &self.names),
            ("alphabet", &self.alphabet),
        ] {
            if spelled.clips > 0 {
                let (ler, exact, clips) = (percent(spelled.ler), spelled.exact, spelled.clips);
                line(
                    name,
                    format!("{ler} letter errors, {exact} of {clips} exact"),
                );
            }
        }
        if let (Some(typed), Some(others)) = (self.letters.typed, self.letters.others) {
            let (typed, clips) = (percent(Some(typed)), self.letters.clips);
            line(
                "letters",
                format!("{typed} of {clips} typed, {others:.2} others a clip"),
            );
        }
        for (name, drawn) in [("J drawn", &self.j), ("Z drawn", &self.z)] {
            if drawn.people > 0 {
                line(
                    name,
                    format!("typed for {} of {} people", drawn.typed, drawn.people),
                );
            }
        }
        if self.static_as_moving.clips > 0 {
            let Still { clips, typed } = self.static_as_moving;
            line("J and Z held still", format!("{typed} of {clips} typed"));
        }
        if let Some(rate) = self.silence.letters_per_minute {
            let minutes = self.silence.minutes;
            line(
                "nothing spelled",
                format!("{rate:.1} letters a minute, in {minutes:.1} minutes"),
            );
        }
        if let (Some(p50), Some(p95)) = (self.delay_ms.p50, self.delay_ms.p95) {
            line(
                "delay",
                format!(
                    "p50 {p50:.0} ms, p95 {p95:.0} ms from a letter's last frame to its typing"
                ),
            );
        }
        if let Some(boxes) = self.boxes.as_ref().filter(|boxes| boxes.frames > 0) {
            let share = |count: usize| percent(Some(count as f64 / boxes.frames as f64));
            line(
                "boxes",
                format!(
                    "{} on a hand, {} elsewhere ({} beside every hand), {} none, of {} frames",
                    share(boxes.on_hand),
                    share(boxes.elsewhere),
                    share(boxes.beside),
                    share(boxes.none),
                    boxes.frames
                ),
            );
        }
        if !self.failed.is_empty() {
            let _ = writeln!(text, "\ncannot be read: {}", self.failed.len());
        }
        for failed in &self.failed {
            let _ = writeln!(text, "  {}: {}", failed.path, failed.error);
        }
        text
    }
}

impl Spelled {
    fn new<'a>(clips: impl Iterator<Item = Read<'a>>) -> Spelled {
        let mut rates = Vec::new();
        let mut exact = 0;
        for (clip, outcome) in clips {
            rates.push(error_rate(clip, outcome));
            exact += usize::from(is_exact(clip, outcome));
        }
        Spelled {
            ler: mean(&rates),
            exact,
            clips: rates.len(),
        }
    }
}

impl Letters {
    fn new(read: &[Read]) -> Letters {
        let held = of_kind(read, Kind::Letter).filter(|(clip, _)| !is_moving(&clip.text));
        let held: Vec<Read> = held.collect();
        let typed = held.iter().map(|(clip, outcome)| {
            let typed = types_its_letter(clip, outcome);
            f64::from(u8::from(typed))
        });
        let others = held
            .iter()
            .map(|(clip, outcome)| others(clip, outcome) as f64);
        Letters {
            typed: mean(&typed.collect::<Vec<_>>()),
            others: mean(&others.collect::<Vec<_>>()),
            clips: held.len(),
        }
    }
}

impl Drawn {
    fn new(read: &[Read], letter: &str) -> Drawn {
        let drawn = read.iter().filter(|(clip, _)| {
            matches!(clip.kind, Kind::Letter | Kind::Mixed) && clip.text == letter
        });
        let (mut people, mut typed) = (BTreeSet::new(), BTreeSet::new());
        for (clip, outcome) in drawn {
            people.insert(&clip.signer);
            if types_its_letter(clip, outcome) {
                typed.insert(&clip.signer);
            }
        }
        Drawn {
            people: people.len(),
            typed: typed.len(),
        }
    }
}

impl Still {
    fn new(read: &[Read]) -> Still {
        let still: Vec<Read> = of_kind(read, Kind::Static).collect();
        let types = |(_, outcome): &&Read| MOVING.iter().any(|name| outcome.text.contains(name));
        Still {
            clips: still.len(),
            typed: still.iter().filter(types).count(),
        }
    }
}

impl Silence {
    fn new(read: &[Read]) -> Silence {
        let (mut letters, mut minutes) = (0, 0.0);
        for (_, outcome) in of_kind(read, Kind::Sign) {
            letters += outcome.text.chars().count();
            minutes += outcome.length.as_secs_f64() / 60.0;
        }
        Silence {
            letters_per_minute: (minutes > 0.0).then(|| letters as f64 / minutes),
            minutes,
        }
    }
}

impl Delay {
    fn new(read: &[Read]) -> Delay {
        let delays = read.iter().flat_map(|(_, outcome)| &outcome.delays_ms);
        let mut delays: Vec<f64> = delays.copied().collect();
        delays.sort_by(f64::total_cmp);
        // Nearest rank.
        let at = |share: f64| {
            let rank = (share * delays.len() as f64).ceil() as usize;
            delays.get(rank.saturating_sub(1)).copied()
        };
        Delay {
            p50: at(0.5),
            p95: at(0.95),
        }
    }
}

fn of_kind<'a>(read: &[Read<'a>], kind: Kind) -> impl Iterator<Item = Read<'a>> {
    read.iter()
        .filter(move |(clip, _)| clip.kind == kind)
        .copied()
}

fn is_moving(letter: &str) -> bool {
    MOVING.contains(&letter)
}

fn types_its_letter(clip: &Clip, outcome: &Outcome) -> bool {
    outcome.text.contains(&clip.text)
}

/// Letters typed that are not the clip's.
fn others(clip: &Clip, outcome: &Outcome) -> usize {
    let typed = outcome.text.chars();
    typed.filter(|typed| !clip.text.contains(*typed)).count()
}

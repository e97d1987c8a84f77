//! What was read right and wrong, for people and as JSON.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::calibration::Calibration;
use super::folder::Labelled;
use super::joints::JointFigures;
use crate::model::{NOTHING, is_letter};

/// Letters that are movements: a picture of their hand's shape alone says little.
const MOVING: [&str; 2] = ["J", "Z"];

/// Confusions that are printed for people.
const SHOWN_CONFUSIONS: usize = 12;

/// Letters in a row of those that are printed for people.
const LETTERS_A_ROW: usize = 5;

/// With fewer pictures of a signer's letter, their being misread says nothing of its label.
const FEWEST_TO_DOUBT: usize = 4;

/// Doubtful labels that are printed for people.
const SHOWN_DOUBTS: usize = 30;

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

    /// The report for people where no class is a letter.
    pub(super) fn table_of_classes(&self) -> String {
        let mut rows = vec![Row::head("class")];
        for (label, class) in &self.classes {
            rows.push(Row::of(label, class.pictures, class.accuracy));
        }
        let pictures = self.classes.values().map(|class| class.pictures).sum();
        rows.push(Row::of("all", pictures, self.accuracy));
        let mut text = columns(&rows);
        if self.signers.len() > 1 {
            rows = vec![Row::head("signer")];
            for (name, signer) in &self.signers {
                rows.push(Row::of(name, signer.frames, signer.accuracy));
            }
            text = text + "\n" + &columns(&rows);
        }
        let no_hand: usize = self.signers.values().map(|signer| signer.no_hand).sum();
        if no_hand > 0 {
            let _ = writeln!(
                text,
                "\nno hand was found in {no_hand}, which count as misread"
            );
        }
        text + "\n" + &self.misread() + &self.calibrated()
    }

    /// The report for people.
    pub(super) fn table(&self) -> String {
        let names = self.signers.keys().map(|name| name.chars().count());
        let width = names.max().unwrap_or(0).max("signer".len());
        let mut text = String::new();
        let mut line = |name: &str, columns: [&str; 4]| {
            let [frames, static24, all26, no_hand] = columns;
            let row =
                format!("{name:<width$}  {frames:>6}  {static24:>9}  {all26:>7}  {no_hand:>7}");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", row.trim_end());
        };
        line("signer", ["frames", "static 24", "all 26", "no hand"]);
        for (name, signer) in &self.signers {
            let columns = [
                signer.frames.to_string(),
                percent(signer.static24),
                percent(signer.all26),
                signer.no_hand.to_string(),
            ];
            line(name, columns.each_ref().map(String::as_str));
        }
        line(
            "mean",
            [
                "",
                &percent(self.static24_mean),
                &percent(self.all26_mean),
                "",
            ],
        );
        line("worst", ["", &percent(self.static24_worst), "", ""]);
        let _ = writeln!(
            text,
            "\nshown as a letter though none was signed: {}",
            percent(self.false_letters)
        );
        if let Some(joints) = &self.joints {
            let _ = writeln!(text, "{joints}");
        }
        text += &self.smaller();
        text += &self.calibrated();
        if !self.letters.is_empty() {
            text += "\nletters, worst first:\n";
        }
        for row in self.letters_worst_first().chunks(LETTERS_A_ROW) {
            let _ = writeln!(text, "{}", row.join("  ").trim_end());
        }
        text += &self.misread();
        if !self.doubts.is_empty() {
            text += "signers' letters that are mostly read as others (doubtful labels, or hard to read):\n";
        }
        for doubt in self.doubts.iter().take(SHOWN_DOUBTS) {
            let _ = writeln!(text, "  {doubt}");
        }
        if let Some(more @ 1..) = self.doubts.len().checked_sub(SHOWN_DOUBTS) {
            let _ = writeln!(text, "  and {more} more");
        }
        if !self.failed.is_empty() {
            let count = self.failed.len();
            let _ = writeln!(
                text,
                "pictures that cannot be read and count nowhere: {count}"
            );
        }
        text
    }

    /// A line for each fraction of the hand's size, the whole size first; empty where there are none.
    fn smaller(&self) -> String {
        let mut text = String::new();
        if self.shrink.is_empty() {
            return text;
        }
        text += "\nhand's size  static 24    worst   all 26  no hand  shown as a letter\n";
        for (size, report) in [(1, self)]
            .into_iter()
            .chain(self.shrink.iter().map(|(&s, r)| (s, r)))
        {
            let name = match size {
                1 => "whole".to_owned(),
                size => format!("1/{size}"),
            };
            let no_hand: usize = report.signers.values().map(|signer| signer.no_hand).sum();
            let _ = writeln!(
                text,
                "{name:<11}  {:>9}  {:>7}  {:>7}  {no_hand:>7}  {:>17}",
                percent(report.static24_mean),
                percent(report.static24_worst),
                percent(report.all26_mean),
                percent(report.false_letters)
            );
        }
        text
    }

    /// A line of the confusions, the most frequent first; empty where there are none.
    fn misread(&self) -> String {
        if self.confusions.is_empty() {
            return String::new();
        }
        let most = self.confusions.iter().take(SHOWN_CONFUSIONS);
        let most: Vec<String> = most
            .map(|(signed, read, count)| format!("{signed} as {read} {count}"))
            .collect();
        format!("most often misread: {}\n", most.join(", "))
    }

    /// A line of how far confidence can be trusted; empty where nothing was read.
    fn calibrated(&self) -> String {
        self.calibration.expected_error().map_or(String::new(), |error| {
            format!(
                "expected calibration error: {error:.3} (how far confidence and accuracy are apart)\n"
            )
        })
    }

    /// Each label's share of pictures that are read right, and how many there are.
    fn letters_worst_first(&self) -> Vec<String> {
        let mut letters: Vec<_> = self.letters.iter().collect();
        letters.sort_by(|(_, a), (_, b)| a.worst_first(**b));
        let cell = |(label, share): &(&String, &Share)| {
            format!("{label} {:>7} of {:<3}", percent(share.value()), share.all)
        };
        letters.iter().map(cell).collect()
    }
}

/// A name, how many pictures, and how many of them are read right, as text.
struct Row(String, String, String);

impl Row {
    fn of(name: &str, pictures: usize, accuracy: f64) -> Self {
        Row(
            name.to_owned(),
            pictures.to_string(),
            percent(Some(accuracy)),
        )
    }

    fn head(name: &str) -> Self {
        Row(
            name.to_owned(),
            "pictures".to_owned(),
            "accuracy".to_owned(),
        )
    }
}

/// Rows as lines, each as wide as the widest name asks for.
fn columns(rows: &[Row]) -> String {
    let width = rows.iter().map(|Row(name, ..)| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let lines = rows.iter().map(|Row(name, pictures, accuracy)| {
        format!("{name:<width$}  {pictures:>8}  {accuracy:>8}\n")
    });
    lines.collect()
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

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share { right, all } = self.share;
        let (read, count) = &self.mostly;
        write!(
            f,
            "{}/{}: {} of {all}, {count} as {read}",
            self.signer,
            self.label,
            all - right
        )
    }
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
mod tests {
    use super::*;

    /// Signer, label, and what was read and whether it was shown; `None` where no hand was found.
    type Row<'a> = (&'a str, &'a str, Option<(&'a str, bool)>);

    fn report(rows: &[Row<'_>]) -> Report {
        let pictures: Vec<Labelled> = rows
            .iter()
            .map(|&(signer, label, _)| Labelled {
                path: "drawn.png".into(),
                signer: signer.into(),
                label: label.into(),
                is_nothing: ["other", "nothing"].contains(&label),
            })
            .collect();
        let outcomes: Vec<Outcome> = rows
            .iter()
            .map(|&(.., read)| match read {
                None => Outcome::NoHand,
                Some((label, shown)) => Outcome::Read {
                    label: label.into(),
                    confidence: 0.9,
                    shown,
                },
            })
            .collect();
        Report::new(&pictures, &outcomes)
    }

    #[test]
    fn signers_count_alike_however_many_pictures_they_have() {
        let report = report(&[
            ("ann", "A", Some(("A", true))),
            ("bob", "A", Some(("B", true))),
            ("bob", "A", Some(("B", true))),
            ("bob", "B", Some(("B", true))),
            ("bob", "B", None),
        ]);
        assert_eq!(report.static24_mean, Some(0.625));
        assert_eq!(report.static24_worst, Some(0.25));
        assert_eq!(report.signers["bob"].no_hand, 1);
        assert_eq!(report.confusions, [("A".into(), "B".into(), 2)]);
    }

    #[test]
    fn moving_letters_count_only_among_all_26() {
        let report = report(&[
            ("ann", "A", Some(("A", true))),
            ("ann", "J", Some(("I", true))),
        ]);
        assert_eq!(report.static24_mean, Some(1.0));
        assert_eq!(report.all26_mean, Some(0.5));
    }

    #[test]
    fn a_letter_read_as_nothing_is_wrong_and_nothing_read_as_a_letter_is_false() {
        let report = report(&[
            ("ann", "A", Some(("nothing", false))),
            ("ann", "other", Some(("B", true))),
            ("ann", "nothing", Some(("B", false))),
            ("ann", "nothing", None),
            ("ann", "other", Some(("nothing", false))),
        ]);
        assert_eq!(report.static24_mean, Some(0.0));
        assert_eq!(report.false_letters, Some(0.25));
        assert_eq!(report.signers["ann"].frames, 5);
        assert_eq!(report.signers["ann"].no_hand, 0);
    }

    #[test]
    fn classes_that_are_no_letters_get_a_table_of_their_own() {
        let report = report(&[
            ("val", "cat", Some(("cat", true))),
            ("val", "cat", Some(("dog", true))),
            ("val", "dog", Some(("dog", true))),
            ("val", "nothing", Some(("nothing", false))),
        ]);
        assert!(!report.has_letters());
        assert_eq!(report.accuracy, 0.75);
        assert_eq!(report.all26_mean, None);
        let table = report.table_of_classes();
        let expected = [
            "class    pictures  accuracy",
            "cat             2    50.0 %",
            "dog             1   100.0 %",
            "nothing         1   100.0 %",
            "all             4    75.0 %",
        ];
        let lines: Vec<&str> = table.lines().take(5).collect();
        assert_eq!(lines, expected, "{table}");
        assert!(table.contains("cat as dog 1"), "{table}");
        assert!(
            !table.contains("signer"),
            "one folder is no signer: {table}"
        );
        for word in ["letter", "static", "26"] {
            assert!(!table.contains(word), "{table}");
        }
    }

    #[test]
    fn a_word_beside_the_letters_is_none_of_the_26() {
        let report = report(&[
            ("ann", "A", Some(("A", true))),
            ("ann", "wave", Some(("A", true))),
        ]);
        assert!(report.has_letters());
        assert_eq!(report.all26_mean, Some(1.0));
        assert_eq!(report.accuracy, 0.5);
    }

    #[test]
    fn people_see_each_letter_the_worst_first() {
        let table = report(&[
            ("ann", "A", Some(("A", true))),
            ("ann", "B", Some(("A", true))),
            ("bob", "B", Some(("B", true))),
            ("bob", "C", None),
            ("bob", "nothing", None),
        ])
        .table();
        let expected = "C   0.0 % of 1    B  50.0 % of 2    A 100.0 % of 1";
        assert!(
            table.lines().any(|line| line.trim_end() == expected),
            "{table}"
        );
    }

    #[test]
    fn people_see_whose_letters_are_mostly_read_as_others() {
        let mut rows = vec![("ann", "T", Some(("T", true))); 6];
        rows.extend([("bob", "T", Some(("S", true))); 3]);
        rows.extend([
            ("bob", "T", Some(("nothing", false))),
            ("bob", "T", Some(("T", true))),
            ("bob", "T", None),
        ]);
        // Half of the pictures do not cast doubt on a label, nor do all of a few.
        rows.extend([("cid", "M", Some(("N", true))); 2]);
        rows.extend([("cid", "M", Some(("M", true))); 2]);
        rows.extend([("dan", "M", Some(("N", true))); 3]);
        let table = report(&rows).table();
        let (_, doubts) = table.split_once("mostly read as others").expect(&table);
        let lines: Vec<&str> = doubts.lines().skip(1).collect();
        assert_eq!(lines, ["  bob/T: 4 of 5, 3 as S"]);
    }

    #[test]
    fn no_label_is_doubted_where_signers_are_read_well() {
        let table = report(&[("ann", "A", Some(("A", true))); 8]).table();
        assert!(!table.contains("doubtful"), "{table}");
    }

    #[test]
    fn the_json_has_exactly_the_fields_that_other_tools_rely_on() {
        let report = report(&[("ann", "M", Some(("N", true)))]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "static24_mean": 0.0,
                "static24_worst": 0.0,
                "all26_mean": 0.0,
                "false_letters": null,
                "signers": {
                    "ann": {
                        "frames": 1,
                        "accuracy": 0.0,
                        "static24": 0.0,
                        "all26": 0.0,
                        "no_hand": 0
                    }
                },
                "accuracy": 0.0,
                "classes": {"M": {"pictures": 1, "accuracy": 0.0}},
                "confusions": [["M", "N", 1]],
            })
        );
    }
}

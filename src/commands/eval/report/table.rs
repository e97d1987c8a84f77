//! A report as people read it.

use std::fmt::{self, Write as _};

use super::{Doubt, Report, Share, percent};

/// Confusions that are printed for people.
const SHOWN_CONFUSIONS: usize = 12;

/// Letters in a row of those that are printed for people.
const LETTERS_A_ROW: usize = 5;

/// Doubtful labels that are printed for people.
const SHOWN_DOUBTS: usize = 30;

impl Report {
    /// The report for people where no class is a letter.
    pub(in crate::commands::eval) fn table_of_classes(&self) -> String {
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
    pub(in crate::commands::eval) fn table(&self) -> String {
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

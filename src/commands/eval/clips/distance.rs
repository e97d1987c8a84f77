//! How far what was typed is from what was spelled.

use super::Outcome;
use crate::source::clips::Clip;

/// Stands for any letter in a clip's text.
const ANY: char = '?';

/// Whether just the clip's letters were typed.
pub(super) fn is_exact(clip: &Clip, outcome: &Outcome) -> bool {
    distance(&clip.text, &outcome.text) == 0
}

/// Edit distance by letters of the clip, at most 1.
pub(super) fn error_rate(clip: &Clip, outcome: &Outcome) -> f64 {
    let letters = clip.text.chars().count().max(1);
    (distance(&clip.text, &outcome.text) as f64 / letters as f64).min(1.0)
}

/// The least number of letters to add, leave out and replace (Levenshtein) to make `typed` what is
/// `wanted`, in which [`ANY`] is any letter.
fn distance(wanted: &str, typed: &str) -> usize {
    let typed: Vec<char> = typed.chars().collect();
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for wanted in wanted.chars() {
        let mut diagonal = row[0];
        row[0] += 1;
        for (at, &typed) in typed.iter().enumerate() {
            let same = wanted == typed || wanted == ANY;
            let replaced = diagonal + usize::from(!same);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

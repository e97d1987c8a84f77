//! Words that a text may go on with, from a list that the user names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::sequence::decoder::Expectation;

/// The largest list that is read, in bytes: more than a million words.
const LARGEST: u64 = 16 << 20;

/// How many words are suggested.
const SUGGESTED: usize = 3;

/// A list of words, the most frequent first, and those that fit what was last asked for.
#[derive(Debug, Clone, Default)]
pub struct Words {
    words: Vec<String>,
    beginning: String,
    /// Places in the list.
    suggested: Vec<usize>,
}

impl Words {
    /// Reads a list in UTF-8, a word a line; what follows the word on its line is left out.
    ///
    /// # Errors
    /// When the file cannot be read, is no text or is too large, or has no words.
    pub fn load(path: &Path) -> Result<Words> {
        let shown = path.display();
        let reading = || format!("cannot read the word list {shown}");
        let mut text = String::new();
        let file = File::open(path).with_context(reading)?;
        // A pipe tells no size: what is too large is noticed by reading one byte more.
        let read = file.take(LARGEST + 1).read_to_string(&mut text);
        let bytes = read.with_context(reading)? as u64;
        ensure!(
            bytes <= LARGEST,
            "the word list {shown} is larger than {} MiB: give its most frequent words only",
            LARGEST >> 20
        );
        let words = Words::new(text.trim_start_matches('\u{feff}'));
        ensure!(
            !words.words.is_empty(),
            "there is no word in the word list {shown}: it holds one word a line"
        );
        Ok(words)
    }

    /// The words of a text, one a line.
    fn new(text: &str) -> Words {
        let words = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        Words {
            words: words.map(str::to_uppercase).collect(),
            ..Words::default()
        }
    }

    /// The most frequent words that begin so and are longer, in capitals; none for no beginning.
    pub fn suggest(&mut self, beginning: &str) -> impl Iterator<Item = &str> {
        let beginning = beginning.to_uppercase();
        if beginning != self.beginning {
            self.suggested.clear();
            let longer = |word: &str| word.len() > beginning.len() && word.starts_with(&beginning);
            if !beginning.is_empty() {
                let found = (self.words.iter().enumerate()).filter(|(_, word)| longer(word));
                self.suggested
                    .extend(found.map(|(at, _)| at).take(SUGGESTED));
            }
            self.beginning = beginning;
        }
        let words = &self.words;
        (self.suggested.iter()).filter_map(|&at| words.get(at).map(String::as_str))
    }
}

/// How many letters there are to choose from, about.
const CHOICE: f32 = 26.0;

/// Share of what is spelled that no list has: names.
const UNLISTED: f32 = 0.3;

/// What an expectation weighs against what is seen.
const WEIGHT: f32 = 0.5;

/// How likely letters follow others in the words of a list, the first of which are the most frequent
/// (by Zipf's law). A word that is not listed can still be spelled.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// In alphabetical order.
    words: Vec<String>,
    /// Weight of all words before each, and of all.
    sums: Vec<f32>,
}

impl Expected {
    /// What the words of this list make likely.
    pub fn new(words: &Words) -> Expected {
        let ranked = words.words.iter().enumerate();
        let mut ranked: Vec<(&String, f32)> = ranked
            .map(|(rank, word)| (word, 1.0 / (rank + 10) as f32))
            .collect();
        ranked.sort_by_key(|(word, _)| *word);
        let mut sum = 0.0;
        let mut sums = vec![0.0];
        sums.extend(ranked.iter().map(|(_, weight)| {
            sum += weight;
            sum
        }));
        Expected {
            words: ranked.into_iter().map(|(word, _)| word.clone()).collect(),
            sums,
        }
    }

    /// Weight of the words that begin so.
    fn weight(&self, beginning: &str) -> f32 {
        let from = self.words.partition_point(|word| word.as_str() < beginning);
        let words = self.words.get(from..).unwrap_or_default();
        let count = words.partition_point(|word| word.starts_with(beginning));
        let sum = |at: usize| self.sums.get(at).copied().unwrap_or_default();
        sum(from + count) - sum(from)
    }
}

/// What a list makes of a network's letters; nothing without a list.
#[derive(Debug, Clone, Copy)]
pub struct InWord<'a> {
    /// The list.
    pub expected: Option<&'a Expected>,
    /// The network's letters.
    pub letters: &'a [std::sync::Arc<str>],
}

impl Expectation for InWord<'_> {
    fn expect(&self, typed: &[usize], letter: usize) -> f32 {
        let (Some(expected), Some(letter)) = (self.expected, self.letters.get(letter)) else {
            return 0.0;
        };
        let typed = typed.iter().filter_map(|&at| self.letters.get(at));
        let mut beginning: String = typed.map(|letter| &**letter).collect();
        let before = expected.weight(&beginning);
        if before <= 0.0 {
            return 0.0;
        }
        beginning.push_str(letter);
        let share = expected.weight(&beginning) / before;
        WEIGHT * ((1.0 - UNLISTED) * share * CHOICE + UNLISTED).ln()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn words_are_suggested_by_their_beginning_in_the_order_of_the_list() {
        let mut words = Words::new("the 100\nhello\r\nhe\n\nHelp\nhelm\nheld\nÜber");
        let mut suggest = |beginning: &str| -> Vec<String> {
            words.suggest(beginning).map(String::from).collect()
        };
        assert_eq!(suggest("HE"), ["HELLO", "HELP", "HELM"]);
        assert_eq!(suggest("HELL"), ["HELLO"]);
        assert_eq!(suggest("T"), ["THE"]);
        assert_eq!(suggest("ü"), ["ÜBER"]);
        assert!(suggest("HELLO").is_empty() && suggest("").is_empty() && suggest("Q").is_empty());
    }

    #[test]
    fn letters_that_words_go_on_with_are_expected_and_names_are_left_possible() {
        let expected = Expected::new(&Words::new("HELLO\nHELP\nWORLD"));
        let letters = ["H", "E", "L", "P", "X"].map(std::sync::Arc::from);
        let word = InWord {
            expected: Some(&expected),
            letters: &letters,
        };
        let next = |letter| word.expect(&[0, 1, 2], letter);
        assert!(next(3) > 0.5 && next(2) > next(3), "HELLO comes first");
        assert!(next(4) < 0.0 && next(4) > -1.0);
        assert_eq!(word.expect(&[4, 4], 0), 0.0, "no word begins with XX");
    }

    #[test]
    fn a_list_that_cannot_be_used_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt");
        let refused = |content: &[u8], part: &str| {
            fs::write(&path, content).unwrap();
            let error = format!("{:#}", Words::load(&path).unwrap_err());
            assert!(
                error.contains("words.txt") && error.contains(part),
                "{error}"
            );
        };
        refused(b"\xff\xfe\x00w", "UTF-8");
        refused(b"\n \n", "no word");
        refused(&vec![b'a'; LARGEST as usize + 2], "larger than");
        let error = Words::load(&folder.path().join("none")).unwrap_err();
        assert!(format!("{error:#}").contains("none"));
        fs::write(&path, "\u{feff}word\n").unwrap();
        let mut words = Words::load(&path).unwrap();
        assert_eq!(words.suggest("W").collect::<Vec<_>>(), ["WORD"]);
    }
}

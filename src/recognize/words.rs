//! Words that a text may go on with, from a list that the user names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

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

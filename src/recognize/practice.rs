//! A word to practise: its letters are asked for one by one.
//!
//! A letter counts once the speller types it, so that it must be held, and let go before it comes
//! again, as in spelling.

use std::str::FromStr;
use std::sync::Arc;

use super::speller::{Change, Typed};

/// A word to practise, and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practice {
    letters: Arc<[Arc<str>]>,
    /// How many of them were signed.
    signed: usize,
    /// Whether the letter that is asked for was named in a [`Step`].
    named: bool,
}

/// What became of a practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This letter is asked for.
    Ask(Arc<str>),
    /// This letter was asked for and signed.
    Signed(Arc<str>),
    /// That was the last one.
    Done,
}

impl FromStr for Practice {
    type Err = String;

    /// Asks for the letters of a word in capitals.
    fn from_str(word: &str) -> Result<Self, String> {
        let letters: Vec<Arc<str>> = word
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .map(|letter| letter.to_uppercase().to_string().into())
            .collect();
        match letters.is_empty() {
            true => Err("there is no letter to practise".into()),
            false => Ok(Practice {
                letters: letters.into(),
                signed: 0,
                named: false,
            }),
        }
    }
}

impl Practice {
    /// The word's letters.
    pub fn letters(&self) -> &[Arc<str>] {
        &self.letters
    }

    /// How many of them were signed.
    pub fn signed(&self) -> usize {
        self.signed
    }

    /// The letter that is asked for; `None` once all are signed.
    pub fn asked(&self) -> Option<&Arc<str>> {
        self.letters.get(self.signed)
    }

    /// Takes what a reading changed in the text, which may be nothing: the first time it asks for
    /// the first letter.
    pub fn read(&mut self, changes: &[Typed]) -> Vec<Step> {
        let mut steps = Vec::new();
        self.name(&mut steps);
        for typed in changes {
            let Change::Letter(letter) = &typed.change else {
                continue;
            };
            if self.asked() == Some(letter) {
                steps.push(Step::Signed(Arc::clone(letter)));
                self.signed += 1;
                self.named = false;
                self.name(&mut steps);
            }
        }
        steps
    }

    fn name(&mut self, steps: &mut Vec<Step>) {
        if !self.named {
            self.named = true;
            steps.push(match self.asked() {
                Some(letter) => Step::Ask(Arc::clone(letter)),
                None => Step::Done,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(letter: &str) -> [Typed; 1] {
        [Typed {
            change: Change::Letter(letter.into()),
            text: letter.into(),
        }]
    }

    fn ask(letter: &str) -> Step {
        Step::Ask(letter.into())
    }

    fn signed(letter: &str) -> Step {
        Step::Signed(letter.into())
    }

    #[test]
    fn letters_are_asked_for_in_order_and_others_change_nothing() {
        let mut practice: Practice = "bo b".parse().unwrap();
        assert_eq!(practice.read(&[]), [ask("B")]);
        assert!(practice.read(&[]).is_empty(), "asked once");
        assert!(practice.read(&typed("O")).is_empty());
        assert_eq!(practice.read(&typed("B")), [signed("B"), ask("O")]);
        assert_eq!(practice.read(&typed("O")), [signed("O"), ask("B")]);
        assert_eq!(practice.read(&typed("B")), [signed("B"), Step::Done]);
        assert_eq!((practice.asked(), practice.signed()), (None, 3));
        assert!(practice.read(&typed("B")).is_empty());
    }

    #[test]
    fn a_word_without_letters_cannot_be_practised() {
        assert!(" ".parse::<Practice>().is_err());
    }
}

//! What was spelled, on the screen and under the keys.

use anyhow::{Context, Result};

use super::readings::SharedSpeller;
use crate::overlay::Spelled;
use crate::recognize::words::Words;
use crate::sink::screen::Action;

/// Puts a text on the desktop's clipboard.
pub type Copy = Box<dyn FnMut(&str) -> Result<()>>;

/// The text as the person before the screen sees and changes it.
pub struct Writing {
    speller: SharedSpeller,
    words: Words,
    copy: Option<Copy>,
    /// What is shown: a copy, so that the speller waits for no picture.
    text: String,
    open: usize,
    pending: Option<(String, f32)>,
    suggested: Vec<String>,
}

impl Writing {
    /// Shows what `speller` writes, with words to choose from.
    pub fn new(speller: SharedSpeller, words: Words, copy: Option<Copy>) -> Writing {
        Writing {
            speller,
            words,
            copy,
            text: String::new(),
            open: 0,
            pending: None,
            suggested: Vec::new(),
        }
    }

    /// What is to be shown now.
    pub fn spelled(&mut self) -> Spelled<'_> {
        let speller = self.speller.lock();
        self.text.clear();
        self.text.push_str(speller.text());
        self.open = speller.open();
        let pending = speller.pending();
        self.pending = pending.map(|(letter, part)| (letter.to_owned(), part));
        self.suggested.clear();
        let suggested = self.words.suggest(speller.word()).map(String::from);
        self.suggested.extend(suggested);
        Spelled {
            text: &self.text,
            open: self.open,
            pending: (self.pending.as_ref()).map(|(letter, part)| (letter.as_str(), *part)),
            words: &self.suggested,
        }
    }

    /// Does what a key asks for, and says what the screen does not show anyway.
    pub fn answer(&mut self, action: Action) -> Option<String> {
        let mut speller = self.speller.lock();
        match action {
            Action::Space => speller.space(),
            Action::Delete => speller.delete(),
            Action::Clear => speller.clear(),
            Action::Complete => {
                let word = self.words.suggest(speller.word()).next().map(String::from);
                if let Some(word) = word {
                    speller.complete(&word);
                }
            }
            Action::Copy => {
                let text = speller.text().trim().to_owned();
                drop(speller);
                return Some(self.copy(&text));
            }
            _ => {}
        }
        None
    }

    fn copy(&mut self, text: &str) -> String {
        if text.is_empty() {
            return "There is nothing to copy yet.".into();
        }
        let copied = (self.copy.as_mut())
            .context("this screen has no clipboard")
            .and_then(|copy| copy(text));
        match copied {
            Ok(()) => format!("Copied: {text}"),
            Err(error) => format!("Not copied: {error:#}"),
        }
    }
}

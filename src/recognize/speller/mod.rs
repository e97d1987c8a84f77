//! From the letters that are shown to text.
//!
//! A letter that is held is typed once. It is typed again when it was let go in between: another
//! shape, no letter or no hand for a moment; or when the hand slid aside or bounced. A hand out of
//! view for longer ends a word. How long a letter must be held follows the signer's rhythm: whoever
//! spells faster waits less.
//!
//! Where a network reads sequences, what is typed follows its steps instead: the likeliest letters are
//! typed at once, and those of the last moment may still change. A dwell of one's own brings holding
//! back.
//!
//! Nothing here looks at a clock: time comes with the readings.

mod rhythm;

use std::sync::Arc;
use std::time::Duration;

use rhythm::Rhythm;

use super::Reading;
use super::motion::{self, Movement};
use super::sequence::Steps;
use super::sequence::decoder::{Decoder, SETTLING};
use super::words::{Expected, InWord};
use crate::model::NOTHING;

/// When letters are typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spelling {
    /// For how long a letter is held before it is typed; `None` follows the signer's rhythm.
    pub dwell: Option<Duration>,
    /// A letter has been let go once no letter was shown for so long.
    pub release: Duration,
    /// A letter has been let go once another one was shown for so long: longer than letters that
    /// look alike are mistaken for each other.
    pub other: Duration,
    /// A letter that is lost for no longer than this goes on where it was.
    pub grace: Duration,
    /// Without a hand for so long, the word has ended. A hand in view that signs nothing takes
    /// twice as long.
    pub pause: Duration,
    /// Readings further apart than this do not belong together.
    pub gap: Duration,
}

impl Spelling {
    /// For a camera.
    pub const DEFAULT: Spelling = Spelling {
        dwell: None,
        release: Duration::from_millis(200),
        other: Duration::from_millis(300),
        grace: Duration::from_millis(100),
        pause: Duration::from_millis(1200),
        gap: Duration::from_millis(500),
    };
}

/// Text keeps its last so many characters.
const MOST_TEXT: usize = 2000;

/// Classes by these names write a space or delete, instead of being typed.
const SPACE: &str = "space";
const DELETE: [&str; 2] = ["del", "delete"];

/// What happened to the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This letter was typed.
    Letter(Arc<str>),
    /// A word has ended.
    Space,
    /// The last character was deleted.
    Delete,
}

/// A change with the text it led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// What happened.
    pub change: Change,
    /// The text since then.
    pub text: String,
}

/// Turns readings into text.
#[derive(Debug, Clone)]
pub struct Speller {
    spelling: Spelling,
    text: String,
    /// The last reading's media time.
    time: Option<Duration>,
    /// The letter that is shown.
    hold: Option<Hold>,
    /// The one shown before, for as long as it may come back.
    before: Option<(Hold, Duration)>,
    /// The letter typed last, until it is let go.
    latched: Option<Latch>,
    /// Makes letters of the steps of a network that reads sequences.
    decoder: Decoder,
    /// What a list of words makes likely.
    expected: Option<Arc<Expected>>,
    /// The text's last letters, which may still change.
    open: Vec<Arc<str>>,
    /// The text's last letter, and until which media time it was shown without being let go.
    newest: Option<(Arc<str>, Duration)>,
    /// For how long no hand was seen; one that signs nothing counts half.
    absent: Duration,
    rhythm: Rhythm,
}

/// A letter that is shown.
#[derive(Debug, Clone)]
struct Hold {
    letter: Arc<str>,
    held: Duration,
}

/// A letter that was typed and is not let go.
#[derive(Debug, Clone)]
struct Latch {
    letter: Arc<str>,
    /// How far it is let go, 0 to 1.
    gone: f32,
}

impl Speller {
    /// A speller that has written nothing.
    pub fn new(spelling: Spelling) -> Self {
        Speller {
            spelling,
            text: String::new(),
            time: None,
            hold: None,
            before: None,
            latched: None,
            decoder: Decoder::default(),
            expected: None,
            open: Vec::new(),
            newest: None,
            absent: Duration::ZERO,
            rhythm: Rhythm::default(),
        }
    }

    /// Prefers letters that words of a list go on with, where what is seen leaves a doubt.
    pub fn expecting(self, expected: Expected) -> Self {
        Speller {
            expected: Some(Arc::new(expected)),
            ..self
        }
    }

    /// What was spelled so far: its last 2,000 characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The letter that is being held and not typed yet, and how much of its time has passed, 0 to 1.
    pub fn pending(&self) -> Option<(&str, f32)> {
        let hold = self.hold.as_ref().filter(|hold| !self.is_latched(hold))?;
        let part = hold.held.as_secs_f32() / self.dwell().as_secs_f32().max(f32::MIN_POSITIVE);
        Some((&hold.letter, part.min(1.0)))
    }

    /// For how long a letter is held before it is typed, at the moment.
    pub fn dwell(&self) -> Duration {
        self.spelling.dwell.unwrap_or_else(|| self.rhythm.dwell())
    }

    /// Takes a reading in, later than the last one, and says what it changed, in order.
    pub fn read(&mut self, reading: &Reading) -> Vec<Typed> {
        let elapsed = self.time.and_then(|last| reading.time.checked_sub(last));
        self.time = Some(reading.time);
        let elapsed = match elapsed {
            Some(elapsed) if elapsed <= self.spelling.gap => elapsed,
            _ => {
                self.hold = None;
                self.before = None;
                Duration::ZERO
            }
        };
        // Whoever says how long a letter is held types by holding.
        if let (Some(steps), None) = (&reading.steps, self.spelling.dwell) {
            let mut changes = self.spell(steps, reading.time);
            self.rest(reading, elapsed, &mut changes);
            return changes;
        }
        let mut changes = Vec::new();
        self.follow(reading.letter.as_ref(), reading.movement, elapsed);
        self.let_go(reading.letter.as_ref(), elapsed);
        self.rest(reading, elapsed, &mut changes);
        match (&reading.letter, reading.movement) {
            (Some(letter), Movement::Drawn { since }) => {
                self.draw(letter, since, reading.time, &mut changes);
            }
            (Some(letter), Movement::Repeated) => {
                let latch = self.latched.take_if(|latch| latch.letter == *letter);
                if let Some(latch) = latch {
                    self.write(latch.letter, reading.time, &mut changes);
                }
            }
            _ => self.dwell_on(reading.time, &mut changes),
        }
        if let (Some((newest, shown)), Some(latch)) = (&mut self.newest, &self.latched)
            && *newest == latch.letter
            && latch.gone == 0.0
        {
            *shown = reading.time;
        }
        changes
    }

    /// Takes steps in that a network read up to media time `time`, and says what they changed, in order.
    pub fn spell(&mut self, steps: &Steps, time: Duration) -> Vec<Typed> {
        let mut changes = Vec::new();
        for said in &steps.said {
            if said.fresh {
                self.settle();
                self.decoder = Decoder::default();
            }
            let word = InWord {
                expected: self.expected.as_deref(),
                letters: &steps.letters,
            };
            self.decoder.step(said, &word);
        }
        let letters = self.decoder.open().iter();
        let open: Vec<Arc<str>> = letters
            .filter_map(|mark| steps.letters.get(mark.letter).map(Arc::clone))
            .collect();
        let both = self.open.iter().zip(&open);
        let same = both.take_while(|(before, now)| before == now).count();
        for letter in self.open.drain(same..).rev() {
            self.text
                .truncate(self.text.len() - letter.len().min(self.text.len()));
            changes.push(Typed {
                change: Change::Delete,
                text: self.text.clone(),
            });
        }
        for letter in open.get(same..).unwrap_or_default() {
            self.push(letter);
            self.note(Change::Letter(Arc::clone(letter)), &mut changes);
        }
        self.open = open;
        let settled = self.decoder.settle(time.saturating_sub(SETTLING));
        self.open.drain(..settled.min(self.open.len()));
        changes
    }

    /// The part of the text that may still change: its last so many bytes.
    pub fn open(&self) -> usize {
        let open: usize = self.open.iter().map(|letter| letter.len()).sum();
        open.min(self.text.len())
    }

    /// Lets no letter change any more.
    fn settle(&mut self) {
        self.decoder.settle(Duration::MAX);
        self.open.clear();
    }

    /// Writes a space, unless the text ends in one or there is none.
    pub fn space(&mut self) {
        self.settle();
        self.decoder.end_word();
        if self.ends_in_word() {
            self.push(" ");
        }
    }

    /// Deletes the last character.
    pub fn delete(&mut self) {
        self.settle();
        self.text.pop();
        self.newest = None;
    }

    /// Deletes everything.
    pub fn clear(&mut self) {
        self.settle();
        self.text.clear();
        self.newest = None;
    }

    /// The letters of the word that is being spelled.
    pub fn word(&self) -> &str {
        let start = self.text.rfind(' ').map_or(0, |at| at + 1);
        self.text.get(start..).unwrap_or_default()
    }

    /// Puts `word` in the place of the one that is being spelled, and ends it. A letter that is
    /// being held belonged to it.
    pub fn complete(&mut self, word: &str) {
        self.settle();
        self.latched = self.hold.as_ref().map(|hold| Latch {
            letter: Arc::clone(&hold.letter),
            gone: 0.0,
        });
        self.text.truncate(self.text.len() - self.word().len());
        self.newest = None;
        self.push(word);
        self.space();
    }

    /// Holds the letter that is shown on, or begins with another one.
    fn follow(&mut self, letter: Option<&Arc<str>>, movement: Movement, elapsed: Duration) {
        if let Some((_, lost)) = &mut self.before {
            *lost += elapsed;
        }
        let grace = self.spelling.grace;
        self.before.take_if(|(_, lost)| *lost > grace);
        match (&mut self.hold, letter) {
            (Some(hold), Some(letter)) if hold.letter == *letter => {
                // A hand that may be drawing a letter holds none.
                if movement != Movement::UnderWay {
                    hold.held += elapsed;
                }
            }
            (hold, letter) => {
                let next = letter.map(|letter| match self.before.take() {
                    Some((before, _)) if before.letter == *letter => before,
                    other => {
                        self.before = other;
                        Hold {
                            letter: Arc::clone(letter),
                            held: Duration::ZERO,
                        }
                    }
                });
                if let Some(hold) = std::mem::replace(hold, next) {
                    self.before = Some((hold, Duration::ZERO));
                }
            }
        }
    }

    /// Lets the letter that was typed last go, step by step, while it is not shown.
    fn let_go(&mut self, letter: Option<&Arc<str>>, elapsed: Duration) {
        let Some(latch) = &mut self.latched else {
            return;
        };
        let needed = match letter {
            Some(letter) if *letter == latch.letter => {
                latch.gone = 0.0;
                return;
            }
            Some(_) => self.spelling.other,
            None => self.spelling.release,
        };
        latch.gone += elapsed.as_secs_f32() / needed.as_secs_f32().max(f32::MIN_POSITIVE);
        self.latched.take_if(|latch| latch.gone >= 1.0);
    }

    /// Ends the word of a hand that rests.
    fn rest(&mut self, reading: &Reading, elapsed: Duration, changes: &mut Vec<Typed>) {
        let nothing = reading.letter.is_none()
            && (reading.top.first()).is_none_or(|(label, _)| &**label == NOTHING);
        if !nothing {
            self.absent = Duration::ZERO;
            return;
        }
        self.absent += match reading.hand {
            None => elapsed,
            Some(_) => elapsed / 2,
        };
        if self.absent >= self.spelling.pause && self.ends_in_word() {
            self.space();
            self.note(Change::Space, changes);
        }
    }

    fn ends_in_word(&self) -> bool {
        !self.text.is_empty() && !self.text.ends_with(' ')
    }

    /// Types a letter whose movement, begun at `since`, was just completed. The still letter that
    /// was held into the movement was only its beginning, if it was typed.
    fn draw(
        &mut self,
        letter: &Arc<str>,
        since: Duration,
        time: Duration,
        changes: &mut Vec<Typed>,
    ) {
        let beginning = self.newest.take_if(|(still, shown)| {
            motion::begins(still, letter) && *shown + self.spelling.release >= since
        });
        if let Some((still, _)) = beginning
            && self.text.ends_with(&*still)
        {
            self.text.truncate(self.text.len() - still.len());
            self.note(Change::Delete, changes);
        }
        self.before = None;
        self.write(Arc::clone(letter), time, changes);
    }

    /// Types the letter that was held for long enough.
    fn dwell_on(&mut self, time: Duration, changes: &mut Vec<Typed>) {
        let dwell = self.dwell();
        let ready =
            (self.hold.as_ref()).filter(|hold| hold.held >= dwell && !self.is_latched(hold));
        if let Some(letter) = ready.map(|hold| Arc::clone(&hold.letter)) {
            self.write(letter, time, changes);
        }
    }

    fn is_latched(&self, hold: &Hold) -> bool {
        (self.latched.as_ref()).is_some_and(|latch| latch.letter == hold.letter)
    }

    /// Types a letter, or does what a class by this name stands for.
    fn write(&mut self, letter: Arc<str>, time: Duration, changes: &mut Vec<Typed>) {
        self.latched = Some(Latch {
            letter: Arc::clone(&letter),
            gone: 0.0,
        });
        let name = letter.to_ascii_lowercase();
        if name == SPACE {
            if self.ends_in_word() {
                self.space();
                self.note(Change::Space, changes);
            }
        } else if DELETE.contains(&&*name) {
            if !self.text.is_empty() {
                self.delete();
                self.note(Change::Delete, changes);
            }
        } else {
            self.rhythm.beat(time);
            self.push(&letter);
            self.newest = Some((Arc::clone(&letter), time));
            self.note(Change::Letter(letter), changes);
        }
    }

    /// Adds to the text; what was typed last is not the last letter any more.
    fn push(&mut self, what: &str) {
        self.newest = None;
        self.text.push_str(what);
        let surplus = self.text.chars().count().saturating_sub(MOST_TEXT);
        if let Some((at, _)) = self.text.char_indices().nth(surplus)
            && surplus > 0
        {
            self.text.drain(..at);
        }
    }

    fn note(&self, change: Change, changes: &mut Vec<Typed>) {
        changes.push(Typed {
            change,
            text: self.text.clone(),
        });
    }
}

#[cfg(test)]
mod tests;

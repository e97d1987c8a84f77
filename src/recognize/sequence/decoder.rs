//! From steps to letters: the likeliest text so far, of which the end may still change.
//!
//! A beam search over texts (Hannun et al. 2014): the likelihood of a text is that of all ways to
//! lay its letters over the steps, a letter twice in a row needing a step without one between.

use std::time::Duration;

use super::Said;
use super::holding::Held;

/// Texts that are kept.
const BEAMS: usize = 8;

/// Letters less likely than this at a step begin no text, as a logarithm.
const LEAST: f32 = -5.0;

/// A letter may be typed so long before the letter network is sure of it.
const EARLY: Duration = Duration::from_millis(400);

/// What a letter costs that begins a word, as a logarithm: of hands that spell nothing, single shapes
/// look like letters, and seldom two in a row.
const ONSET: f32 = 3.0;

/// Letters further apart than this do not go on with each other's word.
const APART: Duration = Duration::from_millis(1500);

/// What counts for a letter that is plainly held: more than any letter that is begun, and than what it
/// costs to begin a word, as a logarithm.
const PLAIN: f32 = 2.0 * ONSET;

/// A letter that was typed before this much time is settled.
pub const SETTLING: Duration = Duration::from_millis(600);

/// A letter of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Its place among the letters.
    pub letter: usize,
    /// Media time of the step with which it begins.
    pub time: Duration,
}

/// How likely a letter is to follow others, as a logarithm to be added: 0 where nothing is known.
pub trait Expectation {
    /// What `letter` adds behind the letters `typed` of the word that is being spelled.
    fn expect(&self, typed: &[usize], letter: usize) -> f32;
}

/// Keeps the likeliest texts.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// The likeliest first.
    beams: Vec<Beam>,
    /// The last letter that is settled: all texts begin with it.
    last: Option<Mark>,
    /// The settled letters of the word that is being spelled.
    word: Vec<usize>,
}

/// A text behind the settled one, with logarithms of its likelihood.
#[derive(Debug, Clone)]
struct Beam {
    marks: Vec<Mark>,
    /// Of the ways that end in no letter.
    none: f32,
    /// Of the ways that end in its last letter.
    held: f32,
    /// What was expected of it, less what its words' beginnings cost.
    expected: f32,
}

impl Beam {
    fn likelihood(&self) -> f32 {
        sum(self.none, self.held) + self.expected
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            beams: vec![Beam {
                marks: Vec::new(),
                none: 0.0,
                held: f32::NEG_INFINITY,
                expected: 0.0,
            }],
            last: None,
            word: Vec::new(),
        }
    }
}

impl Decoder {
    /// Takes a step in.
    pub fn step(&mut self, said: &Said, expectation: &impl Expectation) {
        let meant = said.held.filter(|held| self.lacks(held, self.open()));
        let Some((&none, letters)) = said.logs.split_first() else {
            return;
        };
        let mut next: Vec<Beam> = Vec::with_capacity(4 * BEAMS);
        for beam in &self.beams {
            // Texts that have the letter already are as good an answer to its being held.
            let lacking = meant.filter(|held| self.lacks(held, &beam.marks));
            let none = match meant {
                Some(_) if lacking.is_none() => PLAIN,
                _ => none,
            };
            let last = beam.marks.last().or(self.last.as_ref());
            let goes_on = last.is_some_and(|mark| said.time.saturating_sub(mark.time) <= APART);
            let cost = if goes_on { 0.0 } else { ONSET };
            let last = last.map(|mark| mark.letter);
            let whole = sum(beam.none, beam.held);
            let repeated = last.and_then(|last| letters.get(last));
            let held = repeated.map_or(f32::NEG_INFINITY, |&log| beam.held + log);
            add(
                &mut next,
                &beam.marks,
                None,
                whole + none,
                held,
                beam.expected,
            );
            let letters = letters.iter().enumerate().map(|(letter, &log)| {
                let held = lacking.is_some_and(|held| held.still.letter == letter);
                (letter, if held { PLAIN } else { log })
            });
            for (letter, log) in letters.filter(|(_, log)| *log > LEAST) {
                let before = if last == Some(letter) {
                    beam.none
                } else {
                    whole
                };
                if before + log == f32::NEG_INFINITY {
                    continue;
                }
                let typed: Vec<usize> = (self.word.iter().copied())
                    .chain(beam.marks.iter().map(|mark| mark.letter))
                    .collect();
                let expected = beam.expected + expectation.expect(&typed, letter) - cost;
                let mark = Mark {
                    letter,
                    time: said.time,
                };
                let lost = f32::NEG_INFINITY;
                add(
                    &mut next,
                    &beam.marks,
                    Some(mark),
                    lost,
                    before + log,
                    expected,
                );
            }
        }
        next.sort_by(|a, b| b.likelihood().total_cmp(&a.likelihood()));
        next.truncate(BEAMS);
        // Kept near zero, so that no likelihood runs out of what a number holds.
        if let Some(most) = next.first().map(|beam| sum(beam.none, beam.held)) {
            for beam in &mut next {
                beam.none -= most;
                beam.held -= most;
            }
        }
        self.beams = next;
    }

    /// Whether a letter that is held is not in the text with these open letters: it did not begin since
    /// the hand took its shape, and is not how a letter that was drawn ends.
    fn lacks(&self, held: &Held, open: &[Mark]) -> bool {
        let mut marks = self.last.iter().chain(open);
        let newest = marks.clone().next_back().map(|mark| mark.letter);
        if newest.is_some() && newest == held.still.drawn {
            return false;
        }
        let since = held.since.saturating_sub(EARLY);
        !marks.any(|mark| mark.letter == held.still.letter && mark.time >= since)
    }

    /// The likeliest letters behind the settled ones.
    pub fn open(&self) -> &[Mark] {
        self.beams.first().map_or(&[], |beam| &beam.marks)
    }

    /// Settles the likeliest text's letters that began before `time`, and says how many.
    pub fn settle(&mut self, time: Duration) -> usize {
        let open = self.open();
        let count = open.iter().take_while(|mark| mark.time < time).count();
        if count > 0 {
            let last = open[count - 1];
            let settled: Vec<usize> = open[..count].iter().map(|mark| mark.letter).collect();
            self.beams.retain(|beam| {
                let letters = beam.marks.iter().map(|mark| mark.letter);
                letters.take(count).eq(settled.iter().copied())
            });
            for beam in &mut self.beams {
                beam.marks.drain(..count);
            }
            self.last = Some(last);
            self.word.extend(settled);
        }
        count
    }

    /// Begins another word: what is expected does not reach back beyond here.
    pub fn end_word(&mut self) {
        self.word.clear();
    }
}

/// Adds a way to lay out the text of `marks` and `more` to those that are known.
fn add(
    beams: &mut Vec<Beam>,
    marks: &[Mark],
    more: Option<Mark>,
    none: f32,
    held: f32,
    expected: f32,
) {
    let text = || marks.iter().chain(&more).map(|mark| mark.letter);
    let known =
        (beams.iter_mut()).find(|beam| beam.marks.iter().map(|mark| mark.letter).eq(text()));
    match known {
        Some(beam) => {
            beam.none = sum(beam.none, none);
            beam.held = sum(beam.held, held);
        }
        None => beams.push(Beam {
            marks: marks.iter().copied().chain(more).collect(),
            none,
            held,
            expected,
        }),
    }
}

/// The logarithm of the sum of two numbers of which logarithms are given.
fn sum(a: f32, b: f32) -> f32 {
    let (most, least) = if a > b { (a, b) } else { (b, a) };
    match most == f32::NEG_INFINITY {
        true => most,
        false => most + (least - most).exp().ln_1p(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::holding::Still;
    use super::*;

    /// Every letter is as likely as any other.
    struct NoExpectation;

    impl Expectation for NoExpectation {
        fn expect(&self, _: &[usize], _: usize) -> f32 {
            0.0
        }
    }

    /// After an `a` comes a `b`.
    struct Familiar;

    impl Expectation for Familiar {
        fn expect(&self, typed: &[usize], letter: usize) -> f32 {
            match (typed, letter) {
                ([.., 0], 1) => 1.5,
                _ => 0.0,
            }
        }
    }

    /// Steps in which these are likely: `.` no letter, `a` to `c` letters, `?` b or c.
    fn decoded(steps: &str) -> String {
        decoded_as(steps, &NoExpectation)
    }

    fn decoded_as(steps: &str, expectation: &impl Expectation) -> String {
        let mut decoder = Decoder::default();
        let mut text = String::new();
        let mut settle = |decoder: &mut Decoder, time| {
            let open: Vec<_> = decoder.open().iter().map(|mark| mark.letter).collect();
            for letter in &open[..decoder.settle(time)] {
                text.push(char::from(b'a' + *letter as u8));
            }
        };
        for (at, step) in steps.chars().enumerate() {
            let likely: [f32; 4] = match step {
                '.' => [0.997, 0.001, 0.001, 0.001],
                'a' => [0.01, 0.97, 0.01, 0.01],
                'b' => [0.01, 0.01, 0.97, 0.01],
                'c' => [0.01, 0.01, 0.01, 0.97],
                _ => [0.06, 0.01, 0.45, 0.48],
            };
            let time = Duration::from_millis(67 * at as u64);
            let said = Said {
                time,
                fresh: false,
                logs: likely.map(f32::ln).to_vec(),
                held: None,
            };
            decoder.step(&said, expectation);
            settle(&mut decoder, time.saturating_sub(SETTLING));
        }
        settle(&mut decoder, Duration::MAX);
        text
    }

    #[test]
    fn letters_are_told_apart_and_doubled_by_a_step_without_one() {
        assert_eq!(decoded("..aa..bb.b..."), "abb");
        assert_eq!(decoded("abccc"), "abc");
        assert_eq!(decoded("......"), "");
        assert_eq!(decoded("a.................a"), "aa");
        assert_eq!(
            decoded("aaaaaaaaaaaaaaaaaaa"),
            "a",
            "held on past its settling"
        );
    }

    #[test]
    fn what_is_expected_decides_what_is_doubtful_and_nothing_else() {
        assert_eq!(decoded("a.?."), "ac");
        assert_eq!(decoded_as("a.?.", &Familiar), "ab");
        assert_eq!(decoded_as("a.c.", &Familiar), "ac");
    }

    fn held(letter: usize, drawn: Option<usize>, since_ms: u64) -> Held {
        Held {
            still: Still { letter, drawn },
            since: Duration::from_millis(since_ms),
        }
    }

    #[test]
    fn a_letter_held_plainly_is_typed_once_whatever_the_network_thinks() {
        let mut decoder = Decoder::default();
        let first = held(1, Some(2), 1000);
        let mut step = |millis: u64, held| {
            let said = Said {
                time: Duration::from_millis(millis),
                fresh: false,
                logs: [0.97f32, 0.01, 0.01, 0.01].map(f32::ln).to_vec(),
                held,
            };
            decoder.step(&said, &NoExpectation);
            decoder.settle(said.time.saturating_sub(SETTLING));
            let open = decoder.open().iter().map(|mark| mark.letter);
            let settled = decoder.last.map(|mark| mark.letter);
            (open.collect::<Vec<_>>(), settled)
        };
        assert_eq!(step(1700, None), (vec![], None));
        assert_eq!(step(1767, Some(first)), (vec![1], None));
        assert_eq!(step(2000, Some(first)), (vec![1], None));
        assert_eq!(step(2500, Some(first)), (vec![], Some(1)), "settled");
        assert_eq!(step(2600, Some(first)), (vec![], Some(1)));
        let again = held(1, Some(2), 4000);
        assert_eq!(step(4700, Some(again)), (vec![1], Some(1)), "a new hold");
        let drawn = held(0, Some(1), 6000);
        assert_eq!(step(6700, Some(drawn)), (vec![], Some(1)), "how it ends");
    }

    #[test]
    fn a_doubtful_letter_that_stands_alone_is_typed_only_once_another_one_follows() {
        assert_eq!(decoded("..?......................"), "");
        assert_eq!(decoded("..?...a..."), "ca");
        assert_eq!(decoded("a..?..."), "ac", "it goes on with a word");
        let apart = ".".repeat(40);
        assert_eq!(
            decoded(&format!("a{apart}?...")),
            "a",
            "long after the word"
        );
    }

    #[test]
    fn a_letter_that_was_doubtful_at_first_is_not_typed_twice_when_it_is_held_plainly() {
        let mut decoder = Decoder::default();
        let plain = held(0, None, 200);
        for at in 0..30 {
            let time = Duration::from_millis(67 * at);
            let likely: [f32; 3] = match at {
                4 => [0.2, 0.78, 0.02],
                _ => [0.97, 0.02, 0.01],
            };
            let said = Said {
                time,
                fresh: false,
                logs: likely.map(f32::ln).to_vec(),
                held: Some(plain).filter(|_| at >= 10),
            };
            decoder.step(&said, &NoExpectation);
            let typed = decoder.open().len();
            assert_eq!(typed, usize::from(at >= 10), "at step {at}");
        }
    }

    #[test]
    fn a_doubtful_letter_is_decided_by_what_follows() {
        assert_eq!(decoded("a.?."), "ac");
        assert_eq!(decoded("a.?b."), "ab");
    }
}

//! Which letter is plainly held: one that the letter network has been sure of for a while.
//!
//! The network that reads sequences learned from words, and is cautious where somebody only holds a
//! hand up. A letter held for so long is meant, whatever it thinks.

use std::time::Duration;

/// For how long a letter is held until it is plain.
pub const PLAIN: Duration = Duration::from_millis(700);

/// How sure the letter network is of it all the time.
const SURE: f32 = 0.8;

/// A letter that is being held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Its place among the letters.
    pub letter: usize,
    /// Media time of the step with which the hold began.
    pub since: Duration,
}

/// Follows what is held, step by step.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    held: Option<Held>,
}

impl Holding {
    /// Takes in what the letter network says of a step: its likeliest letter and that one's
    /// probability, or no letter; and says what is held plainly.
    pub fn step(&mut self, time: Duration, likeliest: Option<(usize, f32)>) -> Option<Held> {
        let letter = likeliest.filter(|(_, probability)| *probability >= SURE);
        self.held = letter.map(|(letter, _)| match self.held {
            Some(held) if held.letter == letter => held,
            _ => Held {
                letter,
                since: time,
            },
        });
        self.held
            .filter(|held| time.saturating_sub(held.since) >= PLAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_plain_after_a_while_of_certainty_and_not_when_it_wavers() {
        let mut holding = Holding::default();
        let mut step = |at: u64, said| holding.step(Duration::from_millis(at), said);
        assert_eq!(step(0, Some((3, 0.9))), None);
        assert_eq!(step(400, Some((3, 0.9))), None);
        let plain = Held {
            letter: 3,
            since: Duration::ZERO,
        };
        assert_eq!(step(700, Some((3, 0.8))), Some(plain));
        assert_eq!(step(800, Some((3, 0.7))), None, "it wavers");
        assert_eq!(step(900, Some((3, 0.9))), None);
        assert_eq!(step(1500, Some((4, 0.9))), None, "another one");
        assert_eq!(step(2200, None), None);
    }
}

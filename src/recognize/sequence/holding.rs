//! Which letter is plainly held: one that the letter network has been sure of for a while.
//!
//! The network that reads sequences learned from words, and is cautious where somebody only holds a
//! hand up. A letter held for so long is meant, whatever it thinks.

use std::time::Duration;

/// For how long a letter is held until it is plain.
pub const PLAIN: Duration = Duration::from_millis(500);

/// How sure the letter network is of it all the time, on average over about a fifth of a second.
const SURE: f32 = 0.7;

/// The share of a step in that average.
const SHARE: f32 = 0.35;

/// A letter that can be held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Still {
    /// Its place among the letters.
    pub letter: usize,
    /// The place of the letter that is drawn with its handshape.
    pub drawn: Option<usize>,
}

/// A letter that is being held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Which one.
    pub still: Still,
    /// Media time of the step with which the hold began.
    pub since: Duration,
}

/// Follows what is held, step by step.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    held: Option<Held>,
    /// Each label's probability, on average.
    average: Vec<f32>,
}

impl Holding {
    /// Takes in how likely each label is in a step, and says what is held plainly. `still` names the
    /// letter that is typed when a label is held.
    pub fn step(
        &mut self,
        time: Duration,
        probabilities: impl Iterator<Item = f32>,
        still: &[Option<Still>],
    ) -> Option<Held> {
        self.average.resize(still.len(), 0.0);
        for (average, probability) in self.average.iter_mut().zip(probabilities) {
            *average += SHARE * (probability - *average);
        }
        let likeliest = (self.average.iter().zip(still)).max_by(|a, b| a.0.total_cmp(b.0));
        let still = likeliest.and_then(|(average, still)| still.filter(|_| *average >= SURE));
        self.held = still.map(|still| match self.held {
            Some(held) if held.still == still => held,
            _ => Held { still, since: time },
        });
        self.held
            .filter(|held| time.saturating_sub(held.since) >= PLAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is held plainly after steps of labels 0 to 2, ten a second: each digit is a label that is
    /// certain, `?` a doubtful 0, a dot no hand. Label 2 is drawn, so that holding it types nothing.
    fn held(steps: &str) -> Vec<Option<usize>> {
        let mut holding = Holding::default();
        let still = [Some(7), Some(8), None].map(|letter| {
            letter.map(|letter| Still {
                letter,
                drawn: None,
            })
        });
        let steps = steps.chars().enumerate().map(|(at, label)| {
            let time = Duration::from_millis(100 * at as u64);
            let likely = match label {
                '0' => [0.95, 0.0, 0.0],
                '1' => [0.0, 0.95, 0.0],
                '2' => [0.0, 0.0, 0.95],
                '?' => [0.5, 0.3, 0.0],
                _ => [0.0; 3],
            };
            let held = holding.step(time, likely.into_iter(), &still);
            held.map(|held| held.still.letter)
        });
        steps.collect()
    }

    #[test]
    fn a_letter_is_plain_after_a_while_of_certainty() {
        let plain = held("0000000000");
        assert_eq!(plain[..6], [None; 6]);
        assert_eq!(plain[9], Some(7));
        assert_eq!(held("222222222222")[11], None, "a drawn one never is");
        assert_eq!(held("............")[11], None);
    }

    #[test]
    fn a_letter_that_wavers_for_a_step_goes_on_being_held_and_another_begins_anew() {
        let plain = held("0000000000?000");
        assert_eq!(plain[10..], [Some(7); 4]);
        let plain = held("00000000001111");
        assert_eq!(plain[13], None, "{plain:?}");
        assert_eq!(held("00000000001111111111")[19], Some(8));
    }
}

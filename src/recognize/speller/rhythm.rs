//! How fast somebody spells, and for how long a letter is held before it is typed.

use std::collections::VecDeque;
use std::time::Duration;

/// The dwell before there is a rhythm to follow.
pub(super) const FIRST_DWELL: Duration = Duration::from_millis(450);

/// The dwell's bounds. Shapes on the way from one letter to the next last up to a fifth of a
/// second.
pub(super) const DWELLS: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_millis(700));

/// The dwell as a share of the time from letter to letter. Less than a half, so that a signer who
/// speeds up is followed.
const DWELL_SHARE: f32 = 0.45;

/// The rhythm is that of so many intervals.
const INTERVALS: usize = 6;

/// Fewer intervals make no rhythm.
const FEWEST_INTERVALS: usize = 3;

/// A longer interval is a pause and says nothing of the rhythm.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3);

/// How fast somebody spells.
#[derive(Debug, Clone, Default)]
pub(super) struct Rhythm {
    /// Media time of the last letter.
    last: Option<Duration>,
    /// The last times from one letter to the next.
    intervals: VecDeque<Duration>,
}

impl Rhythm {
    /// Takes a letter typed at this media time in.
    pub(super) fn beat(&mut self, time: Duration) {
        let interval = self.last.and_then(|last| time.checked_sub(last));
        self.last = Some(time);
        if let Some(interval) = interval.filter(|interval| *interval <= LONGEST_INTERVAL) {
            if self.intervals.len() == INTERVALS {
                self.intervals.pop_front();
            }
            self.intervals.push_back(interval);
        }
    }

    /// The dwell that fits: a share of the median interval.
    pub(super) fn dwell(&self) -> Duration {
        if self.intervals.len() < FEWEST_INTERVALS {
            return FIRST_DWELL;
        }
        let mut sorted: Vec<_> = self.intervals.iter().copied().collect();
        sorted.sort();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        median.mul_f32(DWELL_SHARE).clamp(DWELLS.0, DWELLS.1)
    }
}

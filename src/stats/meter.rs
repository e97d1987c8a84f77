//! How often something happens.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The span over which current rates are taken.
const RECENT: Duration = Duration::from_secs(2);

/// Counts moments.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Moments counted.
    pub total: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    recent: VecDeque<Instant>,
}

impl Meter {
    /// Counts a moment.
    pub fn count(&mut self, moment: Instant) {
        self.total += 1;
        self.first.get_or_insert(moment);
        self.last = Some(moment);
        self.recent.push_back(moment);
        self.forget(moment);
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&oldest) = self.recent.front() {
            if now.saturating_duration_since(oldest) <= RECENT {
                break;
            }
            self.recent.pop_front();
        }
    }

    /// Moments a second of late, seen from `now`.
    pub fn recent_rate(&mut self, now: Instant) -> f64 {
        self.forget(now);
        match (self.recent.front(), self.recent.back()) {
            (Some(&from), Some(&to)) => per_second(self.recent.len() as u64 - 1, to - from),
            _ => 0.0,
        }
    }

    /// Moments a second over all.
    pub fn mean_rate(&self) -> f64 {
        match (self.first, self.last) {
            (Some(from), Some(to)) => {
                per_second(self.total - 1, to.saturating_duration_since(from))
            }
            _ => 0.0,
        }
    }
}

fn per_second(count: u64, span: Duration) -> f64 {
    if count == 0 || span.is_zero() {
        0.0
    } else {
        count as f64 / span.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_rate_falls_to_zero_once_nothing_happens_any_more() {
        let mut meter = Meter::default();
        let start = Instant::now();
        for at in 0..100 {
            meter.count(start + Duration::from_millis(at * 10));
        }
        let end = start + Duration::from_millis(990);
        assert!((meter.recent_rate(end) - 100.0).abs() < 1e-6);
        assert_eq!(meter.recent_rate(end + RECENT * 2), 0.0);
    }
}

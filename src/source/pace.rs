//! The clock of sources that have none of their own.

use std::thread;
use std::time::{Duration, Instant};

/// How fast a file plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At the file's own time stamps; pictures without any at this many frames a second.
    RealTime {
        /// Frames a second for pictures without time stamps.
        fps: f64,
    },
    /// As fast as frames are taken, none skipped: for measuring and for reading whole files.
    Max,
}

/// The longest that a wait lasts at a stretch, so that a program can stop in between.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// A file that is later than this has missed its moment: its clock is set back instead of
/// rushing through the frames that are due by now.
const LATE: Duration = Duration::from_millis(100);

/// Says when a file's frames are due, so that they come like a camera's.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    /// The moment of media time zero, set by the first frame.
    start: Option<Instant>,
}

impl Pacer {
    /// A clock that starts with the first frame it is asked about.
    pub fn new(pace: Pace) -> Self {
        Pacer { pace, start: None }
    }

    /// Waits until the frame of media time `time` is due, but not longer than 50 ms.
    ///
    /// Returns the moment to stamp it with as its capture time, or `None` where it is not due
    /// yet and the question is to be asked again.
    pub fn due(&mut self, time: Duration) -> Option<Instant> {
        let now = Instant::now();
        if self.pace == Pace::Max {
            return Some(now);
        }
        let start = *self.start.get_or_insert(now);
        let due = start + time;
        if now > due + LATE {
            self.start = Some(start + (now - due));
            return Some(now);
        }
        let wait = due.saturating_duration_since(now);
        thread::sleep(wait.min(LONGEST_WAIT));
        (wait <= LONGEST_WAIT).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_stamped_at_their_own_pace_and_not_when_they_were_asked_for() {
        let mut pacer = Pacer::new(Pace::RealTime { fps: 30.0 });
        let first = pacer.due(Duration::ZERO).unwrap();
        let step = Duration::from_millis(20);
        let mut due = None;
        while due.is_none() {
            due = pacer.due(step);
        }
        assert_eq!(due.unwrap() - first, step);
        assert!(Instant::now() >= first + step, "came before it was due");
    }

    #[test]
    fn a_long_wait_is_given_back_in_between() {
        let mut pacer = Pacer::new(Pace::RealTime { fps: 30.0 });
        pacer.due(Duration::ZERO).unwrap();
        assert_eq!(pacer.due(Duration::from_secs(3600)), None);
    }

    #[test]
    fn a_clock_that_fell_behind_is_set_back_instead_of_rushing() {
        let mut pacer = Pacer::new(Pace::RealTime { fps: 30.0 });
        let first = pacer.due(Duration::ZERO).unwrap();
        thread::sleep(LATE + Duration::from_millis(50));
        let late = pacer.due(Duration::from_millis(1)).unwrap();
        assert!(late >= first + LATE);
        let next = pacer.due(Duration::from_millis(2)).unwrap();
        assert_eq!(next - late, Duration::from_millis(1));
    }
}

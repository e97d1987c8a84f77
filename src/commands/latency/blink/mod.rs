//! The blinking itself: which colour to show when, and how long the camera takes to see it.
//!
//! It knows neither window nor camera: it is told when something was shown and what a frame shows,
//! in time since the start, so that a simulated camera can prove its figures.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::sight::{Colour, Grid, Learning, Sight};

/// While the window is looked for, it changes so often, and so many times.
const LEARN_EVERY: Duration = Duration::from_millis(600);
const LEARN_CHANGES: usize = 6;

/// Of each colour, the first part is not learned from: the camera may not see it yet.
const LEARN_AFTER: Duration = Duration::from_millis(350);

/// Changes measured in each of the two ways.
pub const CHANGES: usize = 60;

/// Least time between two changes of the random schedule, and what is added at most.
const RANDOM_LEAST: Duration = Duration::from_millis(350);
const RANDOM_MORE: Duration = Duration::from_millis(400);

/// A change that is not seen within this is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// Lost changes with which the measurement ends.
const MOST_LOST: usize = 3;

/// How changes are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Schedule {
    /// The next one comes as soon as the last was seen.
    Loop,
    /// They come at times that no rate of the camera can fall in step with: multiples of the golden
    /// ratio, which spread as evenly as random ones and more.
    Random,
}

#[derive(Debug)]
enum Phase {
    Learning { changes: usize, learning: Learning },
    Measuring { schedule: Schedule, sight: Sight },
    Done,
}

/// A change that was shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    at: Duration,
    seen: bool,
}

/// A measurement under way.
#[derive(Debug)]
pub struct Blink {
    phase: Phase,
    colour: Colour,
    /// The last change; `None` while it was asked for but not shown yet.
    shown: Option<Shown>,
    /// When the random schedule changes next.
    next: Duration,
    /// Changes so far.
    changes: u32,
    lost: usize,
    last_capture: Option<Duration>,
    intervals: Histogram<u64>,
    share: f64,
    in_loop: Trips,
    at_random: Trips,
}

/// Times from a change on the screen, in microseconds.
#[derive(Debug, Clone)]
pub struct Trips {
    /// Until the program had a frame that shows it.
    pub to_program: Histogram<u64>,
    /// Until the time stamp that the driver gave that frame.
    pub to_stamp: Histogram<u64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The camera's period, its median.
    pub period: Duration,
    /// Share of the camera's picture that sees the window, 0 to 1.
    pub share: f64,
    /// Each change as soon as the last one was seen.
    pub in_loop: Trips,
    /// Changes at random times.
    pub at_random: Trips,
}

impl Trips {
    fn new() -> Self {
        let histogram = || match Histogram::new_with_bounds(1, 10_000_000, 3) {
            Ok(histogram) => histogram,
            Err(_) => unreachable!("the bounds are constant and valid"),
        };
        Trips {
            to_program: histogram(),
            to_stamp: histogram(),
        }
    }

    fn add(&mut self, shown: Duration, captured: Duration, now: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        self.to_program
            .saturating_record(micros(now.saturating_sub(shown)));
        self.to_stamp
            .saturating_record(micros(captured.saturating_sub(shown)));
    }

    fn len(&self) -> usize {
        self.to_program.len() as usize
    }
}

impl Default for Blink {
    fn default() -> Self {
        Self::new()
    }
}

impl Blink {
    /// Nothing was shown yet.
    pub fn new() -> Self {
        Blink {
            phase: Phase::Learning {
                changes: 0,
                learning: Learning::new(),
            },
            colour: Colour::White,
            shown: None,
            next: Duration::ZERO,
            changes: 0,
            lost: 0,
            last_capture: None,
            intervals: Trips::new().to_program,
            share: 0.0,
            in_loop: Trips::new(),
            at_random: Trips::new(),
        }
    }

    /// The colour to show now; where it is not the one shown last, [`Blink::shown`] is to be told
    /// once it is.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// The window shows [`Blink::colour`] since `at`.
    pub fn shown(&mut self, at: Duration) {
        const GOLDEN: f64 = 0.618_033_988_749_895;
        self.shown = Some(Shown { at, seen: false });
        self.changes += 1;
        let share = (f64::from(self.changes) * GOLDEN).fract();
        self.next = at
            + match self.phase {
                Phase::Learning { .. } => LEARN_EVERY,
                _ => RANDOM_LEAST + RANDOM_MORE.mul_f64(share),
            };
    }

    /// Whether all is measured, or how much of it, 0 to 1.
    pub fn progress(&self) -> f64 {
        match self.phase {
            Phase::Learning { .. } => 0.0,
            _ => (self.in_loop.len() + self.at_random.len()) as f64 / (2 * CHANGES) as f64,
        }
    }

    /// Time goes on without a frame: a change may be due.
    ///
    /// # Errors
    /// When the camera does not see the window, or not any more; for the person with the camera.
    pub fn tick(&mut self, now: Duration) -> Result<(), String> {
        let Some(shown) = self.shown else {
            return Ok(());
        };
        match &self.phase {
            Phase::Measuring { schedule, .. } => {
                if !shown.seen && now.saturating_sub(shown.at) > LOST_AFTER {
                    self.lost += 1;
                    if self.lost >= MOST_LOST {
                        return Err(
                            "the camera lost sight of the window: hold it still until the end"
                                .into(),
                        );
                    }
                    self.change();
                } else if shown.seen && (*schedule == Schedule::Loop || now >= self.next) {
                    self.change();
                }
            }
            Phase::Learning { changes, .. } if *changes < LEARN_CHANGES && now >= self.next => {
                self.change();
            }
            _ => {}
        }
        Ok(())
    }

    /// The program has a frame that was captured at `captured`.
    ///
    /// # Errors
    /// As [`Blink::tick`].
    pub fn frame(&mut self, captured: Duration, now: Duration, grid: &Grid) -> Result<(), String> {
        if let Some(last) = self.last_capture.replace(captured) {
            let interval = captured.saturating_sub(last).as_micros();
            self.intervals
                .saturating_record(u64::try_from(interval).unwrap_or(u64::MAX).max(1));
        }
        let Some(shown) = self.shown else {
            return Ok(());
        };
        match &mut self.phase {
            Phase::Learning { changes, learning } => {
                let since = now.saturating_sub(shown.at);
                if *changes > 0 && since >= LEARN_AFTER {
                    learning.add(grid, self.colour);
                }
                // Not before the last colour was surely seen: a loop that starts with changes still
                // on their way would go on at a multiple of its rate.
                if *changes >= LEARN_CHANGES && since >= LEARN_EVERY {
                    let sight = learning.finish(grid)?;
                    self.share = sight.share();
                    self.phase = Phase::Measuring {
                        schedule: Schedule::Loop,
                        sight,
                    };
                    self.shown = Some(Shown {
                        seen: true,
                        ..shown
                    });
                }
            }
            Phase::Measuring { schedule, sight } => {
                let seen = sight.colour(grid) == self.colour;
                if !seen {
                    return self.tick(now);
                }
                if shown.seen {
                    sight.follow(grid, self.colour);
                } else {
                    let trips = match schedule {
                        Schedule::Loop => &mut self.in_loop,
                        Schedule::Random => &mut self.at_random,
                    };
                    trips.add(shown.at, captured, now);
                    let full = trips.len() >= CHANGES;
                    self.shown = Some(Shown {
                        seen: true,
                        ..shown
                    });
                    match (full, *schedule) {
                        (true, Schedule::Loop) => *schedule = Schedule::Random,
                        (true, Schedule::Random) => self.phase = Phase::Done,
                        (false, _) => {}
                    }
                }
            }
            Phase::Done => {}
        }
        self.tick(now)
    }

    /// What was measured, once all is.
    pub fn outcome(&self) -> Option<Outcome> {
        matches!(self.phase, Phase::Done).then(|| Outcome {
            period: Duration::from_micros(self.intervals.value_at_quantile(0.5)),
            share: self.share,
            in_loop: self.in_loop.clone(),
            at_random: self.at_random.clone(),
        })
    }

    fn change(&mut self) {
        self.colour = self.colour.other();
        self.shown = None;
        if let Phase::Learning { changes, .. } = &mut self.phase {
            *changes += 1;
        }
    }
}

#[cfg(test)]
mod tests;

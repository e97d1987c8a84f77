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
mod tests {
    use super::*;

    /// A camera before a screen, both made of numbers. Times in milliseconds.
    struct Simulated {
        period: f64,
        exposure: f64,
        /// From the end of an exposure until the program has the frame.
        transfer: f64,
        /// From being told to until the screen shows it.
        screen: f64,
        black: f64,
        white: f64,
        noise: f64,
        /// Grey levels that the whole picture brightens by in a second.
        drift: f64,
        /// Grey levels of a lamp that flickers at 100 Hz.
        flicker: f64,
        /// The share of the picture that sees the window, at its end; the rest is as bright as black.
        share: f64,
        /// How much of the window's light its furthest part has, as where it is seen at an angle.
        furthest: f64,
    }

    const CAMERA: Simulated = Simulated {
        period: 33.3,
        exposure: 10.0,
        transfer: 20.0,
        screen: 12.0,
        black: 60.0,
        white: 120.0,
        noise: 2.0,
        drift: 0.0,
        flicker: 0.0,
        share: 1.0,
        furthest: 1.0,
    };

    impl Simulated {
        /// Runs a whole measurement in steps of a millisecond.
        fn measure(&self) -> Result<Outcome, String> {
            let mut blink = Blink::new();
            let mut random = 7u32;
            let mut on_screen: Vec<(f64, Colour)> = vec![(-1e9, Colour::Black)];
            let mut under_way: Vec<(f64, f64)> = Vec::new();
            let mut asked = None;
            let mut next_frame = 5.0;
            let ms = |ms: f64| Duration::from_micros((ms.max(0.0) * 1000.0) as u64);
            for step in 0..200_000 {
                let now = f64::from(step);
                if asked != Some(blink.colour()) {
                    asked = Some(blink.colour());
                    // The program knows when it handed its picture over, not when it was seen.
                    on_screen.push((now + self.screen, blink.colour()));
                    blink.shown(ms(now));
                }
                if now >= next_frame {
                    under_way.push((next_frame, next_frame + self.transfer));
                    next_frame += self.period;
                }
                while let Some(&(end, arrives)) = under_way.first()
                    && arrives <= now
                {
                    under_way.remove(0);
                    let white = self.white_share(&on_screen, end);
                    let lamp = self.flicker * (end * 0.2 * std::f64::consts::PI).sin();
                    let room = self.black + self.drift * end / 1000.0 + lamp;
                    let mut grid = Grid::plain(0.0);
                    let cells = grid.0.len() as f64;
                    for (at, cell) in grid.0.iter_mut().enumerate() {
                        // 0 at the window's nearest part, 1 at its furthest, negative beside it.
                        let along = 1.0 - (1.0 - (at as f64 + 0.5) / cells) / self.share;
                        let light = match along < 0.0 {
                            true => 0.0,
                            false => 1.0 - along * (1.0 - self.furthest),
                        };
                        let level = room + light * white * (self.white - self.black);
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let drawn = f64::from(random >> 8) / f64::from(1 << 23) - 1.0;
                        let noise = drawn * self.noise * 1.7;
                        *cell = (level + noise).clamp(0.0, 255.0);
                    }
                    blink.frame(ms(end), ms(arrives), &grid)?;
                }
                blink.tick(ms(now))?;
                if let Some(outcome) = blink.outcome() {
                    return Ok(outcome);
                }
            }
            Err("it never ended".into())
        }

        /// How much of the exposure that ends at `end` saw white.
        fn white_share(&self, on_screen: &[(f64, Colour)], end: f64) -> f64 {
            let from = end - self.exposure;
            let mut white = 0.0;
            for (at, &(since, colour)) in on_screen.iter().enumerate() {
                let until = on_screen.get(at + 1).map_or(f64::INFINITY, |next| next.0);
                let overlap = until.min(end) - since.max(from);
                if colour == Colour::White {
                    white += overlap.max(0.0);
                }
            }
            white / self.exposure
        }

        /// What a change needs at least until the program knows of it: the screen, half an
        /// exposure, the transfer.
        fn delay(&self) -> f64 {
            self.screen + self.exposure / 2.0 + self.transfer
        }

        #[track_caller]
        fn assert_right(&self) {
            let outcome = self.measure().unwrap();
            let period = outcome.period.as_secs_f64() * 1e3;
            assert!((period - self.period).abs() < 1.5, "{period}");
            for (name, trips) in [("loop", &outcome.in_loop), ("random", &outcome.at_random)] {
                let round_trip = trips.to_program.value_at_quantile(0.5) as f64 / 1e3;
                let less_period = round_trip - period;
                let off = less_period - self.delay();
                assert!(
                    off.abs() <= self.period,
                    "{name}: {round_trip} {}",
                    self.delay()
                );
                let least = trips.to_program.min() as f64 / 1e3;
                assert!(least >= self.delay() - 2.0, "{name}: {least}");
            }
        }
    }

    #[test]
    fn the_figure_is_right_within_a_frame_period_for_slow_and_fast_cameras() {
        CAMERA.assert_right();
        for (period, transfer) in [(16.7, 8.0), (33.3, 90.0), (66.7, 40.0), (33.3, 0.0)] {
            let exposure = period * 0.6;
            Simulated {
                period,
                transfer,
                exposure,
                ..CAMERA
            }
            .assert_right();
        }
    }

    #[test]
    fn the_figure_is_right_at_an_angle_in_a_mirror_and_in_a_dim_reflection() {
        let small = Simulated {
            share: 0.08,
            ..CAMERA
        };
        let at_an_angle = Simulated {
            share: 0.3,
            furthest: 0.2,
            ..CAMERA
        };
        let in_dark_glass = Simulated {
            black: 20.0,
            white: 32.0,
            noise: 3.0,
            share: 0.1,
            ..CAMERA
        };
        for (camera, share) in [(small, 0.08), (at_an_angle, 0.3), (in_dark_glass, 0.1)] {
            camera.assert_right();
            let found = camera.measure().unwrap().share;
            assert!((found - share).abs() < 0.02, "{found} of {share}");
        }
    }

    #[test]
    fn drifting_exposure_noise_and_flickering_lamps_do_not_change_the_figure() {
        for camera in [
            Simulated {
                drift: 0.8,
                ..CAMERA
            },
            Simulated {
                noise: 6.0,
                ..CAMERA
            },
            Simulated {
                flicker: 8.0,
                ..CAMERA
            },
        ] {
            camera.assert_right();
        }
    }

    #[test]
    fn a_camera_that_sees_no_blink_is_refused_with_the_reason() {
        for (black, white, reason) in [
            (100.0, 100.0, "does not see"),
            (100.0, 102.0, "does not see"),
            (3.0, 3.5, "dark"),
            (254.0, 255.0, "white all over"),
        ] {
            let camera = Simulated {
                black,
                white,
                ..CAMERA
            };
            let refusal = camera.measure().unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn a_window_that_is_covered_later_on_ends_the_measurement() {
        let mut blink = Blink::new();
        let ms = Duration::from_millis;
        let mut asked = None;
        let mut ended = None;
        for now in 0..60_000 {
            if asked != Some(blink.colour()) {
                asked = Some(blink.colour());
                blink.shown(ms(now));
            }
            let covered = now > 8_000;
            let white = blink.colour() == Colour::White && !covered;
            let grid = Grid::plain(if white { 150.0 } else { 50.0 });
            let told = match now % 20 {
                0 => blink.frame(ms(now), ms(now), &grid),
                _ => blink.tick(ms(now)),
            };
            if let Err(why) = told {
                ended = Some(why);
                break;
            }
        }
        let why = ended.expect("it goes on without the camera");
        assert!(why.contains("lost sight"), "{why}");
    }
}

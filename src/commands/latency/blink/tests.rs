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

//! Paths of hands that draw letters, and of hands that do not, with the noise of a finder and of a
//! letter network.

use std::f32::consts::TAU;

use super::*;

/// The labels of a model, and a place for each of them.
const LABELS: [&str; 8] = ["A", "D", "G", "I", "J", "X", "Z", "nothing"];
const ASPECT: f32 = 4.0 / 3.0;

/// Chance that repeats itself.
struct Chance(u64);

impl Chance {
    /// 0 to 1.
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + self.unit() * (high - low)
    }

    /// Around 0, with a standard deviation of 1.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// Where a hand is, in hands from where it started: right, down, and how much its box is wider and
/// lower than that of a raised finger.
type Place = (f32, f32, f32);

/// Somebody before a camera.
struct Signer {
    chance: Chance,
    motion: Motion,
    time: Duration,
    fps: f32,
    /// The hand's height in picture heights.
    size: f32,
    /// -1 for a left hand, whose movements are mirrored.
    side: f32,
    /// Where the hand is.
    place: Place,
    drawn: Vec<(Option<&'static str>, Duration)>,
    repeated: usize,
}

impl Signer {
    fn new(seed: u64) -> Self {
        let labels = LABELS.map(Arc::from);
        let mut chance = Chance(seed);
        Signer {
            motion: Motion::new(&labels),
            time: Duration::from_secs(5),
            fps: [10.0, 15.0, 24.0, 30.0, 60.0][(chance.unit() * 4.99) as usize],
            size: chance.between(0.15, 0.6),
            side: if chance.unit() < 0.5 { -1.0 } else { 1.0 },
            chance,
            place: (0.0, 0.0, 0.0),
            drawn: Vec::new(),
            repeated: 0,
        }
    }

    /// One frame of a hand at a place, read as `shape` with what is left for `other`.
    fn frame(&mut self, place: Place, shape: &[(&str, f32)]) -> Movement {
        let (x, y, turned) = place;
        self.place = place;
        self.time += Duration::from_secs_f32(1.0 / self.fps);
        if self.chance.unit() < 0.05 {
            return Movement::None;
        }
        let (size, noise) = (self.size, 0.015 * self.size);
        let middle = 0.5 + x * self.side * size / ASPECT;
        let width = size * (0.55 + turned) / ASPECT;
        let mut edge = |at: f32, scale: f32| at + self.chance.normal() * noise * scale;
        let hand = Rect {
            x0: edge(middle - width / 2.0, 1.0 / ASPECT),
            y0: edge(0.4 + (y + turned * 0.5) * size, 1.0),
            x1: edge(middle + width / 2.0, 1.0 / ASPECT),
            y1: edge(0.4 + (y + 1.0) * size, 1.0),
        };
        let mut probabilities = [0.01; LABELS.len()];
        let misread = self.chance.unit() < 0.08;
        for &(label, probability) in shape {
            let at = LABELS.iter().position(|known| *known == label).unwrap();
            let probability = probability * self.chance.between(0.8, 1.0);
            probabilities[at] += if misread {
                0.2 * probability
            } else {
                probability
            };
        }
        let seen = Seen {
            time: self.time,
            // A finder misses a hand now and then.
            hand: (self.chance.unit() > 0.03).then_some(hand),
            aspect: ASPECT,
            probabilities: &probabilities,
        };
        let movement = self.motion.update(&seen, &Drawing::DEFAULT);
        self.repeated += usize::from(movement == Movement::Repeated);
        if let Movement::Drawn { .. } = movement {
            let mut all = probabilities;
            let drawn = self.motion.settle(&mut all).map(|at| LABELS[at]);
            self.drawn.push((drawn, self.time));
        }
        movement
    }

    /// Follows a path, from 0 to 1, for so long.
    fn follow(&mut self, seconds: f32, shape: &[(&str, f32)], path: impl Fn(f32) -> Place) {
        let frames = (seconds * self.fps).round().max(1.0) as usize;
        for at in 1..=frames {
            self.frame(path(at as f32 / frames as f32), shape);
        }
    }

    /// Holds a handshape still but for a slight tremor.
    fn hold(&mut self, seconds: f32, shape: &[(&str, f32)], (x, y, turned): Place) {
        let (rate, size) = (
            self.chance.between(4.0, 9.0),
            self.chance.between(0.0, 0.025),
        );
        self.follow(seconds, shape, |part| {
            let wave = (part * seconds * rate * TAU).sin() * size;
            (x + wave, y + wave * 0.7, turned)
        });
    }

    fn letters(&self) -> Vec<&'static str> {
        self.drawn.iter().filter_map(|(drawn, _)| *drawn).collect()
    }
}

/// A way through corners at an even speed but for a slower start and end, from 0 to 1.
fn along(corners: &[Place], part: f32) -> Place {
    let length = |a: &Place, b: &Place| (b.0 - a.0).hypot(b.1 - a.1).max(1e-6);
    let total: f32 = corners.windows(2).map(|two| length(&two[0], &two[1])).sum();
    let eased = part * part * (3.0 - 2.0 * part);
    let mut left = (0.5 * part + 0.5 * eased) * total;
    for two in corners.windows(2) {
        let side = length(&two[0], &two[1]);
        if left <= side {
            let share = left / side;
            let mix = |a: f32, b: f32| a + share * (b - a);
            return (
                mix(two[0].0, two[1].0),
                mix(two[0].1, two[1].1),
                mix(two[0].2, two[1].2),
            );
        }
        left -= side;
    }
    *corners.last().unwrap()
}

/// A J: down, and in a bow to the side and up again, the hand turning on the way.
fn hook(chance: &mut Chance) -> impl Fn(f32) -> Place + use<> {
    let deep = chance.between(0.55, 1.2);
    let wide = chance.between(0.35, 0.8);
    let up = chance.between(0.1, 0.35);
    let turned = chance.between(0.0, 0.25);
    let lean = chance.between(-0.1, 0.1);
    let mut corners = vec![(0.0, 0.0, 0.0), (lean, deep - wide / 2.0, turned * 0.4)];
    for at in 1..=8 {
        let angle = at as f32 / 8.0 * TAU / 4.0;
        corners.push((
            lean + wide / 2.0 * (1.0 - angle.cos()),
            deep - wide / 2.0 * (1.0 - angle.sin()),
            turned * (0.4 + 0.6 * at as f32 / 8.0),
        ));
    }
    corners.push((lean + wide, deep - up, turned));
    move |part| along(&corners, part)
}

/// A Z as the signer sees it, in one go or with corners that are cut.
fn zigzag(chance: &mut Chance) -> impl Fn(f32) -> Place + use<> {
    let wide = chance.between(0.5, 1.3);
    let high = chance.between(0.45, 1.1);
    let tilt = chance.between(-0.12, 0.12) * wide;
    let corners = [
        (0.0, 0.0, 0.0),
        (-wide, tilt, 0.0),
        (chance.between(-0.15, 0.15) * wide, high, 0.0),
        (-wide, high + tilt, 0.0),
    ];
    move |part| along(&corners, part)
}

const I: &[(&str, f32)] = &[("I", 0.8), ("J", 0.1)];
const MOVED_I: &[(&str, f32)] = &[("I", 0.3), ("J", 0.35), ("A", 0.2)];
const D: &[(&str, f32)] = &[("D", 0.7), ("Z", 0.15)];
const MOVED_D: &[(&str, f32)] = &[("D", 0.3), ("Z", 0.3), ("X", 0.15), ("A", 0.2)];
const A: &[(&str, f32)] = &[("A", 0.9)];

/// Of how many tries the letters were read that `sign` makes.
fn share_read(letter: &str, sign: impl Fn(&mut Signer)) -> f32 {
    let tries = 400;
    let read = (0..tries).filter(|&seed| {
        let mut signer = Signer::new(seed);
        sign(&mut signer);
        signer.letters() == [letter]
    });
    let read = read.count() as f32 / tries as f32;
    println!("{letter}: {:.1} %", read * 100.0);
    read
}

#[test]
fn an_i_that_goes_down_and_hooks_is_a_j_at_any_speed_size_and_frame_rate_of_either_hand() {
    let read = share_read("J", |signer| {
        let path = hook(&mut signer.chance);
        let took = signer.chance.between(0.4, 1.5);
        let before = signer.chance.between(0.1, 0.8);
        signer.hold(before, I, path(0.0));
        signer.follow(took, MOVED_I, &path);
        signer.hold(0.5, I, path(1.0));
    });
    assert!(read >= 0.95, "{read}");
}

#[test]
fn a_raised_finger_that_goes_across_back_down_and_across_is_a_z() {
    let read = share_read("Z", |signer| {
        let path = zigzag(&mut signer.chance);
        let took = signer.chance.between(0.4, 1.5);
        let before = signer.chance.between(0.1, 0.8);
        signer.hold(before, D, path(0.0));
        signer.follow(took, MOVED_D, &path);
        signer.hold(0.5, D, path(1.0));
    });
    assert!(read >= 0.95, "{read}");
}

/// Letters wrongly read, and how often one was taken to be meant twice, while `sign` keeps the hand
/// busy for a minute, over several signers.
fn read_in_a_minute(sign: impl Fn(&mut Signer)) -> Vec<(u64, Vec<&'static str>, usize)> {
    let minutes = (0..60).map(|seed| {
        let mut signer = Signer::new(1000 + seed);
        let end = signer.time + Duration::from_secs(60);
        while signer.time < end {
            sign(&mut signer);
        }
        (seed, signer.letters(), signer.repeated)
    });
    minutes
        .filter(|(_, letters, repeated)| !letters.is_empty() || *repeated > 0)
        .collect()
}

/// As [`read_in_a_minute`], for movements that may well mean a letter twice.
fn drawn_in_a_minute(sign: impl Fn(&mut Signer)) -> Vec<(u64, Vec<&'static str>)> {
    let read = read_in_a_minute(sign).into_iter();
    let drawn = read.filter(|(_, letters, _)| !letters.is_empty());
    drawn.map(|(seed, letters, _)| (seed, letters)).collect()
}

#[test]
fn a_minute_of_a_held_i_or_d_that_trembles_bobs_and_drifts_draws_nothing() {
    for shape in [I, D, MOVED_I, MOVED_D] {
        let read = read_in_a_minute(|signer| {
            let chance = &mut signer.chance;
            let (tremor, tremble) = (chance.between(4.0, 10.0), chance.between(0.0, 0.05));
            let (pace, bob) = (chance.between(0.8, 2.5), chance.between(0.0, 0.1));
            let (sway, late) = (chance.between(0.0, 0.07), chance.unit());
            let (drift, far) = (chance.between(0.02, 0.08), chance.between(0.0, 0.5));
            signer.follow(60.0, shape, |part| {
                let wave = |rate: f32, late: f32| ((part * 60.0 * rate + late) * TAU).sin();
                let (right, down) = (far * wave(drift, late), far * wave(drift * 0.7, 0.0));
                (
                    right + sway * wave(pace, late) + tremble * wave(tremor, late),
                    down + bob * wave(pace, 0.0) + tremble * wave(tremor * 0.9, 0.0),
                    0.0,
                )
            });
        });
        assert!(read.is_empty(), "{shape:?}: {read:?}");
    }
}

#[test]
fn a_signer_who_walks_nearer_and_away_draws_nothing() {
    for shape in [I, D] {
        let read = read_in_a_minute(|signer| {
            let size = signer.size;
            let (aside, took) = (
                signer.chance.between(-1.5, 1.5),
                signer.chance.between(2.0, 5.0),
            );
            let frames = (took * signer.fps) as usize;
            for at in 0..frames {
                let turn = (at as f32 / frames as f32 * TAU).cos() / 2.0 - 0.5;
                signer.size = size * (1.0 - 0.5 * turn);
                signer.frame((aside * turn, 0.3 * turn, 0.0), shape);
            }
            signer.size = size;
        });
        assert!(read.is_empty(), "{shape:?}: {read:?}");
    }
}

#[test]
fn slides_bounces_and_waves_of_a_held_letter_draw_nothing() {
    for shape in [I, D] {
        let read = drawn_in_a_minute(|signer| {
            let (x, y, _) = signer.place;
            let far = signer.chance.between(0.3, 1.0);
            let took = signer.chance.between(0.2, 0.6);
            let paths: [&[[f32; 2]]; 5] = [
                &[[0.0, 0.0], [far, 0.0]],
                &[[0.0, 0.0], [-far, 0.05]],
                &[[0.0, 0.0], [0.0, far], [0.0, 0.0]],
                &[[0.0, 0.0], [far, 0.0], [0.0, 0.0], [far, 0.0], [0.0, 0.0]],
                &[[0.0, 0.0], [far / 2.0, -far], [far, 0.0]],
            ];
            let corners = paths[(signer.chance.unit() * 4.99) as usize];
            let corners: Vec<Place> = (corners.iter())
                .map(|[right, down]| (x + right, y + down, 0.0))
                .collect();
            signer.hold(0.6, shape, corners[0]);
            signer.follow(took, shape, |part| along(&corners, part));
            signer.hold(0.6, shape, *corners.last().unwrap());
        });
        assert!(read.is_empty(), "{shape:?}: {read:?}");
    }
}

#[test]
fn a_hand_that_slides_aside_or_bounces_and_rests_means_its_letter_twice() {
    for bounces in [false, true] {
        let tries = 200;
        let seen = (0..tries).filter(|&seed| {
            let mut signer = Signer::new(seed);
            let far = signer.chance.between(0.6, 1.2);
            let took = signer.chance.between(0.2, 0.4);
            let mut corners = vec![(0.0, 0.0, 0.0), (far, 0.05, 0.0)];
            if bounces {
                corners = vec![(0.0, 0.0, 0.0), (0.1, far / 1.5, 0.0), (0.05, 0.0, 0.0)];
            }
            signer.hold(0.6, A, corners[0]);
            signer.follow(took, A, |part| along(&corners, part));
            signer.hold(0.6, A, *corners.last().unwrap());
            signer.repeated == 1
        });
        let seen = seen.count() as f32 / tries as f32;
        println!("bounces: {bounces}: {:.1} %", seen * 100.0);
        assert!(seen >= 0.9, "bounces: {bounces}: {seen}");
    }
}

#[test]
fn ways_from_one_letter_to_the_next_draw_nothing() {
    let read = drawn_in_a_minute(|signer| {
        let shapes = [A, I, D, &[("G", 0.8)], &[("X", 0.8)]];
        let mut letter = 0;
        for _ in 0..6 {
            let place = signer.place;
            let hold = signer.chance.between(0.3, 0.8);
            signer.hold(hold, shapes[letter], place);
            let next = (
                signer.chance.between(-0.5, 0.5),
                signer.chance.between(-0.5, 0.5),
                signer.chance.between(0.0, 0.2),
            );
            let took = signer.chance.between(0.1, 0.35);
            let half = |part: f32| along(&[place, next], part);
            signer.follow(took / 2.0, shapes[letter], |part| half(part / 2.0));
            letter = (letter + 1 + (signer.chance.unit() * 3.99) as usize) % shapes.len();
            signer.follow(took / 2.0, shapes[letter], |part| half(0.5 + part / 2.0));
        }
        // The hand is lowered and comes back.
        let from = signer.place;
        signer.follow(0.5, &[("I", 0.3), ("nothing", 0.5)], |part| {
            along(&[from, (0.2, 3.0, 0.0)], part)
        });
        signer.follow(0.5, A, |part| {
            along(&[(0.3, 3.0, 0.0), (0.0, 0.0, 0.0)], part)
        });
    });
    assert!(read.is_empty(), "{read:?}");
}

#[test]
fn the_paths_of_j_and_z_draw_nothing_with_other_handshapes() {
    let read = drawn_in_a_minute(|signer| {
        let (j, z) = (hook(&mut signer.chance), zigzag(&mut signer.chance));
        signer.follow(0.8, A, &j);
        signer.hold(0.4, A, j(1.0));
        signer.follow(0.8, A, &z);
        signer.hold(0.4, A, z(1.0));
    });
    assert!(read.is_empty(), "{read:?}");
}

#[test]
fn a_drawn_letter_stays_until_the_hand_lets_go_or_rests_elsewhere() {
    let drawn = |signer: &Signer| {
        let mut probabilities = [0.1; LABELS.len()];
        signer
            .motion
            .settle(&mut probabilities)
            .map(|at| LABELS[at])
    };
    let draw = |seed| {
        let mut signer = Signer::new(seed);
        signer.fps = 30.0;
        let path = hook(&mut signer.chance);
        signer.hold(0.4, I, path(0.0));
        signer.follow(0.8, MOVED_I, &path);
        signer.hold(3.0, I, path(1.0));
        (signer, path(1.0))
    };
    let (signer, _) = draw(1);
    assert_eq!(drawn(&signer), Some("J"), "it is held on");
    let (mut signer, end) = draw(1);
    signer.hold(0.6, A, end);
    assert_eq!(drawn(&signer), None, "another shape");
    let (mut signer, end) = draw(1);
    signer.follow(0.4, I, |part| along(&[end, (0.0, 0.0, 0.0)], part));
    signer.hold(0.4, I, (0.0, 0.0, 0.0));
    assert_eq!(drawn(&signer), None, "an I where the J began");
    assert_eq!(signer.letters(), ["J"]);
}

#[test]
fn a_z_drawn_twice_is_drawn_twice() {
    let mut signer = Signer::new(3);
    let path = zigzag(&mut signer.chance);
    signer.hold(0.4, D, path(0.0));
    for _ in 0..2 {
        signer.follow(0.7, MOVED_D, &path);
        signer.hold(0.2, D, path(1.0));
        let end = path(1.0);
        signer.follow(0.3, D, |part| along(&[end, (0.0, 0.0, 0.0)], part));
    }
    assert_eq!(signer.letters(), ["Z", "Z"]);
}

#[test]
fn the_movement_is_dated_to_its_beginning() {
    let mut signer = Signer::new(4);
    signer.fps = 30.0;
    let path = hook(&mut signer.chance);
    signer.hold(1.0, I, path(0.0));
    let began = signer.time;
    let mut since = None;
    for at in 1..=30 {
        let movement = signer.frame(path(at as f32 / 30.0), I);
        if let Movement::Drawn { since: start } = movement {
            since = Some(start);
        }
    }
    let since = since.expect("a J was drawn");
    let apart = since.abs_diff(began);
    assert!(apart <= Duration::from_millis(250), "{apart:?}");
}

#[test]
fn shapes_of_drawn_letters_count_as_those_of_still_ones() {
    let motion = Motion::new(&LABELS.map(Arc::from));
    let mut probabilities = [0.0, 0.25, 0.0, 0.125, 0.25, 0.0, 0.375, 0.0];
    motion.pool(&mut probabilities);
    assert_eq!(probabilities, [0.0, 0.625, 0.0, 0.375, 0.0, 0.0, 0.0, 0.0]);
    let other = Motion::new(&["cats", "Z", "J"].map(Arc::from));
    let mut probabilities = [0.2, 0.5, 0.3];
    other.pool(&mut probabilities);
    assert_eq!(probabilities, [0.2, 0.5, 0.3], "no I and no D");
}

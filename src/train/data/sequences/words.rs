//! Words put together from what the letter network says of crops: holds of one hand's letters, ways
//! between them.
//!
//! What makes real words hard is made, too: shapes of other letters passed on the way, far shorter
//! than this word's holds; holds during which the network falters for a moment; the hand coming up
//! into its first letter and going down from its last; words that begin held; double letters, slid or
//! bounced.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::seen::SeenCrop;
use super::track::{Slow, Track, normal, pick, steps_in};
use super::vary;
use crate::base::frame::Rect;
use crate::base::joints::{Joints, hull};
use crate::model::NOTHING;
use crate::recognize::observation::Observation;
use crate::recognize::sequence::features::RATE;

/// A hand of fewer letters makes no words.
const FEWEST_LETTERS: usize = 12;

/// Words to spell, beside rows of any letters: they have the sequences that words have.
const LIST: &str = "THE AND HELLO WORLD NAME COFFEE WATER SCHOOL HAPPY FAMILY FRIEND MOTHER FATHER SISTER \
    BROTHER STREET CITY QUICK BROWN FOX OVER LAZY DOG PIZZA APPLE BANANA ORANGE GRAPE LEMON BREAD BUTTER CHEESE \
    MILK SUGAR SALT PEPPER KITCHEN GARDEN FLOWER TREE RIVER MOUNTAIN OCEAN ISLAND BRIDGE TRAIN BUS CAR BIKE PLANE \
    HOTEL MARKET DOCTOR NURSE TEACHER LAWYER FARMER BAKER MUSIC PIANO GUITAR VIOLIN DANCE MOVIE BOOK PAPER PENCIL \
    WINDOW DOOR TABLE CHAIR CLOCK WATCH PHONE EMAIL VIDEO GAME CHESS TENNIS SOCCER SWIM RUN WALK JUMP SLEEP DREAM \
    SUMMER WINTER SPRING AUTUMN SUNDAY MONDAY TUESDAY FRIDAY MARCH APRIL JUNE AUGUST ANNA BOB CHRIS DAVID EMMA FRANK \
    GRACE HANNAH IVAN KAREN LAURA MIKE NORA OSCAR PAUL QUINN ROSE SAM TOM UMA VICTOR WENDY XENA YOLANDA LONDON PARIS \
    BERLIN ROME TOKYO CAIRO LIMA OSLO DELHI BOSTON DENVER TEXAS OHIO IOWA KANSAS UTAH BOX SIX FIVE TWO FOUR GO ME BY \
    WHY HOW WHO WHAT WHEN YES OK BELL BALL TALL SMALL EGG ADD ODD SEE TOO MOON FOOT GOOD DEEP FEET SHEEP CARROT PUPPY";

/// Shapes that others are compared with.
const OUTLINES: usize = 3000;

/// What the letter network says of a hand's shape: one crop, its joints from the box's middle in
/// sides of the box.
#[derive(Debug, Clone)]
struct Shape {
    probabilities: Vec<f32>,
    joints: Option<Joints>,
}

impl Shape {
    fn towards(&self, other: &Shape, share: f32) -> Shape {
        let between = |a: f32, b: f32| a + share * (b - a);
        let joints = match (self.joints, other.joints) {
            (Some(a), Some(b)) => Some(std::array::from_fn(|at| {
                [0, 1].map(|axis| between(a[at][axis], b[at][axis]))
            })),
            (a, b) => a.or(b),
        };
        Shape {
            probabilities: (self.probabilities.iter().zip(&other.probabilities))
                .map(|(&a, &b)| between(a, b))
                .collect(),
            joints,
        }
    }
}

/// A moment of a word: the shape, where the hand is in its own sizes, whether it is found.
#[derive(Debug, Clone)]
struct Moment {
    shape: Shape,
    place: [f32; 2],
    found: bool,
}

/// Makes words.
pub struct Words {
    shapes: Vec<Shape>,
    /// For each hand, which shapes are which letter.
    hands: Vec<BTreeMap<usize, Vec<usize>>>,
    other: Vec<usize>,
    /// By letter, whoever signs it.
    by_letter: BTreeMap<usize, Vec<usize>>,
    /// Clips in which nothing is spelled: what the network makes of ways between shapes.
    pasts: Vec<Vec<Observation>>,
    list: Vec<Vec<usize>>,
    moving: Vec<usize>,
    /// Some shapes with their joints' [`outline`].
    outlines: Vec<(Joints, usize)>,
}

impl Words {
    /// Makes words of these crops; `None` where no hand has enough letters.
    pub(super) fn new(
        letters: &[String],
        crops: &[SeenCrop],
        pasts: Vec<Vec<Observation>>,
    ) -> Option<Words> {
        let place = |label: &str| letters.iter().position(|letter| letter == label);
        let mut shapes = Vec::new();
        let mut hands: BTreeMap<&str, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        let mut by_letter: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut other = Vec::new();
        for crop in crops {
            let at = shapes.len();
            if let Some(letter) = place(&crop.label) {
                let hand = hands.entry(&crop.signer).or_default();
                hand.entry(letter).or_default().push(at);
                by_letter.entry(letter).or_default().push(at);
            } else if crop.label == NOTHING {
                other.push(at);
            }
            shapes.push(Shape {
                probabilities: crop.probabilities.clone(),
                joints: crop.joints,
            });
        }
        let hands: Vec<_> = hands.into_values().collect();
        let hands: Vec<_> = (hands.into_iter())
            .filter(|hand| hand.len() >= FEWEST_LETTERS)
            .collect();
        let list = LIST.split_whitespace().map(|word| {
            let letters = word.chars().map(|c| place(&c.to_string()));
            letters.collect::<Option<Vec<usize>>>()
        });
        let every = (shapes.len() / OUTLINES).max(1);
        let outlines = (shapes.iter().enumerate().step_by(every))
            .filter_map(|(at, shape)| Some((outline(&shape.joints?), at)))
            .collect();
        (!hands.is_empty()).then(|| Words {
            outlines,
            shapes,
            hands,
            other,
            by_letter,
            pasts,
            list: list.flatten().collect(),
            moving: ["J", "Z"].iter().filter_map(|name| place(name)).collect(),
        })
    }

    pub(super) fn hands(&self) -> usize {
        self.hands.len()
    }

    /// Labels of the network.
    pub(super) fn labels(&self) -> usize {
        self.shapes
            .first()
            .map_or(0, |shape| shape.probabilities.len())
    }

    /// A word of the list, or any letters, J and Z among them.
    pub(super) fn letters(&self, rng: &mut StdRng) -> Vec<usize> {
        let word = pick(&self.list, rng).filter(|_| rng.random_bool(0.5));
        let every: Vec<usize> = self.by_letter.keys().copied().collect();
        let any = |rng: &mut StdRng| match rng.random_bool(0.2) {
            true => pick(&self.moving, rng).copied(),
            false => pick(&every, rng).copied(),
        };
        match word {
            Some(word) => word.iter().copied().take(6).collect(),
            None => (0..rng.random_range(1..6))
                .filter_map(|_| any(rng))
                .collect(),
        }
    }

    /// What the network says of somebody's letter.
    pub(super) fn probabilities(&self, letter: usize, rng: &mut StdRng) -> Option<&[f32]> {
        let &at = pick(self.by_letter.get(&letter)?, rng)?;
        Some(&self.shapes.get(at)?.probabilities)
    }

    /// What the network says of a hand whose joints lie much as these do.
    pub(super) fn alike(&self, joints: &Joints) -> Option<&[f32]> {
        let wanted = outline(joints);
        let apart = |(known, _): &&(Joints, usize)| -> f32 {
            let pairs = known.iter().flatten().zip(wanted.iter().flatten());
            pairs.map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let (_, at) = (self.outlines.iter()).min_by(|a, b| apart(a).total_cmp(&apart(b)))?;
        Some(&self.shapes.get(*at)?.probabilities)
    }

    /// What the network says while nothing is spelled: up to `count` frames in a row.
    pub(super) fn past(&self, count: usize, rng: &mut StdRng) -> &[Observation] {
        let Some(past) = pick(&self.pasts, rng).filter(|past| !past.is_empty()) else {
            return &[];
        };
        let from = rng.random_range(0..past.len().saturating_sub(count).max(1));
        &past[from..(from + count).min(past.len())]
    }

    /// A word that somebody's hand spells, or gestures that spell nothing.
    pub(super) fn track(&self, rng: &mut StdRng) -> Track {
        let hand = &self.hands[rng.random_range(0..self.hands.len())];
        let have: Vec<usize> = (hand.keys().copied())
            .filter(|letter| !self.moving.contains(letter))
            .collect();
        let nothing = !self.other.is_empty() && rng.random_bool(0.15);
        let word: Vec<Option<usize>> = match nothing {
            true => vec![None; rng.random_range(1..5)],
            false => self.word(&have, rng).into_iter().map(Some).collect(),
        };
        // Letters a second.
        let slowest = (word.len() as f32 / 8.0).max(0.25);
        let rate = rng
            .random_range(slowest.ln()..5.0f32.ln().max(slowest.ln() + 0.1))
            .exp();
        let mut moments: Vec<Moment> = Vec::new();
        let mut place = [0.0; 2];
        for (at, letter) in word.iter().enumerate() {
            let own = letter.and_then(|letter| hand.get(&letter));
            let shapes = own.unwrap_or(&self.other);
            let long = 1.0 / rate * normal(rng, 0.25).exp();
            let way = (rng.random_range(0.25..0.7) * long).min(0.6);
            let (hold, way) = (steps_in(long - way).max(1), steps_in(way).max(1));
            let mut held = self.hold(shapes, hold, rng);
            let doubled = at > 0 && letter.is_some() && word[at - 1] == *letter;
            if let Some(last) = moments.last().cloned() {
                let next = match (doubled, rng.random_bool(0.6)) {
                    (true, true) => {
                        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
                        let far = side * rng.random_range(0.25..0.8);
                        [place[0] + far, place[1] + rng.random_range(-0.1..0.1)]
                    }
                    (true, false) => [place[0], place[1] + normal(rng, 0.25)],
                    (false, _) => [0, 1].map(|axis| place[axis] + normal(rng, 0.12)),
                };
                let mut between = self.way(&last.shape, &held[0], way, doubled, rng);
                if !doubled && way >= 2 && hold >= 5 && rng.random_bool(0.6) {
                    // Far shorter than what is held.
                    let short = ((rng.random_range(0.1..0.35) * hold as f32) as usize).max(1);
                    let passed = pick(&have, rng).and_then(|letter| pick(hand.get(letter)?, rng));
                    let passed = passed.copied().unwrap_or_default();
                    self.falter(&mut between, short.min(way - 1), passed, rng);
                }
                let count = between.len() as f32;
                for (step, shape) in between.into_iter().enumerate() {
                    let share = (step as f32 + 1.0) / count;
                    moments.push(Moment {
                        shape,
                        place: [0, 1].map(|axis| place[axis] + share * (next[axis] - place[axis])),
                        found: true,
                    });
                }
                place = next;
            }
            if hold >= 8 && rng.random_bool(0.3) {
                let short = rng.random_range(1..5).min(hold - 4);
                let other = self.anything(rng);
                self.falter(&mut held[2..hold - 1], short, other, rng);
            }
            let drift = [0, 1].map(|axis| place[axis] + normal(rng, 0.04));
            for (step, shape) in held.into_iter().enumerate() {
                let share = step as f32 / hold as f32;
                moments.push(Moment {
                    shape,
                    place: [0, 1].map(|axis| place[axis] + share * (drift[axis] - place[axis])),
                    found: true,
                });
            }
            place = drift;
        }
        self.enter_and_leave(&mut moments, rng);
        let mut frames = frames(&moments, rng);
        vary::doubt(&mut frames, rng);
        Track {
            frames,
            letters: word.into_iter().flatten().collect(),
        }
    }

    fn word(&self, have: &[usize], rng: &mut StdRng) -> Vec<usize> {
        let kind: f32 = rng.random();
        if kind < 0.25 {
            return pick(have, rng).copied().into_iter().collect();
        }
        if kind < 0.65 {
            for _ in 0..20 {
                let word = pick(&self.list, rng);
                if let Some(word) = word.filter(|word| word.iter().all(|l| have.contains(l))) {
                    return word.iter().copied().take(7).collect();
                }
            }
        }
        let count = rng.random_range(1..8);
        (0..count)
            .filter_map(|_| pick(have, rng).copied())
            .collect()
    }

    fn anything(&self, rng: &mut StdRng) -> usize {
        match rng.random_bool(0.5) {
            true => pick(&self.other, rng).copied().unwrap_or_default(),
            false => rng.random_range(0..self.shapes.len()),
        }
    }

    /// A few crops of the same, one slowly becoming the other.
    fn hold(&self, shapes: &[usize], count: usize, rng: &mut StdRng) -> Vec<Shape> {
        let stops: Vec<&Shape> = (0..count / 6 + 1)
            .filter_map(|_| self.shapes.get(*pick(shapes, rng)?))
            .collect();
        (0..count)
            .filter_map(|step| {
                let at = step as f32 / (count.max(2) - 1) as f32 * (stops.len() - 1) as f32;
                let from = at.floor() as usize;
                let to = (from + 1).min(stops.len() - 1);
                Some(stops.get(from)?.towards(stops.get(to)?, at - from as f32))
            })
            .collect()
    }

    /// The way from one shape to another, without its ends.
    fn way(
        &self,
        from: &Shape,
        to: &Shape,
        count: usize,
        doubled: bool,
        rng: &mut StdRng,
    ) -> Vec<Shape> {
        let mut way: Vec<Shape> = (0..count)
            .map(|step| {
                let share = (step as f32 + 1.0) / (count as f32 + 1.0);
                from.towards(to, share * share * (3.0 - 2.0 * share))
            })
            .collect();
        if doubled {
            return way;
        }
        if rng.random_bool(0.6) {
            let share = rng.random_range(0.3..1.0);
            let past = self.past(count, rng);
            for (shape, past) in way.iter_mut().zip(past) {
                for (a, b) in shape.probabilities.iter_mut().zip(&past.probabilities) {
                    *a += share * (b - *a);
                }
            }
        } else {
            let share = rng.random_range(0.3..1.0);
            for probability in way.iter_mut().flat_map(|shape| &mut shape.probabilities) {
                *probability *= share;
            }
        }
        way
    }

    /// For a moment it looks like another shape.
    fn falter(&self, shapes: &mut [Shape], count: usize, other: usize, rng: &mut StdRng) {
        let Some(other) = self.shapes.get(other) else {
            return;
        };
        let share = rng.random_range(0.45..1.0);
        let from = rng.random_range(0..shapes.len().saturating_sub(count).max(1));
        for shape in shapes.iter_mut().skip(from).take(count) {
            *shape = shape.towards(other, share);
        }
    }

    /// The hand comes up before and goes down behind, or is not there.
    fn enter_and_leave(&self, moments: &mut Vec<Moment>, rng: &mut StdRng) {
        let (Some(first), Some(last)) = (moments.first().cloned(), moments.last().cloned()) else {
            return;
        };
        let gone = rng.random_bool(0.5);
        let mut before: Vec<Moment> = Vec::new();
        let mut behind: Vec<Moment> = Vec::new();
        for (end, into, likely) in [(&first, &mut before, 0.6), (&last, &mut behind, 0.6)] {
            if !rng.random_bool(likely) {
                continue;
            }
            let count = steps_in(rng.random_range(0.2..0.7)).max(2);
            let far = [normal(rng, 0.5), rng.random_range(0.7..2.5)];
            let away = self.shapes.get(self.anything(rng));
            let past = self.past(count, rng);
            for step in 0..count {
                // From the letter outwards.
                let share = (step as f32 + 1.0) / count as f32;
                let (out, shaped) = (share * share, (share * 1.5).min(1.0));
                let mut shape = match away {
                    Some(away) => end.shape.towards(away, shaped),
                    None => end.shape.clone(),
                };
                if let Some(past) = past.get(step) {
                    for (a, b) in shape.probabilities.iter_mut().zip(&past.probabilities) {
                        *a += shaped * (b - *a);
                    }
                }
                into.push(Moment {
                    shape,
                    place: [0, 1].map(|axis| end.place[axis] + out * far[axis]),
                    found: true,
                });
            }
        }
        before.reverse();
        before.append(moments);
        before.append(&mut behind);
        *moments = before;
        let rest = rng.random_range(2..steps_in(1.0));
        let lead = if gone {
            rng.random_range(0..steps_in(1.0))
        } else {
            0
        };
        let pad = |moment: Option<&Moment>, found| {
            moment.map(|moment| Moment {
                found,
                ..moment.clone()
            })
        };
        if let Some(none) = pad(moments.first(), false) {
            moments.splice(0..0, std::iter::repeat_n(none, lead));
        }
        if let Some(end) = pad(moments.last(), !gone) {
            moments.extend(std::iter::repeat_n(end, rest));
        }
    }
}

/// Moments as frames of a camera somewhere.
fn frames(moments: &[Moment], rng: &mut StdRng) -> Vec<Observation> {
    let side = rng.random_range(0.06f32.ln()..0.6f32.ln()).exp();
    let middle = [rng.random_range(0.3..0.7), rng.random_range(0.3..0.7)];
    let mut tremble = [Slow::new(0.03), Slow::new(0.03), Slow::new(0.06)];
    let mirrored = rng.random_bool(0.5);
    let mut frames: Vec<Observation> = Vec::with_capacity(moments.len());
    for (at, moment) in moments.iter().enumerate() {
        let [dx, dy, size] = tremble.each_mut().map(|slow| slow.next(rng));
        let x = middle[0] + side * (moment.place[0] + dx);
        let y = middle[1] + side * (moment.place[1] + dy);
        let half = side * size.exp() / 2.0;
        let mut frame = Observation {
            time: Duration::from_secs_f32(at as f32 / RATE),
            aspect: 1.0,
            is_read: true,
            hand: Some(Rect {
                x0: x - half,
                y0: y - half,
                x1: x + half,
                y1: y + half,
            }),
            joints: moment.shape.joints.map(|joints| {
                joints.map(|[jx, jy]| {
                    let jx = if mirrored { -jx } else { jx };
                    [
                        x + 2.0 * half * (jx + normal(rng, 0.008)),
                        y + 2.0 * half * (jy + normal(rng, 0.008)),
                    ]
                })
            }),
            ..Observation::default()
        };
        frame.set_probabilities(moment.shape.probabilities.iter().copied());
        if !moment.found || rng.random_bool(0.02) {
            vary::lose(&mut frame);
        }
        frames.push(frame);
    }
    frames
}

/// Joints from the middle of the box that hugs them, in its larger sides.
fn outline(joints: &Joints) -> Joints {
    let around = hull(joints);
    let middle = [(around.x0 + around.x1) / 2.0, (around.y0 + around.y1) / 2.0];
    let side = around.width().max(around.height()).max(f32::MIN_POSITIVE);
    joints.map(|joint| [0, 1].map(|axis| (joint[axis] - middle[axis]) / side))
}

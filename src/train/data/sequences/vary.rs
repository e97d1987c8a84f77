//! The same track again, as another camera, another day or another hand would have shown it.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::track::{Track, normal, steps_in};
use crate::base::frame::Rect;
use crate::recognize::observation::Observation;
use crate::recognize::sequence::features::RATE;

/// Share of frames in which the hand is lost.
const LOST: f64 = 0.02;

/// The track at so much of its time: below 1 it goes quicker.
pub(super) fn at_pace(track: &Track, share: f32) -> Track {
    let mut track = track.clone();
    for frame in &mut track.frames {
        frame.time = frame.time.mul_f32(share);
    }
    track
}

/// A part of the track of at most so many seconds, from anywhere.
pub(super) fn excerpt(track: &Track, seconds: f32, rng: &mut StdRng) -> Track {
    let last = track
        .frames
        .last()
        .map_or(Duration::ZERO, |frame| frame.time);
    let room = last.as_secs_f32() - seconds;
    if room <= 0.0 {
        return track.clone();
    }
    let from = Duration::from_secs_f32(rng.random_range(0.0..room));
    let to = from + Duration::from_secs_f32(seconds);
    let mut frames: Vec<Observation> = (track.frames.iter())
        .filter(|frame| (from..=to).contains(&frame.time))
        .cloned()
        .collect();
    for frame in &mut frames {
        frame.time -= from;
    }
    Track {
        frames,
        letters: track.letters.clone(),
    }
}

/// What the letter network makes of another hand: surer or less sure, each label likelier or less
/// likely by some deviation in logits.
pub(super) fn doubt(frames: &mut [Observation], rng: &mut StdRng) {
    let labels = (frames.first()).map_or(0, |frame| frame.probabilities.len());
    let sureness = rng.random_range(0.7..1.2);
    let bias: Vec<f32> = (0..labels).map(|_| normal(rng, 0.7)).collect();
    for frame in frames.iter_mut().filter(|frame| frame.is_read) {
        let known: f32 = frame.probabilities.iter().sum();
        if known <= 0.0 {
            continue;
        }
        let logit = |(probability, bias): (&f32, &f32), rng: &mut StdRng| {
            sureness * probability.max(1e-6).ln() + bias + normal(rng, 0.2)
        };
        let pairs = frame.probabilities.iter().zip(&bias);
        let powers: Vec<f32> = pairs.map(|pair| logit(pair, rng).exp()).collect();
        let sum: f32 = powers.iter().sum();
        frame.set_probabilities(powers.into_iter().map(|power| known * power / sum));
    }
}

/// Another pace, distance and side, noise, frames in which the hand is lost.
pub(super) fn vary(track: &Track, rng: &mut StdRng) -> Track {
    let pace = rng.random_range(0.75f32.ln()..1.35f32.ln()).exp();
    let mut track = at_pace(track, pace);
    let mirrored = rng.random_bool(0.3);
    let zoom = normal(rng, 0.3).exp();
    let without_joints = rng.random_bool(0.1);
    let noise = 0.008;
    doubt(&mut track.frames, rng);
    for frame in &mut track.frames {
        if rng.random_bool(LOST) {
            lose(frame);
            continue;
        }
        let shift = [0, 1].map(|_| normal(rng, 0.01));
        if let Some(hand) = &mut frame.hand {
            let tall = hand.height().max(hand.width() * frame.aspect);
            *hand = Rect {
                x0: hand.x0 + shift[0] * tall / frame.aspect,
                y0: hand.y0 + shift[1] * tall,
                x1: hand.x1 + shift[0] * tall / frame.aspect,
                y1: hand.y1 + shift[1] * tall,
            };
            if let Some(joints) = &mut frame.joints {
                for joint in joints {
                    joint[0] += normal(rng, noise) * tall / frame.aspect;
                    joint[1] += normal(rng, noise) * tall;
                }
            }
        }
        if without_joints {
            frame.joints = None;
        }
        let placed = |[x, y]: [f32; 2]| {
            let x = if mirrored { 1.0 - x } else { x };
            [0.5 + (x - 0.5) * zoom, 0.5 + (y - 0.5) * zoom]
        };
        if let Some(hand) = &mut frame.hand {
            let (a, b) = (placed([hand.x0, hand.y0]), placed([hand.x1, hand.y1]));
            *hand = Rect {
                x0: a[0].min(b[0]),
                y0: a[1].min(b[1]),
                x1: a[0].max(b[0]),
                y1: a[1].max(b[1]),
            };
        }
        if let Some(joints) = &mut frame.joints {
            for joint in joints {
                *joint = placed(*joint);
            }
        }
    }
    track
}

/// The track with some time behind it: the hand is gone, mostly, or stays as it was.
pub(super) fn with_end(mut track: Track, rng: &mut StdRng) -> Track {
    let Some(last) = track.frames.last().cloned() else {
        return track;
    };
    let gone = rng.random_bool(0.7);
    for at in 1..=rng.random_range(3..steps_in(1.0)) {
        let mut frame = last.clone();
        frame.time += Duration::from_secs_f32(at as f32 / RATE);
        if gone {
            lose(&mut frame);
        }
        track.frames.push(frame);
    }
    track
}

/// A frame in which no hand was read.
pub(super) fn lose(frame: &mut Observation) {
    frame.is_read = false;
    frame.hand = None;
    frame.joints = None;
}

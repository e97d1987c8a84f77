//! Sequences of joints without pictures: J and Z drawn, letters held, word signs, rest. What the
//! letter network would say of them is taken from crops of the same letter.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::Deserialize;

use super::track::{Slow, Track, normal, pick};
use super::vary;
use super::words::Words;
use crate::base::joints::{JOINTS, Joints, hull};
use crate::recognize::observation::Observation;

/// The table of sequences in their folder, and the file of those that are learned from.
const TABLE: &str = "sequences.csv";
const FILE: &str = "people";

/// Units of a joint's place in a frame's width or height.
const UNITS: f32 = 4096.0;

/// Languages whose letters are ASL's.
const ALPHABETS: [&str; 3] = ["ase", "xml", "psp"];

/// Rates that recorders of sequences without stamps have.
const RATES: [f32; 5] = [12.0, 15.0, 20.0, 25.0, 30.0];

/// How far a network is off with each joint, for a moment, in sides of the hand.
const OFF: f32 = 0.03;

/// Share of frames of a quick movement in which the hand may be lost.
const BLURRED: f32 = 0.5;

/// What happens in a sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// A letter is held.
    Held(usize),
    /// A letter is drawn: J (0) or Z (1).
    Drawn(usize, usize),
    /// Nothing is spelled.
    Nothing,
}

/// Sequences of joints.
#[derive(Debug)]
pub struct Paths {
    joints: Vec<i16>,
    present: Vec<u8>,
    /// J, Z, held letters, and the rest: each is drawn as often as its weight says.
    groups: [Vec<Sequence>; 4],
    /// Letters that still J and Z look like, and themselves.
    shapes: [[Option<usize>; 2]; 2],
}

#[derive(Debug, Clone)]
struct Sequence {
    start: usize,
    frames: usize,
    aspect: f32,
    fps: Option<f32>,
    what: What,
}

#[derive(Deserialize)]
struct Row {
    file: String,
    start: usize,
    frames: usize,
    split: String,
    label: String,
    kind: String,
    alphabet: String,
    fps: Option<f32>,
    aspect: Option<f32>,
}

impl Paths {
    /// Reads the sequences of a folder that are to be learned from.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit the table.
    pub fn read(folder: &Path, letters: &[String]) -> Result<Paths> {
        let tried = || format!("cannot read sequences of joints from {}", folder.display());
        Self::read_all(folder, letters).with_context(tried)
    }

    fn read_all(folder: &Path, letters: &[String]) -> Result<Paths> {
        let place = |name: &str| letters.iter().position(|letter| letter == name);
        let joints: Vec<i16> = array(&folder.join(format!("{FILE}.npy")), "<i2")?
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let present = array(&folder.join(format!("{FILE}-present.npy")), "|u1")?;
        let mut groups: [Vec<Sequence>; 4] = Default::default();
        let mut reader = csv::Reader::from_path(folder.join(TABLE))?;
        for row in reader.deserialize() {
            let row: Row = row?;
            if row.split != "train" || row.file != FILE {
                continue;
            }
            let known = ALPHABETS.contains(&row.alphabet.as_str());
            let (group, what) = match (row.kind.as_str(), place(&row.label)) {
                ("sign" | "rest", _) if known => (3, What::Nothing),
                ("dynamic", Some(letter)) if row.label == "J" => (0, What::Drawn(letter, 0)),
                ("dynamic", Some(letter)) if row.label == "Z" => (1, What::Drawn(letter, 1)),
                ("held", Some(letter)) if known && row.label != "J" && row.label != "Z" => {
                    (2, What::Held(letter))
                }
                _ => continue,
            };
            let end = row.start + row.frames;
            ensure!(
                row.frames > 0 && end * 63 <= joints.len() && end <= present.len(),
                "frames {} to {end} of {FILE} are not there",
                row.start
            );
            groups[group].push(Sequence {
                start: row.start,
                frames: row.frames,
                aspect: row.aspect.unwrap_or(4.0 / 3.0),
                fps: row.fps.filter(|fps| *fps > 0.0),
                what,
            });
        }
        Ok(Paths {
            joints,
            present,
            groups,
            shapes: [[place("I"), place("J")], [place("D"), place("Z")]],
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }

    /// One of them, turned, at some pace, with what `words` knows of its letter.
    pub(super) fn track(&self, words: Option<&Words>, rng: &mut StdRng) -> Option<Track> {
        let group: f32 = rng.random();
        let group = match group {
            ..0.375 => 0,
            ..0.75 => 1,
            ..0.875 => 2,
            _ => 3,
        };
        let sequence = pick(&self.groups[group], rng)?;
        let Sequence { start, frames, .. } = *sequence;
        let fps = match sequence.what {
            What::Drawn(..) => frames as f32 / rng.random_range(0.6..2.0),
            _ => (sequence.fps).unwrap_or(RATES[rng.random_range(0..RATES.len())]),
        };
        let mirrored = rng.random_bool(0.5);
        let (sin, cos) = normal(rng, 0.12).sin_cos();
        let knows = words.filter(|_| rng.random_bool(0.8));
        let alike = knows.filter(|_| rng.random_bool(0.7));
        let past = words
            .map(|words| words.past(frames, rng))
            .unwrap_or_default();
        let stops = knows.map(|words| self.stops(words, sequence.what, rng));
        let mut off: [[Slow; 2]; JOINTS] =
            std::array::from_fn(|_| [Slow::new(OFF), Slow::new(OFF)]);
        let lost = match sequence.what {
            What::Drawn(..) if rng.random_bool(0.5) => rng.random_range(0.0..BLURRED),
            _ => 0.02,
        };
        let mut track = Track::default();
        for at in 0..frames {
            let joints = self.joints.get((start + at) * 63..(start + at + 1) * 63)?;
            let true_joints: Joints = std::array::from_fn(|joint| {
                let x = f32::from(joints[3 * joint]) / UNITS * sequence.aspect;
                let y = f32::from(joints[3 * joint + 1]) / UNITS;
                let x = if mirrored { sequence.aspect - x } else { x };
                [cos * x - sin * y, sin * x + cos * y]
            });
            let place = hull(&true_joints);
            let side = place.width().max(place.height());
            let joints = std::array::from_fn(|joint| {
                [0, 1].map(|axis| true_joints[joint][axis] + side * off[joint][axis].next(rng))
            });
            let mut frame = Observation {
                time: Duration::from_secs_f32(at as f32 / fps),
                aspect: 1.0,
                is_read: true,
                hand: Some(hull(&joints)),
                joints: Some(joints),
                ..Observation::default()
            };
            let share = at as f32 / frames.max(2) as f32;
            match (&stops, past.get(at)) {
                _ if alike.is_some() => {
                    let said = alike.and_then(|words| words.alike(&joints))?;
                    frame.set_probabilities(said.iter().copied());
                }
                (Some(stops), _) if !stops.is_empty() => {
                    frame.set_probabilities(between(stops, share).into_iter());
                }
                (Some(_), Some(past)) => {
                    frame.set_probabilities(past.probabilities.iter().copied());
                }
                _ => {
                    let labels = past.first().map_or(27, |past| past.probabilities.len());
                    frame.set_probabilities(std::iter::repeat_n(0.0, labels));
                }
            }
            if self.present.get(start + at) == Some(&0) || rng.random::<f32>() < lost {
                vary::lose(&mut frame);
            }
            track.frames.push(frame);
        }
        vary::doubt(&mut track.frames, rng);
        track.letters = match sequence.what {
            What::Held(letter) | What::Drawn(letter, _) => vec![letter],
            What::Nothing => Vec::new(),
        };
        Some(vary::with_end(track, rng))
    }

    /// What the letter network says at a few moments.
    fn stops(&self, words: &Words, what: What, rng: &mut StdRng) -> Vec<Vec<f32>> {
        let letters: Vec<Option<usize>> = match what {
            What::Held(letter) => vec![Some(letter); 2],
            What::Drawn(_, at) => {
                let [still, moved] = self.shapes[at];
                vec![still, moved, moved]
            }
            What::Nothing => Vec::new(),
        };
        let stop = |letter: Option<usize>| Some(words.probabilities(letter?, rng)?.to_vec());
        letters.into_iter().filter_map(stop).collect()
    }
}

/// What lies at `share` of the way along `stops`.
fn between(stops: &[Vec<f32>], share: f32) -> Vec<f32> {
    let at = share * (stops.len() - 1) as f32;
    let from = (at.floor() as usize).min(stops.len() - 1);
    let to = (from + 1).min(stops.len() - 1);
    let pairs = stops[from].iter().zip(&stops[to]);
    pairs
        .map(|(a, b)| a + (at - from as f32) * (b - a))
        .collect()
}

/// The bytes of an array's elements in NumPy's format, version 1: `kind` is their type.
fn array(path: &Path, kind: &str) -> Result<Vec<u8>> {
    let read = || -> Result<Vec<u8>> {
        let mut content = fs::read(path)?;
        ensure!(
            content.starts_with(b"\x93NUMPY\x01"),
            "it is no array of NumPy's, version 1"
        );
        let length = content.get(8..10).context("it is cut short")?;
        let start = 10 + usize::from(u16::from_le_bytes([length[0], length[1]]));
        let header = content.get(10..start).context("it is cut short")?;
        let header = String::from_utf8_lossy(header);
        let fits = header.contains(&format!("'descr': '{kind}'"))
            && header.contains("'fortran_order': False");
        ensure!(fits, "it holds {header}, where {kind} is expected");
        Ok(content.split_off(start))
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

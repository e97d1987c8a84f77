//! Sequences of joints without pictures: J and Z drawn, letters held, word signs, rest, words spelled
//! slowly, and ways from letter to letter, of which words are put together. What the letter network
//! would say of them is taken from crops of hands whose joints lie alike, or of the same letter.

use std::collections::HashMap;
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
use crate::recognize::sequence::features::RATE;

/// The table of sequences in their folder, and the files of those that are learned from.
const TABLE: &str = "sequences.csv";
const FILES: [&str; 3] = ["people", "words", "animation"];

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

/// Share of frames in which the hand is lost otherwise.
const LOST: f32 = 0.02;

/// What a hand rests in before the first letter and behind the last, among the ways.
const REST: &str = "rest";

/// What happens in a sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// A letter is held.
    Held(usize),
    /// A letter is drawn: J (0) or Z (1).
    Drawn(usize, usize),
    /// Nothing is spelled.
    Nothing,
    /// Words are spelled.
    Spelled,
}

/// Sequences of joints.
#[derive(Debug)]
pub struct Paths {
    files: Vec<Joined>,
    /// J, Z, held letters, the rest, and words.
    groups: [Vec<Sequence>; 5],
    /// From a letter, or rest, to the next one.
    ways: HashMap<[Option<usize>; 2], Sequence>,
    /// Letters that still J and Z look like, and themselves.
    shapes: [[Option<usize>; 2]; 2],
}

/// A file of joints.
#[derive(Debug)]
struct Joined {
    joints: Vec<i16>,
    present: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Sequence {
    file: usize,
    start: usize,
    frames: usize,
    aspect: f32,
    fps: Option<f32>,
    what: What,
    letters: Vec<usize>,
}

/// A hand at a moment, x and y in heights of the frame.
#[derive(Debug, Clone, Copy)]
struct Moment {
    joints: Joints,
    present: bool,
}

/// What the letter network says of moments.
enum Saying<'a> {
    /// What it says of a crop of a hand whose joints lie alike.
    Alike(&'a Words),
    /// What it says of these crops, one slowly becoming the other.
    Stops(Vec<Vec<f32>>),
    /// What it says of these frames, in which nothing is spelled.
    Past(&'a [Observation]),
    /// Nothing, for so many labels: joints have to do.
    Silent(usize),
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
        let files = (FILES.iter())
            .map(|file| Joined::read(folder, file))
            .collect::<Result<Vec<_>>>()?;
        let mut groups: [Vec<Sequence>; 5] = Default::default();
        let mut ways = HashMap::new();
        let mut reader = csv::Reader::from_path(folder.join(TABLE))?;
        for row in reader.deserialize() {
            let row: Row = row?;
            let Some(file) = FILES.iter().position(|file| *file == row.file) else {
                continue;
            };
            if row.split != "train" {
                continue;
            }
            let known = ALPHABETS.contains(&row.alphabet.as_str());
            let end = |name: &str| match name {
                REST => Some(None),
                letter => place(letter).map(Some),
            };
            let way = (row.label.strip_prefix("transition "))
                .and_then(|way| way.split_once('>'))
                .and_then(|(from, to)| Some([end(from)?, end(to)?]));
            let word: Option<Vec<usize>> =
                row.label.chars().map(|c| place(&c.to_string())).collect();
            let (group, what) = match (row.kind.as_str(), place(&row.label)) {
                ("sign" | "rest", _) if known => (3, What::Nothing),
                ("dynamic", Some(letter)) if row.label == "J" => (0, What::Drawn(letter, 0)),
                ("dynamic", Some(letter)) if row.label == "Z" => (1, What::Drawn(letter, 1)),
                ("held", Some(letter)) if known && row.label != "J" && row.label != "Z" => {
                    (2, What::Held(letter))
                }
                ("spelled", _) if known && word.is_some() => (4, What::Spelled),
                ("transition", _) if way.is_some() => (0, What::Nothing),
                _ => continue,
            };
            let sequence = Sequence {
                file,
                start: row.start,
                frames: row.frames,
                aspect: row.aspect.unwrap_or(4.0 / 3.0),
                fps: row.fps.filter(|fps| *fps > 0.0),
                what,
                letters: match what {
                    What::Held(letter) | What::Drawn(letter, _) => vec![letter],
                    What::Nothing => Vec::new(),
                    What::Spelled => word.unwrap_or_default(),
                },
            };
            ensure!(
                row.frames > 0 && files[file].holds(row.start + row.frames),
                "frames {} to {} of {} are not there",
                row.start,
                row.start + row.frames,
                row.file
            );
            match way {
                Some(way) if row.kind == "transition" => {
                    ways.insert(way, sequence);
                }
                _ => groups[group].push(sequence),
            }
        }
        Ok(Paths {
            files,
            groups,
            ways,
            shapes: [[place("I"), place("J")], [place("D"), place("Z")]],
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.groups.iter().map(Vec::len).sum::<usize>() + self.ways.len()
    }

    /// One of them, turned, at some pace, with what `words` knows of its letter.
    pub(super) fn track(&self, words: Option<&Words>, rng: &mut StdRng) -> Option<Track> {
        let group: f32 = rng.random();
        let group = match group {
            ..0.27 => 0,
            ..0.54 => 1,
            ..0.64 => 2,
            ..0.74 => 3,
            ..0.84 => 4,
            _ => return self.word(words?, rng),
        };
        let sequence = pick(&self.groups[group], rng)?;
        let count = sequence.frames as f32;
        let fps = match sequence.what {
            What::Drawn(..) => count / rng.random_range(0.6..2.0),
            What::Spelled => sequence.fps.unwrap_or(20.0) * rng.random_range(1.9..3.5),
            _ => (sequence.fps).unwrap_or(RATES[rng.random_range(0..RATES.len())]),
        };
        let moments: Vec<Moment> = (0..sequence.frames)
            .map(|at| self.moment(sequence, at))
            .collect::<Option<_>>()?;
        let lost = match sequence.what {
            What::Drawn(..) if rng.random_bool(0.5) => rng.random_range(0.0..BLURRED),
            _ => LOST,
        };
        let saying = self.saying(sequence, words, rng);
        let frames = frames(&moments, fps, lost, &saying, rng)?;
        let letters = sequence.letters.clone();
        Some(vary::with_end(Track { frames, letters }, rng))
    }

    /// A word put together from ways between letters; J and Z are drawn on the way to them.
    fn word(&self, words: &Words, rng: &mut StdRng) -> Option<Track> {
        let letters = words.letters(rng);
        // Letters a second.
        let rate = rng.random_range(1.0f32.ln()..4.0f32.ln()).exp();
        let mut moments = Vec::new();
        let ends = (letters.iter().copied().map(Some)).chain([None]);
        let mut last = None;
        for to in ends {
            let long = 2.0 * RATE / rate * normal(rng, 0.2).exp();
            let way = self.ways.get(&[last, to]);
            last = to;
            // To the same letter again there may be no way.
            let Some(sequence) = way else { continue };
            let drawn = to.is_some_and(|to| self.shapes.iter().any(|[_, own]| *own == Some(to)));
            let share = if drawn {
                1.0
            } else {
                rng.random_range(0.4..0.8)
            };
            let least = if drawn { 0.5 } else { 0.1 };
            let count = (share * long).max(least * 2.0 * RATE) as usize;
            for step in 1..=count {
                let at = step * (sequence.frames - 1) / count;
                moments.push(self.moment(sequence, at)?);
            }
            let held = moments.last().copied()?;
            let hold = ((1.0 - share) * long) as usize;
            moments.extend(std::iter::repeat_n(held, hold));
        }
        let silent = Saying::Silent(words.labels());
        let saying = if rng.random_bool(0.85) {
            Saying::Alike(words)
        } else {
            silent
        };
        let frames = frames(&moments, 2.0 * RATE, LOST, &saying, rng)?;
        Some(vary::with_end(Track { frames, letters }, rng))
    }

    fn moment(&self, sequence: &Sequence, at: usize) -> Option<Moment> {
        let file = &self.files[sequence.file];
        let at = sequence.start + at;
        let joints = file.joints.get(at * 63..(at + 1) * 63)?;
        Some(Moment {
            joints: std::array::from_fn(|joint| {
                let x = f32::from(joints[3 * joint]) / UNITS * sequence.aspect;
                [x, f32::from(joints[3 * joint + 1]) / UNITS]
            }),
            present: file.present.get(at) != Some(&0),
        })
    }

    fn saying<'a>(
        &self,
        sequence: &Sequence,
        words: Option<&'a Words>,
        rng: &mut StdRng,
    ) -> Saying<'a> {
        let Some(words) = words else {
            return Saying::Silent(0);
        };
        let letters = match sequence.what {
            What::Held(letter) => vec![Some(letter); 2],
            What::Drawn(_, at) => {
                let [still, moved] = self.shapes[at];
                vec![still, moved, moved]
            }
            What::Nothing | What::Spelled => Vec::new(),
        };
        let how: f32 = rng.random();
        match sequence.what {
            _ if how < 0.2 => Saying::Silent(words.labels()),
            _ if how < 0.75 => Saying::Alike(words),
            What::Nothing => Saying::Past(words.past(sequence.frames, rng)),
            What::Spelled => Saying::Alike(words),
            What::Held(_) | What::Drawn(..) => {
                let stop =
                    |letter: Option<usize>| Some(words.probabilities(letter?, rng)?.to_vec());
                Saying::Stops(letters.into_iter().filter_map(stop).collect())
            }
        }
    }
}

impl Joined {
    fn read(folder: &Path, file: &str) -> Result<Joined> {
        let joints = array(&folder.join(format!("{file}.npy")), "<i2")?;
        Ok(Joined {
            joints: (joints.chunks_exact(2))
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                .collect(),
            present: array(&folder.join(format!("{file}-present.npy")), "|u1")?,
        })
    }

    fn holds(&self, frames: usize) -> bool {
        frames.saturating_mul(63) <= self.joints.len() && frames <= self.present.len()
    }
}

/// Moments as a network would see them: turned a little, its joints off, the hand lost in some.
fn frames(
    moments: &[Moment],
    fps: f32,
    lost: f32,
    saying: &Saying,
    rng: &mut StdRng,
) -> Option<Vec<Observation>> {
    let mirrored = rng.random_bool(0.5);
    let (sin, cos) = normal(rng, 0.12).sin_cos();
    let mut off: [[Slow; 2]; JOINTS] = std::array::from_fn(|_| [Slow::new(OFF), Slow::new(OFF)]);
    let mut frames = Vec::with_capacity(moments.len());
    for (at, moment) in moments.iter().enumerate() {
        let joints = moment.joints.map(|[x, y]| {
            let x = if mirrored { 1.0 - x } else { x };
            [cos * x - sin * y, sin * x + cos * y]
        });
        let place = hull(&joints);
        let side = place.width().max(place.height());
        let seen: Joints = std::array::from_fn(|joint| {
            [0, 1].map(|axis| joints[joint][axis] + side * off[joint][axis].next(rng))
        });
        let mut frame = Observation {
            time: Duration::from_secs_f32(at as f32 / fps),
            aspect: 1.0,
            is_read: true,
            hand: Some(hull(&seen)),
            joints: Some(seen),
            ..Observation::default()
        };
        let share = at as f32 / moments.len().max(2) as f32;
        match saying {
            Saying::Alike(words) => {
                frame.set_probabilities(words.alike(&seen)?.iter().copied());
            }
            Saying::Stops(stops) if !stops.is_empty() => {
                frame.set_probabilities(between(stops, share).into_iter());
            }
            Saying::Past(past) if !past.is_empty() => {
                let past = &past[at.min(past.len() - 1)];
                frame.set_probabilities(past.probabilities.iter().copied());
            }
            Saying::Silent(labels) => {
                frame.set_probabilities(std::iter::repeat_n(0.0, *labels));
            }
            Saying::Stops(_) | Saying::Past(_) => return None,
        }
        if !moment.present || rng.random::<f32>() < lost {
            vary::lose(&mut frame);
        }
        frames.push(frame);
    }
    vary::doubt(&mut frames, rng);
    Some(frames)
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::seen::SeenCrop;
    use super::*;

    const LETTERS: [&str; 12] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "Y", "Z"];

    fn npy(path: &Path, kind: &str, bytes: &[u8]) {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (1,), }}\n");
        let mut content = b"\x93NUMPY\x01\x00".to_vec();
        content.extend((header.len() as u16).to_le_bytes());
        content.extend(header.bytes());
        content.extend(bytes);
        fs::write(path, content).unwrap();
    }

    /// A folder with 40 frames in each file and these rows of file, first frame, frames, label, kind.
    fn folder(rows: &[(&str, usize, usize, &str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in FILES {
            let joints: Vec<u8> = (0..40 * 63)
                .flat_map(|at| (1000 + 7 * (at % 63) as i16).to_le_bytes())
                .collect();
            npy(&folder.path().join(format!("{file}.npy")), "<i2", &joints);
            let present = folder.path().join(format!("{file}-present.npy"));
            npy(&present, "|u1", &[1; 40]);
        }
        let mut table = "file,start,frames,split,label,kind,alphabet,fps,aspect\n".to_owned();
        for (file, start, frames, label, kind) in rows {
            table += &format!("{file},{start},{frames},train,{label},{kind},ase,30,1.0\n");
        }
        fs::write(folder.path().join(TABLE), table).unwrap();
        folder
    }

    fn letters() -> Vec<String> {
        LETTERS.map(String::from).to_vec()
    }

    fn words() -> Words {
        let joints = std::array::from_fn(|joint| [joint as f32 / 21.0 - 0.5, 0.0]);
        let crops: Vec<SeenCrop> = (LETTERS.iter().enumerate())
            .map(|(at, label)| SeenCrop {
                signer: "x".to_owned(),
                label: (*label).to_owned(),
                probabilities: (0..13).map(|p| if p == at { 1.0 } else { 0.0 }).collect(),
                joints: Some(joints),
            })
            .collect();
        Words::new(&letters(), &crops, Vec::new()).unwrap()
    }

    #[test]
    fn every_kind_of_sequence_is_learned_from_and_words_come_from_ways() {
        let ways: Vec<String> = (LETTERS.iter())
            .chain([&REST])
            .flat_map(|from| {
                LETTERS
                    .iter()
                    .map(move |to| format!("transition {from}>{to}"))
            })
            .collect();
        let mut rows = vec![
            ("people", 0, 20, "J", "dynamic"),
            ("people", 0, 20, "Z", "dynamic"),
            ("people", 0, 20, "A", "held"),
            ("people", 0, 20, "sign: house", "sign"),
            ("words", 0, 40, "ABBA", "spelled"),
        ];
        rows.extend(
            ways.iter()
                .map(|way| ("animation", 0, 24, &**way, "transition")),
        );
        let folder = folder(&rows);
        let paths = Paths::read(folder.path(), &letters()).unwrap();
        assert_eq!(paths.count(), rows.len());
        let words = words();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let mut rng = StdRng::seed_from_u64(seed);
            // Of signs the words know no past.
            let Some(track) = paths.track(Some(&words), &mut rng) else {
                continue;
            };
            assert!(track.frames.is_sorted_by(|a, b| a.time < b.time));
            let joints = track.frames.iter().filter_map(|frame| frame.joints);
            let numbers = joints.flat_map(|joints| joints.into_iter().flatten());
            assert!(numbers.into_iter().all(f32::is_finite));
            seen.insert(track.letters);
        }
        for expected in [vec![9], vec![11], vec![0], vec![], vec![0, 1, 1, 0]] {
            assert!(seen.contains(&expected), "{expected:?} of {seen:?}");
        }
        let long = seen.iter().filter(|letters| letters.len() > 1);
        assert!(long.count() > 20, "words of ways: {seen:?}");
    }

    #[test]
    fn frames_that_are_not_there_are_named() {
        let folder = folder(&[("people", 30, 20, "J", "dynamic")]);
        let error = Paths::read(folder.path(), &letters()).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("frames 30 to 50 of people"), "{said}");
    }
}

//! A text, spelled by a hand over time.

use std::fmt;
use std::str::FromStr;

use super::alphabet;
use super::mesh::Mesh;
use super::movement::Movement;
use super::pose::Pose;
use super::skeleton::{WRIST, posed};
use super::vector::{Vec3, vec3};

/// How long a letter is held, in seconds.
const HOLD: f32 = 0.8;
/// From one letter to the next.
const CHANGE: f32 = 0.3;
/// Between two of the same letter, the hand lets go for so long.
const RELEASE: f32 = 0.5;
/// The hand rises and falls.
const RISE: f32 = 0.55;
/// The hand is out of view for so long between words.
const PAUSE: f32 = 1.3;
/// Before the first word.
const START: f32 = 0.5;
/// A letter that is a movement is held still for so long before.
const BEFORE_MOVEMENT: f32 = 0.35;
/// And after.
const AFTER_MOVEMENT: f32 = 0.15;

/// How far a hand falls to be out of view, in metres.
const FALL: f32 = 0.62;

/// Letters of the English alphabet and spaces between them: what the demo can spell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    words: Vec<String>,
}

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let other = |c: &char| !c.is_ascii_alphabetic() && !c.is_whitespace();
        if let Some(other) = text.chars().find(other) {
            return Err(format!(
                "the demo spells letters from A to Z and spaces, not {other:?}"
            ));
        }
        let words: Vec<_> = text
            .split_whitespace()
            .map(str::to_ascii_uppercase)
            .collect();
        match words.is_empty() {
            true => Err("there is no letter to spell".into()),
            false => Ok(Text { words }),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// What the hand does at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The word that is spelled, counted from 0.
    pub word: usize,
    /// How the hand is held.
    pub pose: Pose,
    /// Where the wrist is, from the place before the camera where the hand's middle is held, in
    /// metres; far below while the hand rests.
    pub shift: Vec3,
}

/// A hand that spells a text.
#[derive(Debug, Clone)]
pub struct Spelling {
    keys: Vec<Key>,
}

/// How the hand is held at a time, and until the next key.
#[derive(Debug, Clone)]
struct Key {
    time: f32,
    word: usize,
    pose: Pose,
    shift: Vec3,
    /// The movement that goes on until the next key.
    movement: Option<Movement>,
}

impl Spelling {
    /// Spells `text`, at the pace of a learner.
    pub fn new(text: &Text) -> Spelling {
        let mut writer = Writer {
            keys: Vec::new(),
            time: 0.0,
            word: 0,
        };
        for (word, letters) in text.words.iter().enumerate() {
            writer.word = word;
            writer.spell(letters, if word == 0 { START } else { PAUSE });
        }
        writer.time += PAUSE;
        if let Some(last) = writer.keys.last().cloned() {
            writer.key(last.pose, last.shift);
        }
        Spelling { keys: writer.keys }
    }

    /// How long it takes, in seconds.
    pub fn seconds(&self) -> f32 {
        self.keys.last().map_or(0.0, |key| key.time)
    }

    /// What the hand does so many seconds after the start; `None` before it and after the end.
    pub fn at(&self, seconds: f32) -> Option<Moment> {
        let next = self.keys.partition_point(|key| key.time <= seconds);
        let from = self.keys.get(next.checked_sub(1)?)?;
        let to = self.keys.get(next)?;
        let share = (seconds - from.time) / (to.time - from.time);
        if let Some(movement) = &from.movement {
            let (shift, turn) = movement.at(share);
            return Some(Moment {
                word: from.word,
                pose: from.pose.turned(turn),
                shift: from.shift + shift,
            });
        }
        let eased = share * share * (3.0 - 2.0 * share);
        Some(Moment {
            word: from.word,
            pose: from.pose.towards(&to.pose, eased),
            shift: from.shift.towards(to.shift, eased) + sway(seconds),
        })
    }
}

/// Nobody holds a hand quite still: some millimetres, slowly.
fn sway(seconds: f32) -> Vec3 {
    let wave = |rate: f32, phase: f32| (seconds * rate + phase).sin();
    vec3(
        wave(2.1, 0.0) + 0.5 * wave(5.3, 1.0),
        wave(1.7, 2.0) + 0.5 * wave(4.6, 0.3),
        wave(1.3, 4.0),
    ) * 0.0022
}

/// Writes keys one after the other.
struct Writer {
    keys: Vec<Key>,
    time: f32,
    word: usize,
}

impl Writer {
    fn key(&mut self, pose: Pose, shift: Vec3) {
        self.keys.push(Key {
            time: self.time,
            word: self.word,
            pose,
            shift,
            movement: None,
        });
    }

    /// Raises the hand after a pause, spells a word and lowers it again.
    fn spell(&mut self, word: &str, pause: f32) {
        let Some(resting) = alphabet::pose("open") else {
            return;
        };
        let low = middle(&resting) + vec3(-0.05, -FALL, 0.0);
        self.key(resting, low);
        self.time += pause;
        self.key(resting, low);
        self.time += RISE;
        let mut before = None;
        for letter in word.chars() {
            let name = letter.to_string();
            let Some(pose) = alphabet::pose(&name) else {
                continue;
            };
            match before {
                None => {}
                Some(last) if last == letter => self.release(),
                Some(_) => self.time += CHANGE,
            }
            self.letter(&name, pose);
            before = Some(letter);
        }
        self.time += RISE;
        self.key(resting, low);
    }

    /// Holds or moves a letter, from now on.
    fn letter(&mut self, name: &str, pose: Pose) {
        let still = middle(&pose);
        let Some(movement) = Movement::of(name) else {
            self.key(pose, still);
            self.time += HOLD;
            self.key(pose, still);
            return;
        };
        // So that the whole movement is in view.
        let start = still + movement.start();
        self.key(pose, start);
        self.time += BEFORE_MOVEMENT;
        let (shift, turn) = movement.at(1.0);
        let seconds = movement.seconds;
        self.key(pose, start);
        if let Some(key) = self.keys.last_mut() {
            key.movement = Some(movement);
        }
        self.time += seconds;
        self.key(pose.turned(turn), start + shift);
        self.time += AFTER_MOVEMENT;
        self.key(pose.turned(turn), start + shift);
    }

    /// Lets go of a letter that comes again: the hand opens and sinks.
    fn release(&mut self) {
        let Some(open) = alphabet::pose("open") else {
            return;
        };
        let shift = middle(&open) + vec3(-0.02, -0.05, 0.0);
        self.time += CHANGE;
        self.key(open, shift);
        self.time += RELEASE;
        self.key(open, shift);
        self.time += CHANGE;
    }
}

/// Where the wrist is when the middle of a hand in this pose is where hands are held, nearly: a
/// signer who points across moves the whole arm aside, but not all the way.
fn middle(pose: &Pose) -> Vec3 {
    const SHARE: f32 = 0.8;
    let posed = posed(&Mesh::hand().joints, pose);
    let points = posed.points();
    let sum = points
        .iter()
        .fold(Vec3::default(), |sum, &point| sum + point);
    (posed.places[WRIST] - sum * (1.0 / points.len() as f32)) * SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(text: &str) -> Spelling {
        Spelling::new(&text.parse().unwrap())
    }

    /// Moments at 30 frames a second.
    fn moments(spelling: &Spelling) -> Vec<Moment> {
        let frames = (spelling.seconds() * 30.0) as usize;
        (0..frames)
            .filter_map(|frame| spelling.at(frame as f32 / 30.0))
            .collect()
    }

    #[test]
    fn what_is_no_letter_is_refused() {
        for wrong in ["", "  ", "R2D2", "naïve", "yes!"] {
            assert!(wrong.parse::<Text>().is_err(), "{wrong}");
        }
        assert_eq!("no  way".parse::<Text>().unwrap().to_string(), "NO WAY");
    }

    #[test]
    fn the_hand_moves_without_jumps_through_poses_that_a_hand_can_take() {
        let moments = moments(&spelling("jazz zebra quick"));
        for pair in moments.windows(2) {
            assert!(pair[1].pose.is_possible(), "{:?}", pair[1].pose);
            let moved = (pair[1].shift - pair[0].shift).length();
            assert!(moved < 0.08, "{moved} m between frames");
        }
    }

    #[test]
    fn a_letter_that_comes_twice_is_let_go_in_between() {
        let l = alphabet::pose("L").unwrap();
        let held: Vec<bool> = moments(&spelling("LL"))
            .iter()
            .map(|moment| moment.pose == l)
            .collect();
        let begins = held.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert_eq!(begins, 2);
    }

    #[test]
    fn between_words_the_hand_is_out_of_view() {
        let spelling = spelling("A B");
        let moments = moments(&spelling);
        let low = |moment: &Moment| moment.shift.y < -FALL;
        let change = moments
            .windows(2)
            .position(|pair| pair[0].word < pair[1].word);
        let change = change.unwrap();
        assert!(low(&moments[change]) && low(&moments[change + 1]));
    }

    #[test]
    fn before_the_start_and_after_the_end_there_is_no_hand() {
        let spelling = spelling("A");
        assert!(spelling.at(-0.1).is_none());
        assert!(spelling.at(spelling.seconds() + 0.1).is_none());
    }
}

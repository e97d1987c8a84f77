//! Readings, and what they spell, as JSON lines.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::base::joints::Joints;
use crate::recognize::Reading;
use crate::recognize::practice::Step;
use crate::recognize::speller::{Change, Typed};

/// A reading's line: what other programs read.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// The frame's sequence number.
    seq: u64,
    /// The frame's media time.
    t_ms: f64,
    letter: Option<&'a str>,
    confidence: f32,
    top: Vec<(&'a str, f32)>,
    /// The hand's left, top, width and height in fractions of the frame.
    #[serde(rename = "box")]
    hand: Option<[f32; 4]>,
    /// The hand's joints, x and y of each in fractions of the frame.
    joints: Option<Joints>,
    /// From the frame's capture until now.
    age_ms: f64,
    /// What the letters spell so far.
    text: &'a str,
}

/// The line of a change to the text, which follows that of the reading that made it.
#[derive(Debug, Serialize)]
struct EventLine<'a> {
    event: &'a str,
    /// The reading's media time.
    t_ms: f64,
    /// The letter that was typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<&'a str>,
    /// The text since then.
    text: &'a str,
}

/// Media times and ages, as precise as they are.
fn tenths(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

/// To a share of a picture that no pixel notices: more digits are noise of the arithmetic.
fn rounded(share: f32) -> f32 {
    (share * 1e5).round() / 1e5
}

/// Writes a reading as one line of JSON and flushes it, so that a reader sees it at once. `text` is
/// what was spelled so far.
///
/// Returns `false` when nobody reads any more: the pipe was closed.
///
/// # Errors
/// When the line cannot be written for another reason.
pub fn write(reading: &Reading, text: &str, out: &mut impl Write) -> io::Result<bool> {
    let line = Line {
        seq: reading.seq,
        t_ms: tenths(reading.time.as_secs_f64() * 1000.0),
        letter: reading.letter.as_deref(),
        confidence: reading.confidence,
        top: reading
            .top
            .iter()
            .map(|(label, p)| (&**label, *p))
            .collect(),
        hand: reading
            .hand
            .map(|hand| [hand.x0, hand.y0, hand.width(), hand.height()].map(rounded)),
        joints: (reading.joints).map(|joints| joints.map(|joint| joint.map(rounded))),
        age_ms: tenths((Instant::now() - reading.captured).as_secs_f64() * 1000.0),
        text,
    };
    write_line(&line, out)
}

/// Writes a change to the text, made by the reading of media time `time`: an object whose `event`
/// is `letter`, `space` or `delete`.
///
/// Returns `false` when nobody reads any more.
///
/// # Errors
/// As [`write()`].
pub fn write_change(typed: &Typed, time: Duration, out: &mut impl Write) -> io::Result<bool> {
    let (event, letter) = match &typed.change {
        Change::Letter(letter) => ("letter", Some(&**letter)),
        Change::Space => ("space", None),
        Change::Delete => ("delete", None),
    };
    let line = EventLine {
        event,
        t_ms: tenths(time.as_secs_f64() * 1000.0),
        letter,
        text: &typed.text,
    };
    write_line(&line, out)
}

/// Writes the whole text, at the end: an object whose `event` is `text`.
///
/// Returns `false` when nobody reads any more.
///
/// # Errors
/// As [`write()`].
pub fn write_text(text: &str, time: Duration, out: &mut impl Write) -> io::Result<bool> {
    let line = EventLine {
        event: "text",
        t_ms: tenths(time.as_secs_f64() * 1000.0),
        letter: None,
        text,
    };
    write_line(&line, out)
}

/// The line of a practice, which follows that of the reading that furthered it.
#[derive(Debug, Serialize)]
struct PracticeLine<'a> {
    event: &'a str,
    /// The reading's media time.
    t_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<&'a str>,
}

/// Writes what became of a practice with the reading of media time `time`: an object whose `event`
/// is `ask` with the letter that is asked for, `signed` with the one that was signed, or `done` once
/// all were.
///
/// Returns `false` when nobody reads any more.
///
/// # Errors
/// As [`write()`].
pub fn write_practice(step: &Step, time: Duration, out: &mut impl Write) -> io::Result<bool> {
    let (event, letter) = match step {
        Step::Ask(letter) => ("ask", Some(&**letter)),
        Step::Signed(letter) => ("signed", Some(&**letter)),
        Step::Done => ("done", None),
    };
    let line = PracticeLine {
        event,
        t_ms: tenths(time.as_secs_f64() * 1000.0),
        letter,
    };
    write_line(&line, out)
}

fn write_line(line: &impl Serialize, out: &mut impl Write) -> io::Result<bool> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    match out.write_all(&bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::base::frame::Rect;
    use crate::recognize::ReadingTimes;
    use crate::recognize::motion::Movement;

    fn reading(letter: Option<&str>) -> Reading {
        Reading {
            seq: 7,
            captured: Instant::now(),
            time: Duration::from_micros(233_333),
            letter: letter.map(Arc::from),
            confidence: 0.75,
            top: vec![("A".into(), 0.75), ("S".into(), 0.125)],
            hand: letter.map(|_| Rect {
                x0: 0.25,
                y0: 0.5,
                x1: 0.5,
                y1: 1.0,
            }),
            joints: None,
            movement: Movement::None,
            steps: None,
            times: ReadingTimes::default(),
        }
    }

    fn line(write: impl FnOnce(&mut Vec<u8>) -> io::Result<bool>) -> Value {
        let mut out = Vec::new();
        assert!(write(&mut out).unwrap());
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
    }

    fn written(reading: &Reading) -> Value {
        line(|out| write(reading, "HA", out))
    }

    #[test]
    fn a_line_has_the_fields_that_other_programs_read() {
        let mut line = written(&reading(Some("A")));
        let age = line["age_ms"].take();
        assert!(age.as_f64().is_some_and(|age| age >= 0.0), "{age}");
        assert_eq!(
            line,
            json!({"seq": 7, "t_ms": 233.3, "letter": "A", "confidence": 0.75,
                   "top": [["A", 0.75], ["S", 0.125]], "box": [0.25, 0.5, 0.25, 0.5],
                   "joints": null, "age_ms": null, "text": "HA"})
        );
    }

    #[test]
    fn joints_are_pairs_in_fractions_of_the_frame() {
        let mut joints = [[0.5, 0.25]; 21];
        joints[4] = [0.123_456_7, -0.01];
        let line = written(&Reading {
            joints: Some(joints),
            ..reading(Some("A"))
        });
        let joints = line["joints"].as_array().unwrap();
        assert_eq!(joints.len(), 21);
        assert_eq!(joints[0], json!([0.5, 0.25]));
        let at = |axis: usize| joints[4][axis].as_f64().unwrap();
        assert!((at(0) - 0.12346).abs() < 1e-6 && (at(1) + 0.01).abs() < 1e-6);
    }

    #[test]
    fn no_letter_and_no_hand_are_null() {
        let line = written(&reading(None));
        assert!(line["letter"].is_null() && line["box"].is_null());
    }

    #[test]
    fn changes_to_the_text_are_lines_of_their_own_with_the_text_they_led_to() {
        let time = Duration::from_micros(233_333);
        let changed = |change| Typed {
            change,
            text: "HA".into(),
        };
        let letter = changed(Change::Letter("A".into()));
        let letter = line(|out| write_change(&letter, time, out));
        assert_eq!(
            letter,
            json!({"event": "letter", "t_ms": 233.3, "letter": "A", "text": "HA"})
        );
        let space = line(|out| write_change(&changed(Change::Space), time, out));
        assert_eq!(
            space,
            json!({"event": "space", "t_ms": 233.3, "text": "HA"})
        );
        let end = line(|out| write_text("HA", time, out));
        assert_eq!(end, json!({"event": "text", "t_ms": 233.3, "text": "HA"}));
    }

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_an_end_and_not_an_error() {
        assert!(!write(&reading(None), "", &mut ClosedPipe).unwrap());
    }
}

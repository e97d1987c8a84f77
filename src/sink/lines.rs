//! Readings as JSON lines.

use std::io::{self, Write};
use std::time::Instant;

use serde::Serialize;

use crate::recognize::Reading;

/// One line: what other programs read.
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
    /// From the frame's capture until now.
    age_ms: f64,
    /// What the letters spell so far.
    text: &'a str,
}

/// To a share of a picture that no pixel notices: more digits are noise of the arithmetic.
fn rounded(share: f32) -> f32 {
    (share * 1e5).round() / 1e5
}

/// Writes a reading as one line of JSON and flushes it, so that a reader sees it at once.
///
/// Returns `false` when nobody reads any more: the pipe was closed.
///
/// # Errors
/// When the line cannot be written for another reason.
pub fn write(reading: &Reading, out: &mut impl Write) -> io::Result<bool> {
    let tenths = |ms: f64| (ms * 10.0).round() / 10.0;
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
        age_ms: tenths((Instant::now() - reading.captured).as_secs_f64() * 1000.0),
        text: "",
    };
    let mut bytes = serde_json::to_vec(&line)?;
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
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::frame::Rect;
    use crate::recognize::ReadingTimes;

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
            times: ReadingTimes::default(),
        }
    }

    fn written(reading: &Reading) -> Value {
        let mut out = Vec::new();
        assert!(write(reading, &mut out).unwrap());
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&out).unwrap()
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
                   "age_ms": null, "text": ""})
        );
    }

    #[test]
    fn no_letter_and_no_hand_are_null() {
        let line = written(&reading(None));
        assert!(line["letter"].is_null() && line["box"].is_null());
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
        assert!(!write(&reading(None), &mut ClosedPipe).unwrap());
    }
}

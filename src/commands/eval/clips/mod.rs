//! `signcam eval --clips`: what is typed of labelled clips, read as if they were watched live.
//!
//! Every frame is read, at the time of its own stamp, by the recognizer and the speller that watch a
//! camera; nothing is told to them of what the clip shows.

mod distance;
mod report;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::base::frame::{FramePool, Rect};
use crate::commands::inputs::ReaderArgs;
use crate::commands::progress::Progress;
use crate::model::NOTHING;
use crate::recognize::Recognizer;
use crate::recognize::speller::{Change, Speller, Spelling};
use crate::source::clips::{self, Boxes, Clip};
use crate::source::{Event, Origin, Pace, video};
pub use report::Report;

/// A found box is on a hand from this intersection over union on, and beside every hand below the
/// second one.
const ON_HAND: f32 = 0.5;
const BESIDE: f32 = 0.1;

/// A letter that was not seen for so long before it was typed says nothing of delay.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// What was read of a clip.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What was typed, without spaces.
    pub text: String,
    /// How long the clip is.
    pub length: Duration,
    /// For each letter typed, the time since the last frame that shows it, in milliseconds.
    pub delays_ms: Vec<f64>,
    /// Where the hand was found.
    pub found: Found,
}

/// Where the hand was found, in frames of which it is known where hands are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Found {
    /// All of them.
    pub frames: usize,
    /// On one of the hands.
    pub on_hand: usize,
    /// Found, but not on a hand.
    pub elsewhere: usize,
    /// Of these, beside every hand.
    pub beside: usize,
    /// No hand was found.
    pub none: usize,
}

impl Found {
    fn count(&mut self, found: Option<Rect>, hands: &[Rect]) {
        self.frames += 1;
        let Some(found) = found else {
            self.none += 1;
            return;
        };
        let best = hands.iter().map(|hand| found.iou(hand)).fold(0.0, f32::max);
        match best >= ON_HAND {
            true => self.on_hand += 1,
            false => self.elsewhere += 1,
        }
        self.beside += usize::from(best < BESIDE);
    }

    fn add(&mut self, other: Found) {
        self.frames += other.frames;
        self.on_hand += other.on_hand;
        self.elsewhere += other.elsewhere;
        self.beside += other.beside;
        self.none += other.none;
    }
}

/// Reads the clips of a table and returns what is to be printed.
///
/// # Errors
/// When the table or the model cannot be read, or not a single clip can.
pub(super) fn eval_clips(
    table: &Path,
    split: Option<&str>,
    reader: &ReaderArgs,
    json: bool,
) -> Result<String> {
    let clips = clips::clips(table, split)?;
    let boxes = Boxes::beside(table)?;
    let outcomes = read_all(&clips, boxes.as_ref(), reader)?;
    if let Some(Err(error)) = outcomes.first()
        && outcomes.iter().all(Result::is_err)
    {
        bail!(
            "none of the {} clips of {} can be read; the first: {error}",
            clips.len(),
            table.display()
        );
    }
    let report = Report::new(&clips, &outcomes, boxes.is_some());
    Ok(match json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => report.table(),
    })
}

/// The figures of clips that were read, where hands are not known.
pub fn figures(clips: &[Clip], outcomes: &[Result<Outcome, String>]) -> Report {
    Report::new(clips, outcomes, false)
}

/// Reads every clip, on all cores. What cannot be read is an error in words.
fn read_all(
    clips: &[Clip],
    boxes: Option<&Boxes>,
    reader: &ReaderArgs,
) -> Result<Vec<Result<Outcome, String>>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let progress = Mutex::new(Progress::new(Some(clips.len() as u64), "clips"));
    let work = |recognizer: &Recognizer| {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(clip) = clips.get(at) else {
                return done;
            };
            let outcome = read(clip, boxes, recognizer.clone());
            if let Err(error) = &outcome {
                tracing::warn!("{} is left out: {error:#}", clip.path.display());
            }
            done.push((at, outcome.map_err(|error| format!("{error:#}"))));
            let mut progress = progress.lock().unwrap_or_else(|held| held.into_inner());
            progress.tell(|| clip.name.clone());
        }
    };
    let mut outcomes = Vec::new();
    // A video's frames follow each other, which is all that matters of where they come from here.
    let Some(first) = clips.first() else {
        return Ok(Vec::new());
    };
    let recognizer = reader.recognizer(&Origin::Path(first.path.clone()))?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores.min(clips.len()))
            .map(|_| scope.spawn(|| work(&recognizer)))
            .collect();
        for thread in threads {
            let part = thread.join();
            outcomes.extend(part.map_err(|_| anyhow!("a thread that reads clips gave up"))?);
        }
        anyhow::Ok(())
    })?;
    let progress = progress.into_inner();
    progress.unwrap_or_else(|held| held.into_inner()).end();
    outcomes.sort_by_key(|&(at, _)| at);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Reads one clip from its first frame to its last.
fn read(clip: &Clip, boxes: Option<&Boxes>, mut recognizer: Recognizer) -> Result<Outcome> {
    let mut source = video::open(&clip.path, Pace::Max)?;
    let mut speller = Speller::new(Spelling::DEFAULT);
    let mut last_seen = LastSeen::new(&recognizer);
    let mut outcome = Outcome::default();
    let pool = FramePool::new();
    loop {
        let frame = match source.next(&pool)? {
            Event::Frame { frame, .. } => frame,
            Event::Waiting(_) => continue,
            Event::End => break,
        };
        let reading = recognizer.read(&frame)?;
        if let Some(hands) = boxes.and_then(|boxes| boxes.hands(&clip.name, frame.seq)) {
            outcome.found.count(reading.hand, hands);
        }
        last_seen.note(&recognizer.observation().probabilities, frame.time);
        for typed in speller.read(&reading) {
            if let Change::Letter(letter) = typed.change {
                outcome
                    .delays_ms
                    .extend(last_seen.delay_ms(&letter, frame.time));
            }
        }
        outcome.length = frame.time;
    }
    let text = speller.text().chars();
    outcome.text = text.filter(|letter| !letter.is_whitespace()).collect();
    Ok(outcome)
}

/// When each class was last the most probable one of a frame by itself.
struct LastSeen {
    labels: Vec<String>,
    times: Vec<Option<Duration>>,
}

impl LastSeen {
    fn new(recognizer: &Recognizer) -> LastSeen {
        let labels = recognizer.model().labels();
        let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
        LastSeen {
            times: vec![None; labels.len()],
            labels,
        }
    }

    fn note(&mut self, probabilities: &[f32], time: Duration) {
        let best = probabilities.iter().enumerate();
        let Some((best, _)) = best.max_by(|a, b| a.1.total_cmp(b.1)) else {
            return;
        };
        if let Some(seen) = self.times.get_mut(best) {
            *seen = Some(time);
        }
    }

    /// The time from the last frame that shows `letter` to `time`, where it was seen lately.
    fn delay_ms(&self, letter: &str, time: Duration) -> Option<f64> {
        let at = self.labels.iter().position(|label| label == letter)?;
        let delay = time.saturating_sub((*self.times.get(at)?)?);
        (letter != NOTHING && delay <= LONGEST_DELAY).then_some(delay.as_secs_f64() * 1e3)
    }
}

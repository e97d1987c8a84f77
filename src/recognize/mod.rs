//! Frame in, [`Reading`] out.

pub mod crop;
pub mod finder;
pub mod hand;
pub mod letter;
pub mod motion;
pub mod observation;
pub mod practice;
pub mod sequence;
pub mod speller;
pub mod steady;
mod track;
pub mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::base::frame::{Frame, Rect};
use crate::base::joints::{Joints, hull};
use crate::model::{Model, NOTHING};
use finder::Found;
use hand::Tracker;
use letter::{LetterReader, Scores};
use motion::{Drawing, Motion, Movement, Seen};
use observation::Observation;
use sequence::{SequenceReader, Steps};
use steady::{Steady, Steadying};
use track::fits;

/// A letter less probable than this is not shown, unless told otherwise.
pub const THRESHOLD: f32 = 0.5;

/// The networks that are built into the program to read a frame: the finder and the letter network.
pub const EMBEDDED_NETWORKS: [&[u8]; 2] = [finder::EMBEDDED, crate::model::EMBEDDED];

/// How many of the most probable classes a [`Reading`] names.
const TOP: usize = 5;

/// What was read from one frame.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The frame's sequence number.
    pub seq: u64,
    /// The frame's capture time.
    pub captured: Instant,
    /// The frame's media time.
    pub time: Duration,
    /// The letter shown, or `None` where no letter is signed or none is certain enough.
    pub letter: Option<Arc<str>>,
    /// Probability of the most probable class, 0 to 1.
    pub confidence: f32,
    /// The most probable classes with their probabilities, best first; `nothing` may be among them.
    /// Empty where no hand was found.
    pub top: Vec<(Arc<str>, f32)>,
    /// The hand's box, which hugs the hand; `None` where no hand was found, or the whole picture was
    /// read.
    pub hand: Option<Rect>,
    /// The hand's joints in fractions of the frame, not steadied; `None` where no hand was found,
    /// the network does not give them, or what it gives fits no hand in the box.
    pub joints: Option<Joints>,
    /// What the hand's movement says about the letter.
    pub movement: Movement,
    /// What the network that reads sequences says of the time up to this frame; `None` without one.
    pub steps: Option<Steps>,
    /// What each step took.
    pub times: ReadingTimes,
}

/// What the steps of one reading took.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadingTimes {
    /// Finding or following the hand.
    pub find: Duration,
    /// Cropping and resizing.
    pub preprocess: Duration,
    /// The letter network.
    pub infer: Duration,
}

/// How a [`Recognizer`] reads.
#[derive(Debug, Clone)]
pub struct RecognizerOptions {
    /// A letter less probable than this is not shown; 0 to 1.
    pub threshold: f32,
    /// Where the hand is looked for.
    pub place: HandPlace,
    /// How the letter is kept steady over frames; `None` where each frame stands for itself.
    pub steadying: Option<Steadying>,
}

/// Where the hand is looked for in a frame.
#[derive(Debug, Clone)]
pub enum HandPlace {
    /// Where it is found; it is followed from frame to frame.
    Found(Box<Tracker>),
    /// Always in this box, into which the signer puts the hand. A box hugs the hand: what the
    /// network sees around it follows from the model's crop scale.
    Guide(Rect),
    /// Nowhere: the network reads whole pictures.
    Whole,
}

impl HandPlace {
    /// The hand's box as it was found in the last frame, not steadied; `None` where it was not.
    fn seen(&self) -> Option<Rect> {
        match self {
            HandPlace::Found(tracker) => tracker.seen(),
            HandPlace::Guide(_) | HandPlace::Whole => None,
        }
    }

    /// A guide box for a signer who sits before the camera and raises one hand beside the face:
    /// square in a picture of 4:3, on the picture's left, which a mirrored display shows where
    /// a right hand is.
    pub const GUIDE: HandPlace = HandPlace::Guide(Rect {
        x0: 0.08,
        y0: 0.26,
        x1: 0.44,
        y1: 0.74,
    });
}

/// Reads letters from frames, one after the other.
#[derive(Debug, Clone)]
pub struct Recognizer {
    reader: LetterReader,
    options: RecognizerOptions,
    steady: Steady,
    /// Tells letters that are drawn in the air, where hands are followed over frames.
    motion: Motion,
    /// The last frame's media time.
    time: Option<Duration>,
    /// What the last frame says by itself.
    observation: Observation,
    /// Reads what frames say one after the other, where the letters are those it knows.
    sequence: Option<SequenceReader>,
    /// The same, drawn letters counted as the still ones they look like.
    probabilities: Vec<f32>,
}

impl Recognizer {
    /// Reads with this network in this way.
    pub fn new(model: Model, options: RecognizerOptions) -> Self {
        let motion = match options.place {
            HandPlace::Found(_) => Motion::new(model.labels()),
            // The box stays where it is, whatever the hand does.
            HandPlace::Guide(_) | HandPlace::Whole => Motion::default(),
        };
        Recognizer {
            reader: LetterReader::new(model),
            options,
            motion,
            steady: Steady::default(),
            time: None,
            observation: Observation::default(),
            sequence: None,
            probabilities: Vec::new(),
        }
    }

    /// Reads sequences of frames, too, which must follow each other.
    pub fn reading_sequences(self, sequence: Option<SequenceReader>) -> Self {
        Recognizer { sequence, ..self }
    }

    /// What the frame that was read last says by itself.
    pub fn observation(&self) -> &Observation {
        &self.observation
    }

    /// The letter network.
    pub fn model(&self) -> &Model {
        self.reader.model()
    }

    /// Reads a frame as [`Recognizer::read`] does; where the hand is looked for in a box only, it is
    /// this one from now on.
    ///
    /// # Errors
    /// When the network fails.
    pub fn read_guided(&mut self, frame: &Frame, guide: Rect) -> Result<Reading> {
        if let HandPlace::Guide(place) = &mut self.options.place {
            *place = guide;
        }
        self.read(frame)
    }

    /// Finds the hand in a frame and reads its letter. A frame without a hand is read as no
    /// letter. A network of whole pictures reads the frame.
    ///
    /// # Errors
    /// When the network fails.
    pub fn read(&mut self, frame: &Frame) -> Result<Reading> {
        let start = Instant::now();
        let found = self.find(frame)?;
        let find = start.elapsed();
        let mut reading = Reading {
            seq: frame.seq,
            captured: frame.captured,
            time: frame.time,
            letter: None,
            confidence: 0.0,
            top: Vec::new(),
            hand: None,
            joints: None,
            movement: Movement::None,
            steps: None,
            times: ReadingTimes {
                find,
                ..ReadingTimes::default()
            },
        };
        self.observe_nothing(frame);
        if let Some(found) = found {
            let is_whole = matches!(self.options.place, HandPlace::Whole);
            let threshold = self.options.threshold;
            let (pixels, width, height) = (&frame.pixels, frame.width, frame.height);
            let scores = self.reader.read(pixels, width, height, found.hand)?;
            let (label, probability) = scores.best();
            let joints = scores.joints.map(|joints| (joints, hull(&joints)));
            let aspect = width as f32 / height.max(1) as f32;
            let mut hand = found.hand;
            if let (HandPlace::Found(tracker), Some((_, hull))) = (&mut self.options.place, joints)
            {
                let letter = (**label != *NOTHING).then_some(probability);
                tracker.read(hull, letter, aspect);
                hand = tracker.hand().unwrap_or(hand);
            }
            if found.is_hand(label) {
                let fit = joints.filter(|(_, hull)| fits(hull, &found.hand, aspect));
                reading.joints = fit.map(|(joints, _)| joints);
                reading.hand = (!is_whole).then_some(hand);
                reading.letter = scores.letter(threshold).map(Arc::clone);
                reading.confidence = probability;
                reading.top = scores.top(TOP);
                let probabilities = scores.iter().map(|(_, probability)| probability);
                self.observation.set_probabilities(probabilities);
                self.observation.is_read = true;
                self.observation.hand = self.options.place.seen();
                self.observation.joints = reading.joints;
            }
            reading.times.preprocess = scores.preprocess;
            reading.times.infer = scores.infer;
        }
        if let Some(sequence) = &mut self.sequence {
            reading.steps = Some(sequence.read(&self.observation)?);
        }
        if let Some(steadying) = self.options.steadying {
            self.steady(&mut reading, &steadying);
        }
        Ok(reading)
    }

    /// Begins a frame's observation, in which no hand was read yet.
    fn observe_nothing(&mut self, frame: &Frame) {
        let labels = self.reader.model().labels();
        let nothing = labels.iter().position(|label| &**label == NOTHING);
        self.observation.set_nothing(labels.len(), nothing);
        self.observation.time = frame.time;
        self.observation.aspect = frame.width as f32 / frame.height.max(1) as f32;
        self.observation.is_read = false;
        self.observation.hand = None;
        self.observation.joints = None;
    }

    /// Replaces what one frame says by what the last ones say.
    fn steady(&mut self, reading: &mut Reading, steadying: &Steadying) {
        let elapsed = self.time.and_then(|last| reading.time.checked_sub(last));
        self.time = Some(reading.time);
        let labels = self.reader.model().labels();
        let nothing = labels.iter().position(|label| &**label == NOTHING);
        let seen = Seen {
            time: reading.time,
            hand: self.observation.hand,
            aspect: self.observation.aspect,
            probabilities: &self.observation.probabilities,
        };
        reading.movement = self.motion.update(&seen, &Drawing::DEFAULT);
        self.probabilities.clear();
        (self.probabilities).extend_from_slice(&self.observation.probabilities);
        self.motion.pool(&mut self.probabilities);
        let elapsed = elapsed.unwrap_or(Duration::MAX);
        self.steady.update(&self.probabilities, elapsed, steadying);
        let shown = self.steady.show(nothing, self.options.threshold, steadying);
        let mut average = self.steady.average().to_vec();
        let drawn = self.motion.settle(&mut average);
        reading.letter = (drawn.or(shown).and_then(|at| labels.get(at))).map(Arc::clone);
        if self.observation.is_read {
            let mut top: Vec<_> = labels.iter().map(Arc::clone).zip(average).collect();
            top.sort_by(|a, b| b.1.total_cmp(&a.1));
            top.truncate(TOP);
            reading.confidence = top.first().map_or(0.0, |(_, probability)| *probability);
            reading.top = top;
        }
    }

    /// Reads the letter of a hand whose box is known, in a picture of `height * width` RGB pixels.
    ///
    /// # Errors
    /// When the box is degenerate or outside the picture, or the network fails.
    pub fn read_at(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        hand: Rect,
    ) -> Result<Scores<'_>> {
        self.reader.read(pixels, width, height, hand)
    }

    /// The hand in a frame, where there is one that can be cropped.
    fn find(&mut self, frame: &Frame) -> Result<Option<Found>> {
        let found = match &mut self.options.place {
            HandPlace::Guide(hand) => Some(Found::certain(*hand)),
            HandPlace::Found(tracker) => tracker.follow(frame)?,
            HandPlace::Whole => Some(Found::certain(Rect::FULL)),
        };
        let scale = self.model().metadata().preprocessing.crop_scale;
        let reads = self.model().reads();
        let (width, height) = (frame.width, frame.height);
        Ok(found.filter(|found| {
            let region = reads.region(found.hand, scale, width, height);
            crop::can_crop(region, width, height)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Metadata, NOTHING, Preprocessing};
    use crate::train::file::export::to_f32;
    use crate::train::file::graph::{Conv, Dense, Graph};
    use prost::Message;

    /// Reads "R" from red, "G" from green and nothing from blue.
    fn recognizer(guide: Rect) -> Recognizer {
        let same = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let mut graph = Graph::new(16).unwrap();
        let conv = Conv::new(3, 3, 1, same.clone());
        let x = graph.conv("colour", graph.image(), conv).unwrap();
        let x = graph.global_average_pool("mean", x).unwrap();
        let x = graph.dense("head", x, Dense::new(3, 3, same)).unwrap();
        graph.output("logits", x).unwrap();
        let labels = ["R", "G", NOTHING].map(String::from).to_vec();
        let props = Metadata::new(labels, Preprocessing::new(16, 1.35)).to_props();
        let bytes = to_f32(&graph, &props.unwrap()).unwrap().encode_to_vec();
        let options = RecognizerOptions {
            threshold: THRESHOLD,
            place: HandPlace::Guide(guide),
            steadying: None,
        };
        Recognizer::new(Model::from_bytes("colours", &bytes).unwrap(), options)
    }

    /// Red on the left, green on the right, blue below.
    fn frame() -> Frame {
        let mut frame = Frame::empty();
        frame.seq = 7;
        frame.resize(64, 48);
        for (i, pixel) in frame.pixels.chunks_exact_mut(3).enumerate() {
            let colour = match (i % 64, i / 64) {
                (_, 24..) => [0, 0, 255],
                (..32, _) => [255, 0, 0],
                _ => [0, 255, 0],
            };
            pixel.copy_from_slice(&colour);
        }
        frame
    }

    fn rect(x0: f32, y0: f32, x1: f32, y1: f32) -> Rect {
        Rect { x0, y0, x1, y1 }
    }

    #[test]
    fn the_letter_in_the_guide_box_is_read_and_the_box_can_be_moved() {
        let left = rect(0.1, 0.1, 0.35, 0.4);
        let mut recognizer = recognizer(left);
        let reading = recognizer.read(&frame()).unwrap();
        assert_eq!(reading.letter.as_deref(), Some("R"));
        assert_eq!((reading.seq, reading.hand), (7, Some(left)));
        assert_eq!(&*reading.top[0].0, "R");
        assert_eq!(reading.top[0].1, reading.confidence);

        let reading = recognizer
            .read_guided(&frame(), rect(0.65, 0.1, 0.9, 0.4))
            .unwrap();
        assert_eq!(reading.letter.as_deref(), Some("G"));

        let reading = recognizer
            .read_guided(&frame(), rect(0.4, 0.65, 0.6, 0.95))
            .unwrap();
        assert_eq!(reading.letter, None);
        assert_eq!(&*reading.top[0].0, NOTHING);
    }

    /// Prints what is quoted: `cargo test --release --lib delay -- --nocapture`.
    #[test]
    fn steadying_delays_a_change_of_letter_by_no_more_than_is_stated_and_a_frame() {
        let (red, green) = (rect(0.1, 0.1, 0.35, 0.4), rect(0.65, 0.1, 0.9, 0.4));
        for fps in [15, 30, 60] {
            let mut recognizer = recognizer(red);
            recognizer.options.steadying = Some(Steadying::DEFAULT);
            let step = Duration::from_secs(1) / fps;
            let mut frame = frame();
            let mut delay = None;
            for at in 0..fps * 2 {
                frame.time = step * at;
                let reading = recognizer
                    .read_guided(&frame, if at < fps { red } else { green })
                    .unwrap();
                let expected = if at < fps { "R" } else { "G" };
                if at + 1 == fps || at + 1 == fps * 2 {
                    assert_eq!(reading.letter.as_deref(), Some(expected));
                }
                if at >= fps && reading.letter.as_deref() == Some("G") && delay.is_none() {
                    delay = Some(step * (at - fps));
                }
            }
            let delay = delay.unwrap();
            println!("at {fps} frames a second the new letter is shown {delay:?} after its frame");
            assert!(delay <= steady::DELAY + step, "{fps}: {delay:?}");
        }
    }

    #[test]
    fn a_guide_box_outside_the_frame_holds_no_hand() {
        let reading = recognizer(rect(2.0, 0.1, 2.2, 0.3)).read(&frame()).unwrap();
        assert_eq!((reading.letter, reading.hand), (None, None));
        assert!(reading.top.is_empty());
    }
}

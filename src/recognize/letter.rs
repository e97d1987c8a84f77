//! From a hand's place in a picture to a probability for each letter and to its joints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::crop::Cropper;
use crate::base::frame::Rect;
use crate::base::joints::Joints;
use crate::model::{Model, NOTHING};

/// Crops the hand and runs the letter network on it; keeps its buffers.
#[derive(Debug, Clone)]
pub struct LetterReader {
    model: Model,
    cropper: Cropper,
    crop: Vec<u8>,
    probabilities: Vec<f32>,
}

/// What the letter network makes of one hand.
#[derive(Debug, Clone, Copy)]
pub struct Scores<'a> {
    labels: &'a [Arc<str>],
    probabilities: &'a [f32],
    /// The hand's joints in fractions of the picture, where the network gives them.
    pub joints: Option<Joints>,
    /// What cropping and resizing took.
    pub preprocess: Duration,
    /// What the network took.
    pub infer: Duration,
}

impl LetterReader {
    /// A reader with this network.
    pub fn new(model: Model) -> Self {
        let size = model.input_size();
        LetterReader {
            crop: vec![0; size * size * 3],
            probabilities: vec![0.0; model.labels().len()],
            cropper: Cropper::new(),
            model,
        }
    }

    /// The network.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The box to read in a picture of `width` x `height` pixels so that the network sees the whole
    /// picture: that of a hand that fills it, for a network of hands.
    pub fn whole(&self, width: usize, height: usize) -> Rect {
        if self.model.reads().is_whole() {
            return Rect::FULL;
        }
        let (w, h) = (width as f32, height as f32);
        let side = w.max(h) / self.model.metadata().preprocessing.crop_scale;
        Rect {
            x0: 0.5 - side / w / 2.0,
            y0: 0.5 - side / h / 2.0,
            x1: 0.5 + side / w / 2.0,
            y1: 0.5 + side / h / 2.0,
        }
    }

    /// Reads the hand in the box `place` of a picture of `height * width` RGB pixels, or, with a
    /// network of whole pictures, that part of the picture.
    ///
    /// # Errors
    /// When the box is degenerate or outside the picture (see [`Cropper::crop`]), or the network
    /// fails.
    pub fn read(
        &mut self,
        pixels: &[u8],
        width: usize,
        height: usize,
        place: Rect,
    ) -> Result<Scores<'_>> {
        let start = Instant::now();
        let preprocessing = self.model.metadata().preprocessing;
        let scale = preprocessing.crop_scale;
        let region = self.model.reads().region(place, scale, width, height);
        let size = preprocessing.input_size;
        self.cropper
            .squeeze(pixels, width, height, region, size, &mut self.crop)?;
        let cropped = Instant::now();
        let joints = self.model.read(&self.crop, &mut self.probabilities)?;
        let placed = |[x, y]: [f32; 2]| {
            [
                (region.left + x * region.width) / width as f32,
                (region.top + y * region.height) / height as f32,
            ]
        };
        Ok(Scores {
            labels: self.model.labels(),
            probabilities: &self.probabilities,
            joints: joints.map(|joints| joints.map(placed)),
            preprocess: cropped - start,
            infer: cropped.elapsed(),
        })
    }
}

impl<'a> Scores<'a> {
    /// Every label with its probability, in the network's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Arc<str>, f32)> + use<'a> {
        self.labels.iter().zip(self.probabilities.iter().copied())
    }

    /// The most probable label, [`NOTHING`] included, with its probability.
    pub fn best(&self) -> (&'a Arc<str>, f32) {
        let best = self.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        best.unwrap_or_else(|| unreachable!("a model has at least two labels"))
    }

    /// The letter to show: the most probable label, unless that is [`NOTHING`] or less probable
    /// than `threshold`.
    pub fn letter(&self, threshold: f32) -> Option<&'a Arc<str>> {
        let (label, probability) = self.best();
        (probability >= threshold && &**label != NOTHING).then_some(label)
    }

    /// The `count` most probable labels with their probabilities, best first.
    pub fn top(&self, count: usize) -> Vec<(Arc<str>, f32)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(count);
        all.into_iter()
            .map(|(label, probability)| (Arc::clone(label), probability))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores<'a>(labels: &'a [Arc<str>], probabilities: &'a [f32]) -> Scores<'a> {
        Scores {
            labels,
            probabilities,
            joints: None,
            preprocess: Duration::ZERO,
            infer: Duration::ZERO,
        }
    }

    #[test]
    fn no_letter_is_shown_below_the_threshold_or_for_nothing() {
        let labels: Vec<Arc<str>> = ["A", "B", NOTHING].map(Arc::from).to_vec();
        let shown = |probabilities: [f32; 3]| {
            scores(&labels, &probabilities)
                .letter(0.5)
                .map(|letter| letter.to_string())
        };
        assert_eq!(shown([0.1, 0.8, 0.1]).as_deref(), Some("B"));
        assert_eq!(shown([0.2, 0.45, 0.35]), None);
        assert_eq!(shown([0.1, 0.1, 0.8]), None);
    }

    #[test]
    fn the_best_come_first() {
        let labels: Vec<Arc<str>> = ["A", "B", "C"].map(Arc::from).to_vec();
        let top = scores(&labels, &[0.2, 0.1, 0.7]).top(2);
        assert_eq!(top, [(Arc::from("C"), 0.7), (Arc::from("A"), 0.2)]);
    }
}

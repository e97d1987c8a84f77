//! How well a finder finds the hands of people who are in no training picture.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use rayon::prelude::*;
use serde::Serialize;

use crate::base::frame::Rect;
use crate::base::picture::Picture;
use crate::recognize::finder::Finder;
use crate::train::data::clips::ClipFrame;
use crate::train::data::dataset::{Dataset, Split};
use crate::train::data::loader::seeded;
use crate::train::data::scenes::without_hand;

/// Scores at which a report says what would be found.
const SCORES: [f32; 8] = [0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6];

/// A box whose IoU with every hand is less than this lies on no hand.
const ELSEWHERE: f32 = 0.1;

/// How well hands are found in whole frames of signers who are in no training picture.
#[derive(Debug, Serialize)]
pub struct Quality {
    /// Frames with a hand.
    pub frames: usize,
    /// Share of them whose likeliest box has an IoU of at least one half with a hand's,
    /// whatever its score.
    pub placed: f64,
    /// Mean IoU of the likeliest box.
    pub mean_iou: f64,
    /// Parts of these frames without a hand, or with the hand covered.
    pub empty: usize,
    /// For thresholds of the score.
    pub at: Vec<AtScore>,
    /// The share placed, by signer.
    pub signers: BTreeMap<String, SignerQuality>,
}

/// How well one signer's hands are found.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SignerQuality {
    /// Frames with a hand.
    pub frames: usize,
    /// Share of them whose likeliest box has an IoU of at least one half with a hand's.
    pub placed: f64,
}

/// What is found from a score on.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct AtScore {
    /// The threshold.
    pub score: f32,
    /// Share of frames with a hand where a box with an IoU of at least one half reaches it.
    pub found: f64,
    /// Share of frames with a hand where a box on no hand (IoU below 0.1) reaches it.
    pub elsewhere: f64,
    /// Share of frames without a hand where a box reaches it.
    pub false_boxes: f64,
}

impl Quality {
    fn of(looks: &[Look]) -> Self {
        let share = |count: usize, all: usize| count as f64 / all.max(1) as f64;
        let frames = looks.len();
        let count = |counts: &dyn Fn(&Look) -> bool| looks.iter().filter(|l| counts(l)).count();
        let empty: Vec<f32> = looks.iter().filter_map(|look| look.empty).collect();
        let at = SCORES.map(|score| AtScore {
            score,
            found: share(count(&|l| l.iou >= 0.5 && l.score >= score), frames),
            elsewhere: share(count(&|l| l.iou < ELSEWHERE && l.score >= score), frames),
            false_boxes: share(
                empty.iter().filter(|&&other| other >= score).count(),
                empty.len(),
            ),
        });
        let mut signers: BTreeMap<String, SignerQuality> = BTreeMap::new();
        for look in looks {
            let signer = signers.entry(look.signer.to_string()).or_default();
            signer.frames += 1;
            signer.placed += f64::from(u8::from(look.iou >= 0.5));
        }
        for signer in signers.values_mut() {
            signer.placed /= signer.frames as f64;
        }
        Quality {
            frames,
            placed: share(count(&|l| l.iou >= 0.5), frames),
            mean_iou: looks.iter().map(|l| f64::from(l.iou)).sum::<f64>() / frames.max(1) as f64,
            empty: empty.len(),
            at: at.to_vec(),
            signers,
        }
    }

    /// The figures for people.
    pub fn summary(&self, kind: &str) -> String {
        let mut text = format!(
            "of {} validation frames of {kind} the likeliest box fits {:.1} % (IoU at least 0.5), \
             mean IoU {:.2}\n\
             score   found   on no hand   boxes in {} frames without the hand\n",
            self.frames,
            100.0 * self.placed,
            self.mean_iou,
            self.empty,
        );
        for at in &self.at {
            text += &format!(
                "{:>5.2}  {:>5.1} %     {:>5.2} %   {:>5.2} %\n",
                at.score,
                100.0 * at.found,
                100.0 * at.elsewhere,
                100.0 * at.false_boxes
            );
        }
        let mut worst: Vec<_> = self.signers.iter().collect();
        worst.sort_by(|a, b| a.1.placed.total_cmp(&b.1.placed));
        for (signer, quality) in worst.into_iter().take(6) {
            text += &format!(
                "{:>5.1} % of {}'s {}\n",
                100.0 * quality.placed,
                signer,
                quality.frames
            );
        }
        text
    }
}

/// A frame to judge by, and its hands.
struct Judged<'a> {
    path: &'a Path,
    signer: &'a str,
    hands: &'a [Rect],
}

/// What was found in a frame.
struct Look {
    signer: String,
    score: f32,
    /// With the hand that it fits best.
    iou: f32,
    /// The best score where the hand is left out of the frame, if there is a way to.
    empty: Option<f32>,
}

/// How the finder in the file `path` finds the hands of the validation signers in stills and in frames of clips.
///
/// # Errors
/// When the file is no finder, or a picture cannot be read.
pub fn judge(
    path: &Path,
    dataset: &Dataset,
    clips: &[ClipFrame],
) -> Result<(Quality, Option<Quality>)> {
    let finder = Finder::load(path)?;
    let stills: Vec<Judged> = (dataset.scenes.iter())
        .filter(|scene| scene.split == Split::Val)
        .map(|scene| Judged {
            path: &scene.path,
            signer: scene.signer.as_deref().unwrap_or_default(),
            hands: std::slice::from_ref(&scene.hand),
        })
        .collect();
    let clips: Vec<Judged> = (clips.iter())
        .map(|frame| Judged {
            path: &frame.path,
            signer: &frame.signer,
            hands: &frame.hands,
        })
        .collect();
    let quality = |frames: &[Judged]| -> Result<Quality> {
        let looks = frames
            .par_iter()
            .enumerate()
            .map_init(
                || finder.clone(),
                |finder, (at, frame)| look(finder, at, frame),
            )
            .collect::<Result<Vec<_>>>()?;
        Ok(Quality::of(&looks))
    };
    let of_clips = (!clips.is_empty()).then(|| quality(&clips)).transpose()?;
    Ok((quality(&stills)?, of_clips))
}

fn look(finder: &mut Finder, at: usize, frame: &Judged) -> Result<Look> {
    let picture = Picture::decode(frame.path)?;
    let found = finder.find(&picture.pixels, picture.width, picture.height, None)?;
    let ious = frame.hands.iter().map(|hand| found.hand.iou(hand));
    let mut rng = seeded(0, at as u64);
    // A second hand may still be there.
    let empty = match frame.hands {
        [hand] => without_hand(&picture, *hand, &mut rng),
        _ => None,
    };
    let empty = empty
        .map(|empty| finder.find(&empty.pixels, empty.width, empty.height, None))
        .transpose()?;
    Ok(Look {
        signer: frame.signer.to_owned(),
        score: found.score,
        iou: ious.fold(0.0, f32::max),
        empty: empty.map(|found| found.score),
    })
}

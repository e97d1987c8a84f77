//! Keeps the letter that is shown steady: probabilities are averaged over the last frames, and a
//! letter that is shown stays until another is clearly likelier.
//!
//! The delay follows from the time constant: of a clean change, from a probability of p to one of
//! 0 and back, half is reached after `ln 2` of it, so that a letter that is read with 0.95 is shown
//! at a threshold of 0.5 after `-ln(1 - 0.5 / 0.95) = 0.75` time constants: 90 ms with
//! [`Steadying::DEFAULT`] ([`DELAY`]), three frames at 30 a second.

use std::time::Duration;

/// By how much [`Steadying::DEFAULT`] delays a clean change of letter.
pub const DELAY: Duration = Duration::from_millis(90);

/// How letters are kept steady.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steadying {
    /// Time constant of the exponential average of probabilities.
    pub constant: Duration,
    /// A letter that is shown stays while its averaged probability is no further than this below
    /// the threshold, and that of no other letter this much above its own.
    pub hysteresis: f32,
    /// Frames further apart than this show another scene: the average starts anew.
    pub gap: Duration,
}

impl Steadying {
    /// For a camera's frames.
    pub const DEFAULT: Steadying = Steadying {
        constant: Duration::from_millis(120),
        hysteresis: 0.15,
        gap: Duration::from_millis(500),
    };
}

/// What was read lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steady {
    average: Vec<f32>,
    shown: Option<usize>,
}

impl Steady {
    /// Takes a frame's probabilities in, `elapsed` after the last frame's.
    pub fn update(&mut self, probabilities: &[f32], elapsed: Duration, steadying: &Steadying) {
        if self.average.len() != probabilities.len() || elapsed > steadying.gap {
            self.average.clear();
            self.average.extend_from_slice(probabilities);
            self.shown = None;
            return;
        }
        let constant = steadying.constant.as_secs_f32().max(f32::MIN_POSITIVE);
        let share = 1.0 - (-elapsed.as_secs_f32() / constant).exp();
        for (average, &now) in self.average.iter_mut().zip(probabilities) {
            *average += share * (now - *average);
        }
    }

    /// The averaged probabilities.
    pub fn average(&self) -> &[f32] {
        &self.average
    }

    /// The label to show, where one is at least as probable as `threshold`; `nothing` is the one
    /// that is never shown.
    pub fn show(
        &mut self,
        nothing: Option<usize>,
        threshold: f32,
        steadying: &Steadying,
    ) -> Option<usize> {
        let best = (self.average.iter().copied().enumerate()).max_by(|a, b| a.1.total_cmp(&b.1));
        let (best, probability) = best?;
        let margin = steadying.hysteresis;
        let stays = self.shown.filter(|&shown| {
            let own = self.average.get(shown).copied().unwrap_or(0.0);
            own >= threshold - margin && probability <= own + margin
        });
        self.shown = stays.or((probability >= threshold && Some(best) != nothing).then_some(best));
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);
    const NOTHING: Option<usize> = Some(2);

    /// Probabilities of A, B and nothing, frame by frame, to what is shown.
    fn shown(frames: impl IntoIterator<Item = [f32; 3]>) -> Vec<Option<usize>> {
        let steadying = Steadying::DEFAULT;
        let mut steady = Steady::default();
        frames
            .into_iter()
            .map(|frame| {
                steady.update(&frame, FRAME, &steadying);
                steady.show(NOTHING, 0.5, &steadying)
            })
            .collect()
    }

    const A: [f32; 3] = [0.95, 0.03, 0.02];
    const B: [f32; 3] = [0.03, 0.95, 0.02];
    const NONE: [f32; 3] = [0.02, 0.03, 0.95];

    #[test]
    fn a_held_letter_does_not_flicker_with_single_frames_misread() {
        let noisy = (0..90).map(|at| match at % 7 {
            3 => B,
            5 => [0.45, 0.35, 0.2],
            _ => A,
        });
        assert!(shown(noisy).into_iter().all(|letter| letter == Some(0)));
    }

    #[test]
    fn a_letter_at_the_threshold_does_not_flicker() {
        let wavering = (0..90).map(|at| {
            let up = if at % 6 < 3 { 0.08 } else { -0.08 };
            [0.52 + up, 0.3 - up, 0.18]
        });
        let letters = shown(wavering);
        let changes = letters.windows(2).filter(|two| two[0] != two[1]).count();
        assert_eq!(changes, 0, "{letters:?}");
    }

    #[test]
    fn a_change_of_letter_is_shown_within_the_stated_delay_and_a_frame() {
        let letters = shown([A; 10].into_iter().chain([B; 10]));
        let at = letters
            .iter()
            .position(|&letter| letter == Some(1))
            .unwrap();
        let delay = FRAME * (at as u32 - 10 + 1);
        assert!(delay <= DELAY + 2 * FRAME, "{delay:?}");
        let changes = letters.windows(2).filter(|two| two[0] != two[1]).count();
        assert!(changes <= 2, "{letters:?}");
    }

    #[test]
    fn nothing_clears_the_letter() {
        let letters = shown([A; 10].into_iter().chain([NONE; 10]));
        assert_eq!(letters[9], Some(0));
        assert_eq!(letters[14..], [None; 6]);
    }

    #[test]
    fn after_a_gap_the_new_scene_counts_alone() {
        let steadying = Steadying::DEFAULT;
        let mut steady = Steady::default();
        steady.update(&A, FRAME, &steadying);
        steady.update(&B, Duration::from_secs(2), &steadying);
        assert_eq!(steady.show(NOTHING, 0.5, &steadying), Some(1));
    }
}

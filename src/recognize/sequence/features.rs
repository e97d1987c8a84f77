//! From what single frames say, whatever their rate, to steps of an even rate for the network that
//! reads sequences.
//!
//! A step says whether a hand is seen, what the letter network makes of it, how its joints lie and
//! move against each other, and how the hand moves, measured by its own size: not where in the frame
//! it is, nor how large, which says more of the camera than of the letter. The trainer makes its
//! examples with the same code.

use std::time::Duration;

use anyhow::Result;

use crate::base::joints::Joints;
use crate::recognize::observation::Observation;

/// Steps a second.
pub const RATE: f32 = 15.0;

/// From one step to the next: a little less than it should be, so that a step is never due just after
/// the frame that is taken at its time.
const STEP: Duration = Duration::from_nanos(66_666_666);

/// Frames further apart than this do not belong together.
const GAP: Duration = Duration::from_millis(500);

/// Joints whose way is told: wrist, and tips of thumb, index, middle and little finger.
const TRACED: [usize; 5] = [0, 4, 8, 12, 20];

/// A hand's side is at least this share of the frame's height.
const SMALLEST: f32 = 0.01;

/// Probabilities go into a step times this.
const WEIGHT: f32 = 2.0;

/// And so do their logarithms, which tell apart what is far less likely than the likeliest: 27 views
/// of the hand's shape, also where it is no letter's.
const LOG_WEIGHT: f32 = 0.25;

/// Probabilities below this are taken for it.
const FLOOR: f32 = 1e-5;

/// Numbers of a step besides a probability and its logarithm for each label: found, joints there,
/// joints against each other and their speed, place and speed of the box's centre and the traced
/// joints, size.
const OTHERS: usize = 1 + 1 + 2 * 42 + 4 * (1 + TRACED.len()) + 1;

/// Numbers in a step of a letter network with so many labels.
pub const fn width(labels: usize) -> usize {
    OTHERS + 2 * labels
}

/// The probability of each label in a step's numbers, 0 to 1: all 0 where no hand is found.
pub(super) fn probabilities(values: &[f32], labels: usize) -> impl Iterator<Item = f32> {
    let probabilities = values.iter().skip(1).take(labels);
    probabilities.map(|value| value / WEIGHT)
}

/// A step on its way to the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step<'a> {
    /// Its media time.
    pub time: Duration,
    /// Whether what came before belongs to another scene.
    pub fresh: bool,
    /// [`width`] numbers.
    pub values: &'a [f32],
}

/// Makes steps of observations.
#[derive(Debug, Clone, Default)]
pub struct Features {
    last: Option<Observation>,
    /// The next step's media time.
    next: Duration,
    fresh: bool,
    scale: Option<Scale>,
    /// The last step's hand.
    before: Option<Look>,
    values: Vec<f32>,
}

/// The hand's own place and size: means over about a second, which begin with the first hand.
#[derive(Debug, Clone, Copy)]
struct Scale {
    seen: f32,
    centre: [f32; 2],
    /// Logarithm of the side.
    side: f32,
}

/// A hand between two frames; lengths are in heights of the frame.
#[derive(Debug, Clone)]
struct Look {
    found: bool,
    centre: [f32; 2],
    side: f32,
    joints: Option<Joints>,
    probabilities: Vec<f32>,
}

impl Features {
    /// Takes a frame in, later than the last one, and hands the steps up to it to `take`.
    ///
    /// # Errors
    /// Whatever `take` returns.
    pub fn push(
        &mut self,
        observation: &Observation,
        mut take: impl FnMut(Step) -> Result<()>,
    ) -> Result<()> {
        let time = observation.time;
        let elapsed = (self.last.as_ref()).and_then(|last| time.checked_sub(last.time));
        if elapsed.is_none_or(|elapsed| elapsed > GAP) {
            *self = Features {
                next: time,
                fresh: true,
                values: std::mem::take(&mut self.values),
                ..Features::default()
            };
        }
        let last = self.last.replace(observation.clone());
        let last = last.unwrap_or_else(|| observation.clone());
        while self.next <= time {
            let long = time.saturating_sub(last.time).as_secs_f32();
            let since = self.next.saturating_sub(last.time).as_secs_f32();
            let share = if long > 0.0 { since / long } else { 1.0 };
            let look = self.look(&last, observation, share.clamp(0.0, 1.0));
            self.write(look);
            take(Step {
                time: self.next,
                fresh: std::mem::take(&mut self.fresh),
                values: &self.values,
            })?;
            self.next += STEP;
        }
        Ok(())
    }

    /// What is between two frames. A hand that is not found stays where it was.
    fn look(&self, from: &Observation, to: &Observation, share: f32) -> Look {
        let near = if share < 0.5 { from } else { to };
        let between = |a: f32, b: f32| a + share * (b - a);
        let place = match (place(from), place(to)) {
            (Some(a), Some(b)) => Some([0, 1, 2].map(|at| between(a[at], b[at]))),
            (a, b) => a.or(b),
        };
        let kept = self.before.as_ref();
        let kept = kept.map(|look| [look.centre[0], look.centre[1], look.side]);
        let [x, y, side] = place.or(kept).unwrap_or([0.5, 0.5, 0.3]);
        let joints = match (upright(from), upright(to)) {
            (Some(a), Some(b)) => Some(std::array::from_fn(|at| {
                [0, 1].map(|axis| between(a[at][axis], b[at][axis]))
            })),
            _ => upright(near),
        };
        Look {
            found: near.is_read,
            centre: [x, y],
            side: side.max(SMALLEST),
            joints,
            probabilities: (from.probabilities.iter())
                .zip(&to.probabilities)
                .map(|(&a, &b)| between(a, b))
                .collect(),
        }
    }

    /// Writes a step's numbers.
    fn write(&mut self, look: Look) {
        let scale = Scale::updated(self.scale, &look);
        if look.found {
            self.scale = Some(scale);
        }
        self.values.clear();
        if !look.found {
            self.values.resize(width(look.probabilities.len()), 0.0);
            self.before = Some(look);
            return;
        }
        let out = &mut self.values;
        out.push(1.0);
        out.extend(
            look.probabilities
                .iter()
                .map(|probability| WEIGHT * probability),
        );
        let logs = || look.probabilities.iter().map(|p| p.max(FLOOR).ln());
        let mean = logs().sum::<f32>() / look.probabilities.len().max(1) as f32;
        out.extend(logs().map(|log| LOG_WEIGHT * (log - mean)));
        let before = self.before.as_ref().filter(|before| before.found);
        let unit = scale.side.exp();
        out.push(if look.joints.is_some() { 1.0 } else { 0.0 });
        let shape = look.shape();
        let earlier = before.and_then(Look::shape);
        match &shape {
            Some(shape) => out.extend(shape.iter().flatten().map(|at| 3.0 * at)),
            None => out.resize(out.len() + 42, 0.0),
        }
        for at in 0..42 {
            let value = |shape: &Option<Joints>| shape.as_ref().map(|s| s[at / 2][at % 2]);
            let speed = match (value(&shape), value(&earlier)) {
                (Some(now), Some(then)) => (now - then) * RATE / 10.0,
                _ => 0.0,
            };
            out.push(speed.clamp(-2.0, 2.0));
        }
        for traced in std::iter::once(None).chain(TRACED.map(Some)) {
            let at = |look: &Look| match traced {
                None => Some(look.centre),
                Some(joint) => look.joints.map(|joints| joints[joint]),
            };
            let (now, then) = (at(&look), before.and_then(at));
            for axis in [0, 1] {
                let rel = now.map_or(0.0, |now| (now[axis] - scale.centre[axis]) / unit);
                out.push(rel.clamp(-3.0, 3.0));
            }
            for axis in [0, 1] {
                let speed = match (now, then) {
                    (Some(now), Some(then)) => (now[axis] - then[axis]) / unit * RATE / 10.0,
                    _ => 0.0,
                };
                out.push(speed.clamp(-3.0, 3.0));
            }
        }
        out.push((look.side.ln() - scale.side).clamp(-1.0, 1.0));
        self.before = Some(look);
    }
}

impl Scale {
    fn updated(scale: Option<Scale>, look: &Look) -> Scale {
        let side = look.side.ln();
        let Some(scale) = scale else {
            return Scale {
                seen: 1.0,
                centre: look.centre,
                side,
            };
        };
        let seen = scale.seen + 1.0;
        let share = (1.0 - (-1.0 / RATE).exp()).max(1.0 / seen);
        Scale {
            seen,
            centre: [0, 1]
                .map(|axis| scale.centre[axis] + share * (look.centre[axis] - scale.centre[axis])),
            side: scale.side + share * (side - scale.side),
        }
    }
}

impl Look {
    /// Joints from their middle, in sides of the hand.
    fn shape(&self) -> Option<Joints> {
        let joints = self.joints?;
        let mean = [0, 1].map(|axis| {
            let sum: f32 = joints.iter().map(|joint| joint[axis]).sum();
            sum / joints.len() as f32
        });
        Some(joints.map(|joint| [0, 1].map(|axis| (joint[axis] - mean[axis]) / self.side)))
    }
}

/// Centre and larger side of the hand's box, in heights of the frame.
fn place(observation: &Observation) -> Option<[f32; 3]> {
    let hand = observation.hand?;
    let (width, height) = (hand.width() * observation.aspect, hand.height());
    Some([
        (hand.x0 + hand.x1) / 2.0 * observation.aspect,
        (hand.y0 + hand.y1) / 2.0,
        width.max(height),
    ])
}

/// The joints, in heights of the frame.
fn upright(observation: &Observation) -> Option<Joints> {
    let aspect = observation.aspect;
    (observation.joints).map(|joints| joints.map(|[x, y]| [x * aspect, y]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::frame::Rect;

    /// A hand that goes around, seen at `fps` from 0 to 2 s, moved and scaled.
    fn steps(fps: u32, shift: f32, scale: f32) -> Vec<Vec<f32>> {
        let mut features = Features::default();
        let mut steps = Vec::new();
        for at in 0..=fps * 2 {
            let time = Duration::from_secs(1) * at / fps;
            let angle = time.as_secs_f32() * 2.0;
            let place = |x: f32, y: f32| [x * scale + shift, y * scale + shift];
            let (x, y) = (0.4 + 0.1 * angle.cos(), 0.4 + 0.1 * angle.sin());
            let ([x0, y0], [x1, y1]) = (place(x - 0.1, y - 0.1), place(x + 0.1, y + 0.1));
            let mut observation = Observation {
                time,
                aspect: 1.0,
                is_read: true,
                hand: Some(Rect { x0, y0, x1, y1 }),
                joints: Some(std::array::from_fn(|joint| {
                    place(x + 0.004 * joint as f32, y - 0.1 * angle.sin())
                })),
                ..Observation::default()
            };
            observation.set_probabilities([0.5 + 0.25 * angle.cos(), 0.5].into_iter());
            let take = |step: Step| {
                steps.push(step.values.to_vec());
                Ok(())
            };
            features.push(&observation, take).unwrap();
        }
        steps
    }

    fn apart(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
        assert_eq!(a.len(), b.len());
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn steps_are_alike_at_every_rate_of_frames() {
        let even = steps(60, 0.0, 1.0);
        assert_eq!(even.len(), 31);
        assert!(even.iter().all(|step| step.len() == width(2)));
        for fps in [15, 30] {
            let far = apart(&even, &steps(fps, 0.0, 1.0));
            assert!(far < 0.03, "{fps}: {far}");
        }
    }

    #[test]
    fn place_and_size_in_the_frame_do_not_matter() {
        let far = apart(&steps(30, 0.0, 1.0), &steps(30, 0.3, 0.4));
        assert!(far < 1e-3, "{far}");
    }

    #[test]
    fn after_a_gap_nothing_is_remembered() {
        let mut features = Features::default();
        let mut fresh = Vec::new();
        for millis in [0, 100, 200, 900, 950] {
            let observation = Observation {
                time: Duration::from_millis(millis),
                ..Observation::default()
            };
            let take = |step: Step| {
                fresh.push((step.time.as_millis(), step.fresh));
                Ok(())
            };
            features.push(&observation, take).unwrap();
        }
        let firsts: Vec<_> = fresh.iter().filter(|(_, fresh)| *fresh).collect();
        assert_eq!(firsts, [&(0, true), &(900, true)]);
    }
}

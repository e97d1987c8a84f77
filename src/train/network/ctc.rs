//! Connectionist temporal classification (Graves et al. 2006): how likely a row of letters is, however
//! it is laid over the steps, and where its letters probably lie.
//!
//! burn's own loss is made of some thousand small operations a step, each of which is followed
//! backwards; a batch of short sequences takes longer in it than in the network. Here the
//! expected places are computed directly: they are the gradient.

/// A row of letters, laid over steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Laid {
    /// Minus the logarithm of its likelihood; infinite where it does not fit.
    pub loss: f32,
    /// How often each output is expected at each step, `steps * outputs`: minus the loss's derivative
    /// by the logarithms of probabilities. Zeros where the letters do not fit.
    pub expected: Vec<f32>,
}

/// Lays `letters` (outputs from 1 on; 0 is none) over `logs`, logarithms of `outputs` probabilities a
/// step.
pub fn lay(logs: &[f32], outputs: usize, letters: &[usize]) -> Laid {
    let steps = logs.len() / outputs;
    // None, letter, none, letter, ..., none.
    let count = 2 * letters.len() + 1;
    let output = |state: usize| match state % 2 {
        0 => 0,
        _ => letters[state / 2],
    };
    // A letter may follow another at once, unless they are the same.
    let skips = |state: usize| state >= 3 && state % 2 == 1 && output(state) != output(state - 2);
    let log = |step: usize, state: usize| f64::from(logs[step * outputs + output(state)]);
    let lost = f64::NEG_INFINITY;
    let mut before = vec![lost; steps * count];
    let mut behind = vec![lost; steps * count];
    for step in 0..steps {
        for state in 0..count {
            let from = |back: usize| before[(step - 1) * count + state - back];
            let mut sum = match step {
                0 if state < 2 => 0.0,
                0 => lost,
                _ => from(0),
            };
            if step > 0 && state >= 1 {
                sum = add(sum, from(1));
            }
            if step > 0 && skips(state) {
                sum = add(sum, from(2));
            }
            before[step * count + state] = sum + log(step, state);
        }
    }
    for step in (0..steps).rev() {
        for state in 0..count {
            let to =
                |on: usize| behind[(step + 1) * count + state + on] + log(step + 1, state + on);
            let last = step + 1 == steps;
            let mut sum = match last {
                true if state + 2 >= count => 0.0,
                true => lost,
                false => to(0),
            };
            if !last && state + 1 < count {
                sum = add(sum, to(1));
            }
            if !last && state + 2 < count && skips(state + 2) {
                sum = add(sum, to(2));
            }
            behind[step * count + state] = sum;
        }
    }
    let whole = (0..count)
        .map(|state| before[state] + behind[state])
        .fold(lost, add);
    let mut expected = vec![0.0; steps * outputs];
    if whole > lost {
        for step in 0..steps {
            for state in 0..count {
                let at = step * count + state;
                let share = (before[at] + behind[at] - whole).exp();
                expected[step * outputs + output(state)] += share as f32;
            }
        }
    }
    Laid {
        loss: -whole as f32,
        expected,
    }
}

/// The logarithm of the sum of two numbers of which logarithms are given.
fn add(a: f64, b: f64) -> f64 {
    let (most, least) = if a > b { (a, b) } else { (b, a) };
    match most == f64::NEG_INFINITY {
        true => most,
        false => most + (least - most).exp().ln_1p(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: usize = 5;
    const OUTPUTS: usize = 3;

    fn logs() -> Vec<f32> {
        let mut logs = Vec::new();
        for step in 0..STEPS {
            let weights: Vec<f32> = (0..OUTPUTS)
                .map(|output| 0.2 + ((step * 5 + output * 3) % 7) as f32)
                .collect();
            let sum: f32 = weights.iter().sum();
            logs.extend(weights.iter().map(|weight| (weight / sum).ln()));
        }
        logs
    }

    /// The same by going through all ways there are.
    fn tried(letters: &[usize]) -> Laid {
        let logs = logs();
        let mut whole = 0.0;
        let mut expected = vec![0.0; STEPS * OUTPUTS];
        for way in 0..OUTPUTS.pow(STEPS as u32) {
            let at = |step: usize| way / OUTPUTS.pow(step as u32) % OUTPUTS;
            let mut read = Vec::new();
            for step in 0..STEPS {
                if at(step) != 0 && (step == 0 || at(step) != at(step - 1)) {
                    read.push(at(step));
                }
            }
            if read == letters {
                let log: f32 = (0..STEPS).map(|step| logs[step * OUTPUTS + at(step)]).sum();
                whole += log.exp();
                for step in 0..STEPS {
                    expected[step * OUTPUTS + at(step)] += log.exp();
                }
            }
        }
        for share in &mut expected {
            *share /= whole;
        }
        Laid {
            loss: -whole.ln(),
            expected,
        }
    }

    #[test]
    fn likelihood_and_places_are_those_of_all_ways_together() {
        for letters in [&[][..], &[1], &[2, 1], &[1, 1], &[1, 2, 2], &[2, 2, 2]] {
            let (laid, tried) = (lay(&logs(), OUTPUTS, letters), tried(letters));
            assert!((laid.loss - tried.loss).abs() < 1e-4, "{letters:?}");
            for (a, b) in laid.expected.iter().zip(&tried.expected) {
                assert!((a - b).abs() < 1e-4, "{letters:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_teaches_nothing() {
        let laid = lay(&logs(), OUTPUTS, &[1, 1, 1, 1]);
        assert_eq!(laid.loss, f32::INFINITY);
        assert!(laid.expected.iter().all(|share| *share == 0.0));
    }
}

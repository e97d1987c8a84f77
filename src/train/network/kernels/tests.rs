//! Every gradient against finite differences of the forward pass, in sizes that leave remainders.

use super::*;

/// Numbers in -1..1, the same each time.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

struct Case {
    block: Block,
    x: Vec<f32>,
    weight: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Case {
    fn new(kind: Kind, images: usize, size: (usize, usize), channels: (usize, usize)) -> Self {
        let block = Block {
            kind,
            images,
            height: size.0,
            width: size.1,
            channels: channels.0,
            out_channels: channels.1,
            relu6: true,
        };
        let weights = match kind {
            Kind::Pointwise => channels.0 * channels.1,
            Kind::Depthwise { .. } => 9 * channels.0,
            Kind::Stem => 9 * channels.0 * channels.1,
        };
        Case {
            block,
            x: noise(images * size.0 * size.1 * channels.0, 1),
            weight: noise(weights, 2),
            gamma: noise(channels.1, 3).iter().map(|v| v + 1.5).collect(),
            beta: noise(channels.1, 4).iter().map(|v| v + 0.5).collect(),
        }
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            weight: &self.weight,
            gamma: &self.gamma,
            beta: &self.beta,
        }
    }

    fn forward(&self, statistics: Statistics) -> Forward {
        self.block
            .forward(&self.x, self.parameters(), statistics, None)
    }

    /// A weighted sum of the outputs, in f64.
    fn loss(&self, weights: &[f32], statistics: Statistics) -> f64 {
        let out = self.forward(statistics);
        (out.z.iter().zip(weights))
            .map(|(z, w)| f64::from(*z) * f64::from(*w))
            .sum()
    }
}

fn convolution_by_definition(case: &Case) -> Vec<f32> {
    let block = &case.block;
    let stride = block.stride();
    let (kernel, pad) = match block.kind {
        Kind::Pointwise => (1, 0),
        _ => (3, 1),
    };
    let mut y = Vec::new();
    for n in 0..block.images {
        for oy in 0..block.out_height() {
            for ox in 0..block.out_width() {
                for o in 0..block.out_channels {
                    let mut sum = 0.0;
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let (iy, ix) = (oy * stride + ky, ox * stride + kx);
                            if iy < pad
                                || ix < pad
                                || iy - pad >= block.height
                                || ix - pad >= block.width
                            {
                                continue;
                            }
                            let at = ((n * block.height + iy - pad) * block.width + ix - pad)
                                * block.channels;
                            let tap = ky * kernel + kx;
                            match block.kind {
                                Kind::Depthwise { .. } => {
                                    sum += case.x[at + o] * case.weight[tap * block.channels + o];
                                }
                                _ => {
                                    for i in 0..block.channels {
                                        let taps = kernel * kernel;
                                        sum += case.x[at + i]
                                            * case.weight[(o * taps + tap) * block.channels + i];
                                    }
                                }
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

fn cases() -> Vec<Case> {
    vec![
        Case::new(Kind::Pointwise, 3, (5, 4), (7, 19)),
        Case::new(Kind::Depthwise { stride: 1 }, 9, (5, 7), (27, 27)),
        Case::new(Kind::Depthwise { stride: 2 }, 2, (7, 6), (17, 17)),
        Case::new(Kind::Depthwise { stride: 2 }, 2, (1, 2), (3, 3)),
        Case::new(Kind::Stem, 2, (6, 7), (3, 8)),
    ]
}

#[test]
fn convolutions_agree_with_the_definition_at_odd_sizes() {
    for case in cases() {
        let out = case.forward(Statistics::Batch);
        for (got, want) in out.y.iter().zip(convolution_by_definition(&case)) {
            assert!((got - want).abs() < 1e-4, "{:?}: {got} {want}", case.block);
        }
    }
}

#[test]
fn a_training_step_normalises_each_channel_of_the_batch() {
    for case in cases() {
        let block = Block {
            relu6: false,
            ..case.block
        };
        let ones = vec![1.0; block.out_channels];
        let zeros = vec![0.0; block.out_channels];
        let parameters = Parameters {
            weight: &case.weight,
            gamma: &ones,
            beta: &zeros,
        };
        let out = block.forward(&case.x, parameters, Statistics::Batch, None);
        let rows = (block.output_len() / block.out_channels) as f32;
        for channel in 0..block.out_channels {
            let values = || out.z.iter().skip(channel).step_by(block.out_channels);
            let mean = values().sum::<f32>() / rows;
            let square = values().map(|v| v * v).sum::<f32>() / rows;
            assert!(mean.abs() < 1e-4, "mean {mean}");
            let variance = out.variance[channel];
            let want = variance / (variance + EPSILON);
            assert!((square - want).abs() < 2e-3, "mean square {square}");
        }
    }
}

#[test]
fn fixed_statistics_give_the_training_result_when_they_are_the_batch_s_own() {
    for case in cases() {
        let residual = noise(case.block.output_len(), 9);
        let batch = Statistics::Batch;
        let train = case
            .block
            .forward(&case.x, case.parameters(), batch, Some(&residual));
        let fixed = case.block.forward_fixed(
            &case.x,
            case.parameters(),
            &train.mean,
            &train.variance,
            Some(&residual),
        );
        for (train, fixed) in train.z.iter().zip(&fixed) {
            assert!((train - fixed).abs() < 1e-5);
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for mut case in cases() {
        differences(&mut case, Statistics::Batch);
        let channels = case.block.out_channels;
        let mean = noise(channels, 7);
        let variance: Vec<f32> = noise(channels, 8).iter().map(|v| v + 1.5).collect();
        let (mean, variance) = (&mean[..], &variance[..]);
        differences(&mut case, Statistics::Fixed { mean, variance });
    }
}

fn differences(case: &mut Case, statistics: Statistics) {
    let weights = noise(case.block.output_len(), 5);
    let out = case.forward(statistics);
    let parameters = case.parameters();
    let gradients = case
        .block
        .backward(&case.x, &out, parameters, &weights, true);
    type Field = fn(&mut Case) -> &mut Vec<f32>;
    let fields: [(&str, Option<&Vec<f32>>, Field); 4] = [
        ("x", gradients.dx.as_ref(), |case| &mut case.x),
        ("weight", Some(&gradients.dweight), |case| &mut case.weight),
        ("gamma", Some(&gradients.dgamma), |case| &mut case.gamma),
        ("beta", Some(&gradients.dbeta), |case| &mut case.beta),
    ];
    for (name, gradient, field) in fields {
        let Some(gradient) = gradient else {
            assert_eq!(
                case.block.kind,
                Kind::Stem,
                "only the stem has no input gradient"
            );
            continue;
        };
        // Each kink of the clamp that a step crosses spoils one difference: most must agree.
        let checked = gradient.len().min(60);
        let mut wrong = 0;
        for index in (0..gradient.len()).step_by((gradient.len() / checked).max(1)) {
            const STEP: f32 = 3e-4;
            let before = field(case)[index];
            field(case)[index] = before + STEP;
            let above = case.loss(&weights, statistics);
            field(case)[index] = before - STEP;
            let below = case.loss(&weights, statistics);
            field(case)[index] = before;
            let want = (above - below) / f64::from(2.0 * STEP);
            let got = f64::from(gradient[index]);
            if (got - want).abs() > 0.02 + 0.02 * want.abs() {
                wrong += 1;
            }
        }
        assert!(
            wrong * 12 <= checked,
            "{name} of {:?}: {wrong} of {checked} differ",
            case.block
        );
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let case = Case::new(Kind::Pointwise, 11, (4, 4), (16, 24));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let out = case.forward(Statistics::Batch);
            let parameters = case.parameters();
            let back = case.block.backward(&case.x, &out, parameters, &out.z, true);
            (out.z, back.dweight, back.dx, back.dgamma)
        })
    };
    assert_eq!(run(1), run(3));
}

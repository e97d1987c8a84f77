//! Every family against the definitions in [`quant`](crate::int8::quant), byte for byte.

use proptest::prelude::*;

use super::*;
use crate::int8::quant::Quant;

/// Numbers from a seed, with the extremes that break kernels more often than chance would bring them.
struct Drawn(u64);

impl Drawn {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        let z = self.next();
        match z >> 61 {
            0 => 0,
            1 => 255,
            _ => z as u8,
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn weights(&mut self, len: usize) -> Vec<i8> {
        let weight = |byte: u8| {
            if byte == 255 {
                127
            } else {
                (byte as i8).max(-127)
            }
        };
        (0..len).map(|_| weight(self.byte())).collect()
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Requantisation of sums over `run` weights, from scales that saturate to ones that give a few steps.
    fn requant(&mut self, weights: &[i8], channels: usize, input_zero_point: u8) -> Requant {
        let run = (weights.len() / channels).max(1) as f32;
        let bias: Vec<i64> = (0..channels)
            .map(|_| (self.unit() * 2e4) as i64 - 10_000)
            .collect();
        let scale = (0..channels)
            .map(|_| 0.1 * self.unit().powi(3) / run.sqrt())
            .collect();
        let (a, b) = (self.byte(), self.byte());
        let (low, high) = if self.next().is_multiple_of(2) {
            (0, 255)
        } else {
            (a.min(b), a.max(b))
        };
        let target = (self.byte(), low, high);
        Requant::fold(weights, &bias, scale, input_zero_point, target).expect("small sums")
    }
}

fn families() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.available())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_family_convolves_by_definition(
        seed: u64, pixels in 1usize..40, channels in 1usize..150, taps in 1usize..4, words in 1usize..40, wide: bool,
    ) {
        let mut drawn = Drawn(seed);
        let run = words * 4;
        let starts = match wide {
            false => Starts::Step(run.next_multiple_of(16)),
            true => Starts::Table((0..pixels).map(|_| (drawn.next() % 1000) as u32).collect()),
        };
        let reads = Reads { pixels, starts, taps: (0..taps).map(|t| t * 37).collect(), run };
        let source = drawn.bytes(reads.end());
        let weights = drawn.weights(channels * taps * run);
        let zero_point = drawn.byte();
        let requant = drawn.requant(&weights, channels, zero_point);
        let first = (drawn.next() % pixels as u64) as usize;
        for isa in families() {
            let conv = Conv::new(isa, reads.clone(), &weights, &requant);
            let step = conv.target_step();
            let mut target = vec![0; (pixels - first) * step];
            conv.run(&source, &mut target, first);
            for (p, got) in target.chunks(step).enumerate() {
                let start = reads.starts.start(first + p);
                for n in 0..channels {
                    let row = &weights[n * taps * run..][..taps * run];
                    let sum = (0..taps * run)
                        .map(|i| {
                            let a = source[start + reads.taps[i / run] + i % run];
                            i32::from(a) * i32::from(row[i])
                        })
                        .sum();
                    prop_assert_eq!(got[n], requant.apply(n, sum), "{} pixel {} channel {}", isa, p, n);
                }
            }
        }
    }

    #[test]
    fn every_family_convolves_depthwise_by_definition(
        seed: u64,
        channels in 1usize..200,
        input in [1usize..10, 1usize..10],
        stride in [1usize..4, 1usize..4],
        before in [0usize..3, 0usize..3],
        after in [0usize..3, 0usize..3],
    ) {
        let around = [0, 1].map(|i| input[i] + before[i] + after[i]);
        prop_assume!(around.iter().all(|&n| n >= 3));
        let output = [0, 1].map(|i| (around[i] - 3) / stride[i] + 1);
        let shape = DepthwiseShape { input, output, stride, before };
        let mut drawn = Drawn(seed);
        let step = padded(channels);
        let source = drawn.bytes(input[0] * input[1] * step);
        let weights = drawn.weights(channels * 9);
        let pad = drawn.byte();
        let requant = drawn.requant(&weights, channels, pad);
        let first = (drawn.next() % output[0] as u64) as usize;
        for isa in families() {
            let depthwise = Depthwise::new(isa, shape, &weights, pad, &requant);
            let mut target = vec![0; (output[0] - first) * output[1] * step];
            depthwise.run(&source, &mut target, first);
            for (i, got) in target.chunks(step).enumerate() {
                let (y, x) = (first + i / output[1], i % output[1]);
                for n in 0..channels {
                    let mut sum = 0;
                    for position in 0..9 {
                        let r = (y * stride[0] + position / 3).wrapping_sub(before[0]);
                        let c = (x * stride[1] + position % 3).wrapping_sub(before[1]);
                        let inside = r < input[0] && c < input[1];
                        let a = if inside { source[(r * input[1] + c) * step + n] } else { pad };
                        sum += i32::from(a) * i32::from(weights[n * 9 + position]);
                    }
                    prop_assert_eq!(got[n], requant.apply(n, sum), "{} at {},{} channel {}", isa, y, x, n);
                }
            }
        }
    }

    #[test]
    fn every_family_adds_by_definition(
        seed: u64, len in 0usize..300, zero_points: [u8; 2], zero_point: u8, bounds: [u8; 2],
        ratios in [1e-4f32..300.0, 1e-4f32..300.0],
    ) {
        let inputs = [0, 1].map(|i| Quant { scale: ratios[i], zero_point: zero_points[i] });
        let output = Quant { scale: 1.0, zero_point };
        let [low, high] = [bounds[0].min(bounds[1]), bounds[0].max(bounds[1])];
        let quant = AddQuant::new(inputs, output, low, high);
        let mut drawn = Drawn(seed);
        let (a, b) = (drawn.bytes(len), drawn.bytes(len));
        let expected: Vec<u8> = a.iter().zip(&b).map(|(&a, &b)| quant.apply(a, b)).collect();
        for (&sum, (&a, &b)) in expected.iter().zip(a.iter().zip(&b)) {
            let [a, b] = [inputs[0].dequantise(a), inputs[1].dequantise(b)];
            let real = (f64::from(a) + f64::from(b) + f64::from(zero_point)).clamp(low.into(), high.into());
            prop_assert!((f64::from(sum) - real).abs() < 0.51, "{} is not {}", sum, real);
        }
        for isa in families() {
            let mut target = vec![0; len];
            add(isa, &quant, &a, &b, &mut target);
            prop_assert_eq!(&target, &expected, "{}", isa);
        }
    }

    #[test]
    fn every_family_sums_pixels(seed: u64, pixels in 0usize..400, channels in 1usize..100) {
        let source = Drawn(seed).bytes(pixels * channels);
        let sum = |n: usize| source.iter().skip(n).step_by(channels).map(|&q| i32::from(q)).sum();
        let expected: Vec<i32> = (0..channels).map(sum).collect();
        for isa in families() {
            let mut sums = vec![-1; channels];
            sum_pixels(isa, &source, &mut sums);
            prop_assert_eq!(&sums, &expected, "{}", isa);
        }
    }

    #[test]
    fn every_family_multiplies_dense_layers(seed: u64, inputs in 0usize..400, outputs in 1usize..40) {
        let mut drawn = Drawn(seed);
        let source = drawn.bytes(inputs);
        let weights = drawn.weights(inputs * outputs);
        let dot = |n: usize| {
            let row = &weights[n * inputs..][..inputs];
            source.iter().zip(row).map(|(&a, &w)| i32::from(a) * i32::from(w)).sum()
        };
        let expected: Vec<i32> = (0..outputs).map(dot).collect();
        for isa in families() {
            let mut sums = vec![-1; outputs];
            dense(isa, &source, &weights, &mut sums);
            prop_assert_eq!(&sums, &expected, "{}", isa);
        }
    }
}

#[test]
fn every_family_keeps_sums_that_saturate_sixteen_bits() {
    // 255 * 127 twice is beyond i16, where `vpmaddubsw` would saturate; so is -128 * -128, which `smull` meets where
    // bytes are moved by -128.
    let reads = Reads {
        pixels: 5,
        starts: Starts::Step(64),
        taps: vec![0],
        run: 64,
    };
    for (byte, w) in [(255, 127i8), (255, -127), (255, -128), (0, -128), (0, 127)] {
        let source = vec![byte; reads.end()];
        let weights = vec![w; 16 * 64];
        let bias = vec![-i64::from(w) * i64::from(byte) * 63 + 1000; 16];
        let requant =
            Requant::fold(&weights, &bias, vec![1.0 / 255.0; 16], 0, (100, 0, 255)).expect("fits");
        let expected = requant.apply(0, 64 * i32::from(byte) * i32::from(w));
        for isa in families() {
            let conv = Conv::new(isa, reads.clone(), &weights, &requant);
            let mut target = vec![0; 5 * 16];
            conv.run(&source, &mut target, 0);
            assert!(
                target.iter().all(|&q| q == expected),
                "{isa}, {byte} times {w}: {target:?} where {expected} is right"
            );
        }
    }
}

//! What the integers of an int8 network stand for, and weights rounded to them.
//!
//! - Activations are u8 with a scale and zero point for each tensor.
//! - Weights are s8, symmetric, with a scale for each output channel.
//! - Biases are s32 in the product of the two scales.
//!
//! A number `q` of any of these stands for `(q - zero_point) * step`.

/// Biases stay below this, so that the sum with all products fits 32 bits.
const MAX_BIAS: f32 = (1 << 29) as f32;

/// A u8 activation's step and zero point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The value of one unit.
    pub step: f32,
    /// The unit that stands for zero.
    pub zero_point: u8,
}

/// Scales of a graph's results.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// One for each node; `None` where the result stays float, as a linear layer's that is only an
    /// output.
    pub scales: Vec<Option<Scale>>,
}

/// A layer's weights in integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// -127 to 127, in the order of the float weights.
    pub weight: Vec<i8>,
    /// Step of each output channel's weights.
    pub weight_steps: Vec<f32>,
    /// One for each output channel.
    pub bias: Vec<i32>,
    /// Step of each bias: the input's times the weights'.
    pub bias_steps: Vec<f32>,
}

impl Scale {
    /// The finest scale that spans `low..=high` and zero, which it hits exactly.
    pub fn spanning(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        // Where all is zero, any step will do.
        let step = if high > low {
            (high - low) / 255.0
        } else {
            1.0 / 255.0
        };
        let step = step.max(f32::MIN_POSITIVE);
        Scale {
            step,
            zero_point: (-low / step).round_ties_even().clamp(0.0, 255.0) as u8,
        }
    }
}

impl Layer {
    /// Rounds a layer's weights, one row of `weight` for each element of `bias`, for an input of
    /// this step.
    ///
    /// A channel whose bias would not fit 32 bits beside its weights' step gets a coarser step:
    /// such weights are next to nothing beside the bias.
    pub fn quantize(weight: &[f32], bias: &[f32], input_step: f32) -> Self {
        let row = (weight.len() / bias.len().max(1)).max(1);
        let mut layer = Layer {
            weight: Vec::with_capacity(weight.len()),
            weight_steps: Vec::with_capacity(bias.len()),
            bias: Vec::with_capacity(bias.len()),
            bias_steps: Vec::with_capacity(bias.len()),
        };
        for (row, &bias) in weight.chunks(row).zip(bias) {
            let greatest = row.iter().fold(0.0f32, |max, w| max.max(w.abs()));
            let for_bias = bias.abs() / (input_step * MAX_BIAS);
            let step = (greatest / 127.0).max(for_bias);
            let step = if step.is_normal() { step } else { 1.0 };
            let round = |w: &f32| (w / step).round_ties_even().clamp(-127.0, 127.0) as i8;
            layer.weight.extend(row.iter().map(round));
            layer.weight_steps.push(step);
            let bias_step = input_step * step;
            layer.bias_steps.push(bias_step);
            layer.bias.push((bias / bias_step).round_ties_even() as i32);
        }
        layer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_hits_zero_and_spans_its_range() {
        for (low, high) in [
            (-1.0, 3.0),
            (0.0, 6.0),
            (-2.0, -1.0),
            (0.5, 0.7),
            (0.0, 0.0),
        ] {
            let Scale { step, zero_point } = Scale::spanning(low, high);
            let value = |unit: u8| (f32::from(unit) - f32::from(zero_point)) * step;
            assert!(value(0) <= low.min(0.0) + step, "{low} {high}");
            assert!(value(255) >= high.max(0.0) - step, "{low} {high}");
            assert!(step > 0.0);
        }
    }

    #[test]
    fn weights_are_within_half_a_step_and_each_channel_has_its_own() {
        let weight = [0.5, -1.27, 0.003, -0.0127];
        let layer = Layer::quantize(&weight, &[0.1, -0.2], 0.02);
        assert_eq!(layer.weight, [50, -127, 30, -127]);
        for (at, (&q, w)) in layer.weight.iter().zip(weight).enumerate() {
            let step = layer.weight_steps[at / 2];
            assert!((f32::from(q) * step - w).abs() <= step * 0.5001, "{at}");
        }
        for (c, bias) in [0.1, -0.2].into_iter().enumerate() {
            let restored = layer.bias[c] as f32 * layer.bias_steps[c];
            assert!((restored - bias).abs() <= layer.bias_steps[c], "{restored}");
        }
    }

    /// Dead channels of a pruned or folded network: next to no weights, but a bias.
    #[test]
    fn a_bias_that_dwarfs_its_weights_survives() {
        let layer = Layer::quantize(&[1e-20, -2e-20, 0.0, 0.0], &[1.5, 0.0], 0.02);
        let restored = layer.bias[0] as f32 * layer.bias_steps[0];
        assert!((restored - 1.5).abs() < 1e-3, "{restored}");
        assert!(layer.bias.iter().all(|b| b.unsigned_abs() <= 1 << 29));
        assert_eq!(layer.bias[1], 0);
        assert!(layer.weight_steps[1] > 0.0);
    }
}

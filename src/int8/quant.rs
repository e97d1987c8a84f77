//! Quantisation arithmetic: the definitions that every kernel family reproduces byte for byte.

use super::lower::Why;

/// Scale and zero point of a whole u8 tensor: `real = (q - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quant {
    /// The real value of one step.
    pub scale: f32,
    /// The step that stands for the real value 0.
    pub zero_point: u8,
}

impl Quant {
    /// ONNX `QuantizeLinear`: divide, round half to even, add the zero point, saturate.
    pub fn quantise(&self, real: f32) -> u8 {
        let steps = (real / self.scale).round_ties_even() + f32::from(self.zero_point);
        steps.clamp(0.0, 255.0) as u8
    }

    /// ONNX `DequantizeLinear`.
    pub fn dequantise(&self, q: u8) -> f32 {
        f32::from(i16::from(q) - i16::from(self.zero_point)) * self.scale
    }
}

/// What turns a convolution's i32 sums into u8: bias, scale, rounding, zero point and clamp.
///
/// For output channel `n`: `clamp(round((sum + bias[n]) as f32 * scale[n]) + zero_point, low, high)`, where
/// `round` is half to even. ReLU6 and saturation are the same clamp.
#[derive(Debug, Clone, PartialEq)]
pub struct Requant {
    /// Bias in units of the sum, with the input's zero point folded in: `bias - zero_point * Σ weights`.
    pub bias: Vec<i32>,
    /// `input scale * weight scale / output scale`, one per output channel.
    pub scale: Vec<f32>,
    /// The output's zero point.
    pub zero_point: u8,
    /// Smallest output, at least 0.
    pub low: u8,
    /// Largest output, at most 255.
    pub high: u8,
}

/// No scaled sum may pass this: float to integer conversion is exact in every family below it.
const LARGEST_SCALED_SUM: f64 = (1u32 << 30) as f64;

impl Requant {
    /// Folds the input's zero point into the bias and checks that no input can overflow.
    ///
    /// `weights` are the s8 weights of each output channel in turn (`bias.len()` equal runs). Says why where a
    /// sum of 255s could pass the range in which all families agree.
    pub fn fold(
        weights: &[i8],
        bias: &[i64],
        scale: Vec<f32>,
        input_zero_point: u8,
        (zero_point, low, high): (u8, u8, u8),
    ) -> Result<Self, Why> {
        let run = weights.len() / bias.len().max(1);
        let mut folded = Vec::with_capacity(bias.len());
        for (n, (&b, &s)) in bias.iter().zip(&scale).enumerate() {
            let w = &weights[n * run..(n + 1) * run];
            let sum: i64 = w.iter().map(|&w| i64::from(w)).sum();
            let magnitude: i64 = w.iter().map(|&w| i64::from(w).abs()).sum();
            let b = b.saturating_sub(i64::from(input_zero_point) * sum);
            let largest = b.saturating_abs().saturating_add(255 * magnitude);
            let fits = i32::try_from(largest).is_ok() && s.is_finite() && s >= 0.0;
            if !fits || largest as f64 * f64::from(s) > LARGEST_SCALED_SUM {
                return Err(format!(
                    "channel {n} could overflow 32-bit sums (scale {s:e})"
                ));
            }
            folded.push(b as i32);
        }
        Ok(Self {
            bias: folded,
            scale,
            zero_point,
            low,
            high,
        })
    }

    /// The output for one sum, by definition.
    pub fn apply(&self, channel: usize, sum: i32) -> u8 {
        let scaled = (sum + self.bias[channel]) as f32 * self.scale[channel];
        let q = scaled.round_ties_even() as i32 + i32::from(self.zero_point);
        q.clamp(i32::from(self.low), i32::from(self.high)) as u8
    }
}

/// How two u8 maps are added: `clamp(round((a - za) * sa + (b - zb) * sb) + zero_point, low, high)`, each product
/// and the sum rounded to f32 on its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AddQuant {
    /// Zero points of the two inputs.
    pub input_zero_points: [u8; 2],
    /// Each input's scale over the output's.
    pub ratios: [f32; 2],
    /// The output's zero point.
    pub zero_point: u8,
    /// Smallest output.
    pub low: u8,
    /// Largest output.
    pub high: u8,
}

impl AddQuant {
    /// The sum of two bytes, by definition.
    pub fn apply(&self, a: u8, b: u8) -> u8 {
        let a = f32::from(i16::from(a) - i16::from(self.input_zero_points[0])) * self.ratios[0];
        let b = f32::from(i16::from(b) - i16::from(self.input_zero_points[1])) * self.ratios[1];
        let q = (a + b).clamp(-1e6, 1e6).round_ties_even() as i32 + i32::from(self.zero_point);
        q.clamp(i32::from(self.low), i32::from(self.high)) as u8
    }
}

//! Quantisation arithmetic: the definitions that every kernel family reproduces byte for byte.

use super::unsupported::Why;

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

/// How two u8 maps are added: `clamp(round(fma(b, rb, fma(a, ra, offset))), low, high)`, with `round` half to even
/// and each multiply-add rounded once.
///
/// It is the arithmetic of onnxruntime's own kernel (MLAS `QLinearAdd`), found by comparing all 65,536 pairs of bytes
/// for the additions of several networks: any other order of the roundings differs from it in a pair or two, which
/// grows from layer to layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AddQuant {
    /// Each input's scale over the output's.
    pub ratios: [f32; 2],
    /// The output's zero point less the inputs', each times its ratio.
    pub offset: f32,
    /// Smallest output.
    pub low: u8,
    /// Largest output.
    pub high: u8,
}

impl AddQuant {
    /// For maps of `inputs`' quantisations and a sum of `output`'s, within `low..=high`.
    pub fn new(inputs: [Quant; 2], output: Quant, low: u8, high: u8) -> Self {
        let ratios = inputs.map(|input| input.scale / output.scale);
        let [za, zb] = inputs.map(|input| f32::from(input.zero_point));
        Self {
            ratios,
            offset: f32::from(output.zero_point) - libm::fmaf(za, ratios[0], zb * ratios[1]),
            low,
            high,
        }
    }

    /// The sum of two bytes, by definition. The multiply-adds are `libm`'s: the C library's, which
    /// [`f32::mul_add`] asks where the processor has none, round twice on some systems.
    #[inline(always)]
    pub fn apply(&self, a: u8, b: u8) -> u8 {
        self.sum(a, b, libm::fmaf)
    }

    /// The same for code that is compiled for a processor with a multiply-add of its own.
    #[inline(always)]
    pub fn apply_fused(&self, a: u8, b: u8) -> u8 {
        self.sum(a, b, f32::mul_add)
    }

    #[inline(always)]
    fn sum(&self, a: u8, b: u8, fused: impl Fn(f32, f32, f32) -> f32) -> u8 {
        // Added to a number of 0 to 255 it leaves that, rounded half to even, in the lowest byte:
        // compilers make vector code of this, but not of a saturating conversion.
        const ROUND: f32 = 12_582_912.0;
        let [ra, rb] = self.ratios;
        let sum = fused(f32::from(b), rb, fused(f32::from(a), ra, self.offset));
        (sum.clamp(self.low.into(), self.high.into()) + ROUND).to_bits() as u8
    }
}

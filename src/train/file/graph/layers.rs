//! Layers that have weights, and the sizes of what they read and give.

use anyhow::{Result, ensure};

/// Size of a node's result for one picture. A linear layer's has height and width 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels of a map, or elements that a linear layer gives.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What is done to each result of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// Below zero becomes zero.
    Relu,
    /// Below zero becomes zero, above six becomes six.
    Relu6,
}

/// A convolution with square kernels and the same padding on all sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// `[out_channels, in_channels / groups, kernel, kernel]`.
    pub weight: Vec<f32>,
    /// One for each output channel.
    pub bias: Vec<f32>,
    /// Channels given.
    pub out_channels: usize,
    /// Channels read, of all groups together.
    pub in_channels: usize,
    /// Side of the kernel, in pixels.
    pub kernel: usize,
    /// Step between two results, in pixels.
    pub stride: usize,
    /// Rows and columns of zeros on each side of the input.
    pub pad: usize,
    /// Groups of channels; `in_channels` for a depthwise convolution.
    pub groups: usize,
    /// What is done to the result.
    pub activation: Activation,
}

/// A linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// `[outputs, inputs]`.
    pub weight: Vec<f32>,
    /// One for each output.
    pub bias: Vec<f32>,
    /// Elements given.
    pub outputs: usize,
    /// Elements read.
    pub inputs: usize,
    /// What is done to the result.
    pub activation: Activation,
}

/// The four arrays of a batch normalisation, one element for each channel.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm<'a> {
    /// Learned factor.
    pub gamma: &'a [f32],
    /// Learned offset.
    pub beta: &'a [f32],
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
    /// Added to the variance; 1e-5 in torchvision's networks.
    pub epsilon: f32,
}

impl Conv {
    /// A convolution without bias and padding, stride 1, one group.
    pub fn new(out_channels: usize, in_channels: usize, kernel: usize, weight: Vec<f32>) -> Self {
        Conv {
            weight,
            bias: vec![0.0; out_channels],
            out_channels,
            in_channels,
            kernel,
            stride: 1,
            pad: 0,
            groups: 1,
            activation: Activation::None,
        }
    }

    /// A depthwise convolution: each channel has a kernel of its own. `weight` is
    /// `[channels, 1, kernel, kernel]`.
    pub fn depthwise(channels: usize, kernel: usize, weight: Vec<f32>) -> Self {
        Conv {
            groups: channels,
            ..Conv::new(channels, channels, kernel, weight)
        }
    }

    /// With this bias.
    pub fn bias(self, bias: Vec<f32>) -> Self {
        Conv { bias, ..self }
    }

    /// With this stride.
    pub fn stride(self, stride: usize) -> Self {
        Conv { stride, ..self }
    }

    /// With this padding.
    pub fn pad(self, pad: usize) -> Self {
        Conv { pad, ..self }
    }

    /// With this activation.
    pub fn activation(self, activation: Activation) -> Self {
        Conv { activation, ..self }
    }

    /// With the batch normalisation that follows it folded into weights and bias:
    /// `y = gamma * (conv(x) - mean) / sqrt(variance + epsilon) + beta`.
    ///
    /// # Errors
    /// When an array does not have one element for each output channel.
    pub fn fold(mut self, norm: BatchNorm<'_>) -> Result<Self> {
        let channels = self.out_channels;
        for (name, array) in [
            ("gamma", norm.gamma),
            ("beta", norm.beta),
            ("mean", norm.mean),
            ("variance", norm.variance),
            ("bias", &self.bias),
        ] {
            ensure!(
                array.len() == channels,
                "a convolution of {channels} channels cannot fold a normalisation whose {name} \
                 has {} elements",
                array.len()
            );
        }
        ensure!(
            channels > 0 && self.weight.len().is_multiple_of(channels),
            "a convolution of {channels} channels cannot have {} weights",
            self.weight.len()
        );
        let taps = (self.weight.len() / channels).max(1);
        for (c, kernel) in self.weight.chunks_exact_mut(taps).enumerate() {
            let deviation = (f64::from(norm.variance[c]) + f64::from(norm.epsilon)).sqrt();
            let factor = f64::from(norm.gamma[c]) / deviation;
            for w in kernel {
                *w = (f64::from(*w) * factor) as f32;
            }
            let centred = f64::from(self.bias[c]) - f64::from(norm.mean[c]);
            self.bias[c] = (centred * factor + f64::from(norm.beta[c])) as f32;
        }
        Ok(self)
    }

    pub(super) fn check(&self, input: Shape) -> Result<Shape> {
        let Conv { kernel, groups, .. } = *self;
        ensure!(
            self.out_channels > 0 && kernel > 0 && self.stride > 0 && groups > 0,
            "channels, kernel, stride and groups must not be zero"
        );
        ensure!(
            input.channels == self.in_channels,
            "it reads {} channels, but is given {}",
            self.in_channels,
            input.channels
        );
        ensure!(
            self.in_channels.is_multiple_of(groups) && self.out_channels.is_multiple_of(groups),
            "{} to {} channels cannot be parted into {groups} groups",
            self.in_channels,
            self.out_channels
        );
        let taps = self.in_channels / groups * kernel * kernel;
        check_weights(&self.weight, &self.bias, self.out_channels, taps)?;
        let along = |size: usize| {
            let padded = size + 2 * self.pad;
            ensure!(
                padded >= kernel,
                "a kernel of {kernel} does not fit {size} pixels"
            );
            Ok((padded - kernel) / self.stride + 1)
        };
        Ok(Shape {
            channels: self.out_channels,
            height: along(input.height)?,
            width: along(input.width)?,
        })
    }
}

impl Dense {
    /// A linear layer without bias.
    pub fn new(outputs: usize, inputs: usize, weight: Vec<f32>) -> Self {
        Dense {
            weight,
            bias: vec![0.0; outputs],
            outputs,
            inputs,
            activation: Activation::None,
        }
    }

    /// With this bias.
    pub fn bias(self, bias: Vec<f32>) -> Self {
        Dense { bias, ..self }
    }

    /// With this activation.
    pub fn activation(self, activation: Activation) -> Self {
        Dense { activation, ..self }
    }

    /// With logits divided by a softmax temperature.
    pub fn temperature(mut self, temperature: f32) -> Self {
        for value in self.weight.iter_mut().chain(&mut self.bias) {
            *value /= temperature;
        }
        self
    }

    pub(super) fn check(&self, input: Shape) -> Result<Shape> {
        ensure!(
            input.height == 1 && input.width == 1,
            "it reads a single pixel, but is given a map of {} x {}",
            input.height,
            input.width
        );
        ensure!(
            input.channels == self.inputs,
            "it reads {} elements, but is given {}",
            self.inputs,
            input.channels
        );
        ensure!(self.outputs > 0, "it must give at least one element");
        check_weights(&self.weight, &self.bias, self.outputs, self.inputs)?;
        Ok(Shape {
            channels: self.outputs,
            height: 1,
            width: 1,
        })
    }
}

fn check_weights(weight: &[f32], bias: &[f32], outputs: usize, taps: usize) -> Result<()> {
    ensure!(
        weight.len() == outputs * taps,
        "it needs {outputs} x {taps} weights, but has {}",
        weight.len()
    );
    ensure!(
        bias.len() == outputs,
        "it needs {outputs} biases, but has {}",
        bias.len()
    );
    ensure!(
        weight.iter().chain(bias).all(|w| w.is_finite()),
        "its weights are not all finite: did training diverge?"
    );
    Ok(())
}

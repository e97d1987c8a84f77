//! The network that reads sequences: causal convolutions over steps.

use anyhow::Result;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, silu};
use burn::tensor::{Device, Tensor};

use super::values;

/// Steps between the three taps of each convolution: together they see 29 steps.
pub const DILATIONS: [usize; 6] = [1, 2, 4, 1, 2, 4];

/// Steps of each convolution.
pub const TAPS: usize = 3;

/// Share of the values that are left out while learning.
const DROPOUT: f64 = 0.15;

/// Steps in, for each of them a probability of no letter and of each letter out.
#[derive(Module, Debug)]
pub struct SequenceNet {
    input: Linear,
    first: LayerNorm,
    /// Each reads its three taps beside each other, the earliest first.
    convolutions: Vec<Linear>,
    norms: Vec<LayerNorm>,
    output: Linear,
    dropout: Dropout,
}

/// A linear layer as plain arrays.
#[derive(Debug, Clone)]
pub struct Layer {
    /// `[inputs, outputs]`.
    pub weight: Vec<f32>,
    /// One for each output.
    pub bias: Vec<f32>,
}

/// A layer normalisation as plain arrays.
#[derive(Debug, Clone)]
pub struct Norm {
    /// Factors.
    pub gamma: Vec<f32>,
    /// Addends.
    pub beta: Vec<f32>,
}

/// The whole network as plain arrays.
#[derive(Debug, Clone)]
pub struct Layers {
    /// Numbers of a step.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// From a step to the channels, and its normalisation.
    pub input: (Layer, Norm),
    /// One for each of [`DILATIONS`].
    pub convolutions: Vec<(Layer, Norm)>,
    /// From the channels to logits.
    pub output: Layer,
}

impl SequenceNet {
    /// A network of so many channels that learns nothing yet, for steps of `width` numbers and
    /// `outputs` probabilities.
    pub fn new(width: usize, channels: usize, outputs: usize, device: &Device) -> Self {
        let norm = || LayerNormConfig::new(channels).init(device);
        SequenceNet {
            input: LinearConfig::new(width, channels).init(device),
            first: norm(),
            convolutions: (DILATIONS.iter())
                .map(|_| LinearConfig::new(TAPS * channels, channels).init(device))
                .collect(),
            norms: DILATIONS.iter().map(|_| norm()).collect(),
            output: LinearConfig::new(channels, outputs).init(device),
            dropout: DropoutConfig::new(DROPOUT).init(),
        }
    }

    /// Logarithms of probabilities for each step of `steps` (N x T x width).
    pub fn forward(&self, steps: Tensor<3>) -> Tensor<3> {
        let mut x = self
            .dropout
            .forward(silu(self.first.forward(self.input.forward(steps))));
        for ((convolution, norm), dilation) in
            self.convolutions.iter().zip(&self.norms).zip(DILATIONS)
        {
            let taps = Tensor::cat(
                vec![delayed(&x, 2 * dilation), delayed(&x, dilation), x.clone()],
                2,
            );
            x = x + silu(norm.forward(convolution.forward(taps)));
        }
        log_softmax(self.output.forward(x), 2)
    }

    /// The weights.
    ///
    /// # Errors
    /// When they cannot be read back from the device.
    pub fn layers(&self) -> Result<Layers> {
        let [width, channels] = self.input.weight.shape().dims();
        Ok(Layers {
            width,
            channels,
            input: (layer(&self.input)?, norm(&self.first)?),
            convolutions: (self.convolutions.iter().zip(&self.norms))
                .map(|(convolution, after)| Ok((layer(convolution)?, norm(after)?)))
                .collect::<Result<_>>()?,
            output: layer(&self.output)?,
        })
    }
}

/// The sequence `steps` later, zeros before it.
fn delayed(x: &Tensor<3>, steps: usize) -> Tensor<3> {
    let [n, time, channels] = x.dims();
    let device = x.device();
    if steps >= time {
        return Tensor::zeros([n, time, channels], &device);
    }
    let before = Tensor::zeros([n, steps, channels], &device);
    Tensor::cat(vec![before, x.clone().narrow(1, 0, time - steps)], 1)
}

fn layer(linear: &Linear) -> Result<Layer> {
    let outputs = linear.weight.shape().dims::<2>()[1];
    Ok(Layer {
        weight: values(linear.weight.val())?,
        bias: match &linear.bias {
            Some(bias) => values(bias.val())?,
            None => vec![0.0; outputs],
        },
    })
}

fn norm(norm: &LayerNorm) -> Result<Norm> {
    let gamma = values(norm.gamma.val())?;
    let beta = match &norm.beta {
        Some(beta) => values(beta.val())?,
        None => vec![0.0; gamma.len()],
    };
    Ok(Norm { gamma, beta })
}

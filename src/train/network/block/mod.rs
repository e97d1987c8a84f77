//! The network's one building block: convolution, batch normalisation and, where asked for, ReLU6.
//!
//! On the CPU the three are one operation with its own backward pass ([`super::kernels`]),
//! joined to the framework as a backend extension (`ops`); on other devices they are the framework's own
//! layers. Activations are NHWC everywhere, so that a network is written once.

mod ops;

use anyhow::{Result, ensure};
use burn::backend::{Dispatch, DispatchDevice};
use burn::module::{Module, Param, RunningState};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use self::ops::{BlockOps, Inputs, Residual};
use super::kernels::{Block, EPSILON, Kind};

/// Weight of a batch's statistics in the running ones, as in the network's pretraining.
const MOMENTUM: f64 = 0.1;

/// How a block is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Learns; normalises with the batch's statistics and moves the running ones towards them.
    Train,
    /// Learns; normalises with the running statistics, which stay as they are. Few pictures say
    /// little about them, and a network whose normalisation was folded into its weights has none
    /// but these.
    Tune,
    /// Does not learn; normalises with the running statistics.
    Infer,
}

/// Convolution without bias, batch normalisation, and ReLU6 if `relu6`.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// Laid out as its [`Kind`] says: rows of output channels, or of taps for a depthwise one.
    pub weight: Param<Tensor<2>>,
    /// Normalisation's factor.
    pub gamma: Param<Tensor<1>>,
    /// Normalisation's addend.
    pub beta: Param<Tensor<1>>,
    /// Running mean of the convolution's output.
    pub mean: RunningState<Tensor<1>>,
    /// Running unbiased variance of the convolution's output.
    pub variance: RunningState<Tensor<1>>,
    #[module(skip)]
    kind: Kind,
    channels: usize,
    relu6: bool,
}

impl ConvNorm {
    /// A block with He-initialised weights (He et al. 2015, fan-out) that normalises to mean 0 and variance 1.
    pub fn new(
        kind: Kind,
        channels: usize,
        out_channels: usize,
        relu6: bool,
        device: &Device,
    ) -> Self {
        let (shape, fan_out) = match kind {
            Kind::Pointwise => ([out_channels, channels], out_channels),
            Kind::Depthwise { .. } => ([9, channels], 9),
            Kind::Stem => ([out_channels, 9 * channels], 9 * out_channels),
        };
        let deviation = (2.0 / fan_out as f64).sqrt();
        let weight = Tensor::random(
            shape,
            burn::tensor::Distribution::Normal(0.0, deviation),
            device,
        );
        ConvNorm {
            weight: Param::from_tensor(weight),
            gamma: Param::from_tensor(Tensor::ones([out_channels], device)),
            beta: Param::from_tensor(Tensor::zeros([out_channels], device)),
            mean: RunningState::new(Tensor::zeros([out_channels], device)),
            variance: RunningState::new(Tensor::ones([out_channels], device)),
            kind,
            channels,
            relu6,
        }
    }

    /// Which convolution this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Input channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether ReLU6 follows.
    pub fn relu6(&self) -> bool {
        self.relu6
    }

    /// Output channels.
    pub fn out_channels(&self) -> usize {
        self.gamma.shape()[0]
    }

    /// Takes `weight`, which is laid out as in network files: output channels x input channels of a
    /// group x kernel rows x kernel columns.
    ///
    /// # Errors
    /// When it has another number of elements.
    pub fn set_weight(&mut self, weight: Vec<f32>, device: &Device) -> Result<()> {
        let (inputs, out) = (self.channels, self.out_channels());
        let [rows, columns] = self.weight.shape().dims();
        ensure!(
            weight.len() == rows * columns,
            "{} weights cannot be those of {rows} x {columns}",
            weight.len()
        );
        // The group is one channel in a depthwise convolution, the kernel 1x1 in a pointwise one.
        let ours = match self.kind {
            Kind::Pointwise => weight,
            Kind::Depthwise { .. } => {
                let at = |tap: usize, channel: usize| weight[channel * 9 + tap];
                (0..9 * out).map(|i| at(i / out, i % out)).collect()
            }
            Kind::Stem => {
                let at = |o: usize, tap: usize, i: usize| weight[(o * inputs + i) * 9 + tap];
                (0..out * 9 * inputs)
                    .map(|i| at(i / (9 * inputs), i / inputs % 9, i % inputs))
                    .collect()
            }
        };
        let data = TensorData::new(ours, [rows, columns]);
        self.weight = Param::from_tensor(Tensor::from_data(data, device));
        Ok(())
    }

    /// Becomes the convolution with this weight, laid out as in network files, and this bias: a
    /// normalisation that only adds the bias.
    ///
    /// # Errors
    /// When either has another number of elements.
    pub fn restore(&mut self, weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Result<()> {
        let out = self.out_channels();
        ensure!(
            bias.len() == out,
            "{} biases cannot be those of {out} channels",
            bias.len()
        );
        self.set_weight(weight, device)?;
        self.gamma = Param::from_tensor(Tensor::ones([out], device));
        let beta = Tensor::from_data(TensorData::new(bias, [out]), device);
        self.beta = Param::from_tensor(beta);
        self.mean = RunningState::new(Tensor::zeros([out], device));
        let variance = Tensor::full([out], 1.0 - EPSILON, device);
        self.variance = RunningState::new(variance);
        Ok(())
    }

    /// `x` (images x height x width x channels) to (images x height / stride x width / stride x
    /// output channels), with `residual` of the output's shape added.
    pub fn forward(&self, x: Tensor<4>, residual: Option<Tensor<4>>, mode: Mode) -> Tensor<4> {
        let device = x.device().inner();
        if matches!(device.as_dispatch(), DispatchDevice::Flex(_)) {
            self.fused(x, residual, mode)
        } else {
            self.layered(x, residual, mode)
        }
    }

    /// The block's sizes where it reads `x`.
    fn over(&self, x: &Tensor<4>) -> Block {
        let [images, height, width, channels] = x.dims();
        Block {
            kind: self.kind,
            images,
            height,
            width,
            channels,
            out_channels: self.out_channels(),
            relu6: self.relu6,
        }
    }

    fn fused(&self, x: Tensor<4>, residual: Option<Tensor<4>>, mode: Mode) -> Tensor<4> {
        let block = self.over(&x);
        let inputs = Inputs {
            x: x.into_dispatch(),
            weight: self.weight.val().into_dispatch(),
            gamma: self.gamma.val().into_dispatch(),
            beta: self.beta.val().into_dispatch(),
            residual: residual.map_or(Residual::None, |residual| {
                Residual::Add(residual.into_dispatch())
            }),
        };
        let running = |statistic: &RunningState<Tensor<1>>| statistic.value_sync().into_dispatch();
        Tensor::from_dispatch(match mode {
            Mode::Train => {
                let (z, mean, variance) = <Dispatch as BlockOps>::block(inputs, block);
                self.track(
                    Tensor::from_dispatch(mean),
                    Tensor::from_dispatch(variance),
                    block,
                );
                z
            }
            Mode::Tune => {
                let (mean, variance) = (running(&self.mean), running(&self.variance));
                <Dispatch as BlockOps>::block_tuned(inputs, mean, variance, block)
            }
            Mode::Infer => {
                let (mean, variance) = (running(&self.mean), running(&self.variance));
                <Dispatch as BlockOps>::block_fixed(inputs, mean, variance, block)
            }
        })
    }

    /// Moves the running statistics towards the batch's.
    fn track(&self, mean: Tensor<1>, variance: Tensor<1>, block: Block) {
        let rows = (block.output_len() / block.out_channels) as f64;
        let unbiased = variance * (rows / (rows - 1.0).max(1.0));
        for (running, batch) in [(&self.mean, mean), (&self.variance, unbiased)] {
            let running_value = running.value_sync();
            let batch = batch.detach().to_device(&running_value.device());
            running.update(running_value * (1.0 - MOMENTUM) + batch * MOMENTUM);
            // Makes the update visible to whoever visits the module next.
            running.value_sync();
        }
    }

    /// The same from the framework's layers.
    pub(super) fn layered(
        &self,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        mode: Mode,
    ) -> Tensor<4> {
        let block = self.over(&x);
        let (channels, out) = (block.channels, block.out_channels);
        let weight = self.weight.val();
        let (weight, stride, padding, groups) = match self.kind {
            Kind::Pointwise => (weight.reshape([out, channels, 1, 1]), 1, 0, 1),
            Kind::Depthwise { stride } => (
                weight.swap_dims(0, 1).reshape([out, 1, 3, 3]),
                stride,
                1,
                channels,
            ),
            Kind::Stem => (
                weight.reshape([out, 3, 3, channels]).permute([0, 3, 1, 2]),
                2,
                1,
                1,
            ),
        };
        let y = conv2d(
            x.permute([0, 3, 1, 2]),
            weight,
            None,
            ConvOptions::new([stride; 2], [padding; 2], [1, 1], groups),
        )
        .permute([0, 2, 3, 1]);
        let row = |tensor: Tensor<1>| tensor.reshape([1, 1, 1, out]);
        let (mean, variance) = match mode {
            Mode::Train => {
                let mean = y.clone().mean_dim(0).mean_dim(1).mean_dim(2);
                let square = (y.clone() - mean.clone()).powi_scalar(2);
                let variance = square.mean_dim(0).mean_dim(1).mean_dim(2);
                self.track(
                    mean.clone().reshape([out]),
                    variance.clone().reshape([out]),
                    block,
                );
                (mean, variance)
            }
            Mode::Tune | Mode::Infer => {
                (row(self.mean.value_sync()), row(self.variance.value_sync()))
            }
        };
        let scale = row(self.gamma.val()) / (variance + f64::from(EPSILON)).sqrt();
        let z = (y - mean) * scale + row(self.beta.val());
        let z = if self.relu6 { z.clamp(0.0, 6.0) } else { z };
        match residual {
            None => z,
            Some(residual) => z + residual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn device() -> Device {
        Device::flex().autodiff()
    }

    /// Output and gradients of a block, through the fused operation or the framework's layers.
    fn both(kind: Kind, channels: usize, out: usize, with_residual: bool, mode: Mode) {
        let device = device();
        let normal = Distribution::Normal(0.0, 1.0);
        // Drawn once for both: other tests draw from the device's random numbers, too.
        let weight = ConvNorm::new(kind, channels, out, true, &device).weight;
        let weight = weight.val().into_data();
        let mean = Tensor::<1>::random([out], normal, &device).into_data();
        let input = Tensor::<4>::random([2, 6, 6, channels], normal, &device).into_data();
        let weights = Tensor::<4>::random([2, 6, 6, out], normal, &device);
        let run = |fused: bool| {
            let mut block = ConvNorm::new(kind, channels, out, true, &device);
            block.weight = Param::from_tensor(Tensor::from_data(weight.clone(), &device));
            block.mean = RunningState::new(Tensor::from_data(mean.clone(), &device));
            let x = Tensor::<4>::from_data(input.clone(), &device).require_grad();
            let residual = with_residual.then(|| x.clone());
            let z = if fused {
                block.forward(x.clone(), residual, mode)
            } else {
                block.layered(x.clone(), residual, mode)
            };
            let [_, height, width, _] = z.dims();
            let weights = weights.clone().slice([0..2, 0..height, 0..width, 0..out]);
            let grads = (z.clone() * weights).sum().backward();
            let gradients = [
                block.weight.grad(&grads).unwrap().into_data(),
                block.gamma.grad(&grads).unwrap().into_data(),
                block.beta.grad(&grads).unwrap().into_data(),
            ];
            let dx = (kind != Kind::Stem).then(|| x.grad(&grads).unwrap().into_data());
            (
                z.into_data(),
                gradients,
                dx,
                block.mean.value_sync().into_data(),
            )
        };
        let (fused, layered) = (run(true), run(false));
        let close = Tolerance::<f32>::rel_abs(2e-3, 2e-3);
        fused.0.assert_approx_eq(&layered.0, close);
        for (fused, layered) in fused.1.iter().zip(&layered.1) {
            fused.assert_approx_eq(layered, close);
        }
        if let (Some(fused), Some(layered)) = (fused.2, layered.2) {
            fused.assert_approx_eq(&layered, close);
        }
        fused.3.assert_approx_eq(&layered.3, close);
    }

    #[test]
    fn the_fused_block_and_the_framework_s_layers_agree_forwards_and_backwards() {
        for mode in [Mode::Train, Mode::Tune] {
            both(Kind::Pointwise, 8, 12, false, mode);
            both(Kind::Depthwise { stride: 1 }, 16, 16, true, mode);
            both(Kind::Depthwise { stride: 2 }, 8, 8, false, mode);
            both(Kind::Stem, 3, 8, false, mode);
        }
    }

    #[test]
    fn inference_uses_the_running_statistics() {
        let device = device();
        let block = ConvNorm::new(Kind::Pointwise, 4, 4, true, &device);
        let x = Tensor::<4>::random([2, 3, 3, 4], Distribution::Default, &device);
        let before = block.forward(x.clone(), None, Mode::Infer).into_data();
        block.forward(x.clone() * 9.0, None, Mode::Train);
        let after = block.forward(x.clone(), None, Mode::Infer);
        let layered = block.layered(x, None, Mode::Infer).into_data();
        let after = after.into_data();
        after.assert_approx_eq(&layered, Tolerance::<f32>::rel_abs(1e-4, 1e-4));
        assert_ne!(before, after, "training moved no statistics");
    }
}

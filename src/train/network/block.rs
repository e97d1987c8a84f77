//! The network's one building block: convolution, batch normalisation and, where asked for, ReLU6.
//!
//! On the CPU the three are one operation with its own backward pass ([`kernels`]),
//! joined to the framework as a backend extension; on other devices they are the framework's own
//! layers. Activations are NHWC everywhere, so that a network is written once.

use anyhow::{Result, ensure};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::module::{Module, Param, RunningState};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;

use super::kernels::{self, Block, EPSILON, Forward, Kind, Parameters, Statistics};

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

    fn fused(&self, x: Tensor<4>, residual: Option<Tensor<4>>, mode: Mode) -> Tensor<4> {
        let [images, height, width, channels] = x.dims();
        let block = Block {
            kind: self.kind,
            images,
            height,
            width,
            channels,
            out_channels: self.out_channels(),
            relu6: self.relu6,
        };
        let x = x.into_dispatch();
        let weight = self.weight.val().into_dispatch();
        let gamma = self.gamma.val().into_dispatch();
        let beta = self.beta.val().into_dispatch();
        let residual = residual.map(Tensor::into_dispatch);
        match mode {
            Mode::Train => {
                let (z, mean, variance) = match residual {
                    None => <Dispatch as BlockOps>::block(x, weight, gamma, beta, block),
                    Some(residual) => {
                        <Dispatch as BlockOps>::block_add(x, weight, gamma, beta, residual, block)
                    }
                };
                self.track(
                    Tensor::from_dispatch(mean),
                    Tensor::from_dispatch(variance),
                    block,
                );
                Tensor::from_dispatch(z)
            }
            Mode::Tune => {
                let mean = self.mean.value_sync().into_dispatch();
                let variance = self.variance.value_sync().into_dispatch();
                Tensor::from_dispatch(match residual {
                    None => <Dispatch as BlockOps>::block_tuned(
                        x, weight, gamma, beta, mean, variance, block,
                    ),
                    Some(residual) => <Dispatch as BlockOps>::block_tuned_add(
                        x, weight, gamma, beta, mean, variance, residual, block,
                    ),
                })
            }
            Mode::Infer => {
                let mean = self.mean.value_sync().into_dispatch();
                let variance = self.variance.value_sync().into_dispatch();
                Tensor::from_dispatch(match residual {
                    None => <Dispatch as BlockOps>::block_fixed(
                        x, weight, gamma, beta, mean, variance, block,
                    ),
                    Some(residual) => <Dispatch as BlockOps>::block_fixed_add(
                        x, weight, gamma, beta, mean, variance, residual, block,
                    ),
                })
            }
        }
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
        let [images, height, width, channels] = x.dims();
        let out = self.out_channels();
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
                let block = Block {
                    kind: self.kind,
                    images,
                    height,
                    width,
                    channels,
                    out_channels: out,
                    relu6: self.relu6,
                };
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

/// The block as operations of a backend. Results of the training forms: output, batch mean, batch
/// variance.
#[backend_extension(Flex, Autodiff)]
pub trait BlockOps: Backend {
    /// A training step's forward pass.
    fn block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The same, with a residual added to the output.
    fn block_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// A training step's forward pass with given statistics, which have no gradient.
    fn block_tuned(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self>;

    /// The same, with a residual added to the output.
    #[allow(clippy::too_many_arguments)]
    fn block_tuned_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self>;

    /// The forward pass with given statistics. It has no gradient.
    fn block_fixed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self>;

    /// The same, with a residual added to the output.
    #[allow(clippy::too_many_arguments)]
    fn block_fixed_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self>;
}

/// A tensor's values as they lie in memory, copied only where they do not lie in order.
fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

fn values(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage::<f32>()[..tensor.layout().num_elements()]
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Gives a tensor's buffer back where nobody else reads it.
fn recycle(tensor: FlexTensor) {
    if tensor.is_unique()
        && let Ok(values) = tensor.into_data().try_into_vec::<f32>()
    {
        kernels::recycle(values);
    }
}

fn output_shape(block: &Block) -> [usize; 4] {
    [
        block.images,
        block.out_height(),
        block.out_width(),
        block.out_channels,
    ]
}

/// What the backward pass needs of the forward one.
#[derive(Clone, Debug)]
struct Saved {
    block: Block,
    x: FlexTensor,
    weight: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    /// Its output left away.
    forward: Forward,
}

/// A training step's forward pass; `fixed` are the mean and variance to normalise with, the batch's
/// own where there are none.
fn run(
    inputs: [FlexTensor; 4],
    fixed: Option<[FlexTensor; 2]>,
    residual: Option<FlexTensor>,
    block: Block,
) -> (FlexTensor, Saved) {
    let [x, weight, gamma, beta] = inputs.map(in_order);
    let fixed = fixed.map(|fixed| fixed.map(in_order));
    let residual = residual.map(in_order);
    let parameters = Parameters {
        weight: values(&weight),
        gamma: values(&gamma),
        beta: values(&beta),
    };
    let statistics = match &fixed {
        None => Statistics::Batch,
        Some([mean, variance]) => Statistics::Fixed {
            mean: values(mean),
            variance: values(variance),
        },
    };
    let residual = residual.as_ref().map(values);
    let mut forward = block.forward(values(&x), parameters, statistics, residual);
    let z = tensor(std::mem::take(&mut forward.z), output_shape(&block));
    let saved = Saved {
        block,
        x,
        weight,
        gamma,
        beta,
        forward,
    };
    (z, saved)
}

impl Saved {
    fn statistics(&self) -> (FlexTensor, FlexTensor) {
        let channels = [self.block.out_channels];
        (
            tensor(self.forward.mean.clone(), channels),
            tensor(self.forward.variance.clone(), channels),
        )
    }

    fn backward(self, dz: &FlexTensor, want_dx: bool) -> kernels::Gradients {
        let parameters = Parameters {
            weight: values(&self.weight),
            gamma: values(&self.gamma),
            beta: values(&self.beta),
        };
        let (x, dz) = (values(&self.x), values(dz));
        let gradients = self
            .block
            .backward(x, &self.forward, parameters, dz, want_dx);
        kernels::recycle(self.forward.y);
        recycle(self.x);
        gradients
    }
}

impl BlockOps for Flex {
    fn block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (z, saved) = run([x, weight, gamma, beta], None, None, block);
        let (mean, variance) = saved.statistics();
        (z, mean, variance)
    }

    fn block_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (z, saved) = run([x, weight, gamma, beta], None, Some(residual), block);
        let (mean, variance) = saved.statistics();
        (z, mean, variance)
    }

    fn block_tuned(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let fixed = Some([mean, variance]);
        run([x, weight, gamma, beta], fixed, None, block).0
    }

    fn block_tuned_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let fixed = Some([mean, variance]);
        run([x, weight, gamma, beta], fixed, Some(residual), block).0
    }

    fn block_fixed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        infer([x, weight, gamma, beta, mean, variance], None, block)
    }

    fn block_fixed_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        infer(
            [x, weight, gamma, beta, mean, variance],
            Some(residual),
            block,
        )
    }
}

fn infer(inputs: [FlexTensor; 6], residual: Option<FlexTensor>, block: Block) -> FlexTensor {
    let [x, weight, gamma, beta, mean, variance] = inputs.map(in_order);
    let residual = residual.map(in_order);
    let z = block.forward_fixed(
        values(&x),
        Parameters {
            weight: values(&weight),
            gamma: values(&gamma),
            beta: values(&beta),
        },
        values(&mean),
        values(&variance),
        residual.as_ref().map(values),
    );
    recycle(x);
    tensor(z, output_shape(&block))
}

/// Backward pass of a block whose inputs are x, weight, gamma, beta and, for `N` of 5, the residual.
#[derive(Debug)]
struct BlockBackward;

impl<const N: usize> Backward<Flex, N> for BlockBackward {
    type State = Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dz = in_order(grads.consume::<Flex>(&ops.node));
        let block = ops.state.block;
        let channels = [block.out_channels];
        let weight_shape = ops.state.weight.layout().shape().clone();
        let want_dx = ops.parents[0].is_some();
        let gradients = ops.state.backward(&dz, want_dx);
        let x_shape = [block.images, block.height, block.width, block.channels];
        let mut tensors = [
            gradients.dx.map(|dx| tensor(dx, x_shape)),
            Some(tensor(gradients.dweight, weight_shape)),
            Some(tensor(gradients.dgamma, channels)),
            Some(tensor(gradients.dbeta, channels)),
            None,
        ];
        if N == 5 {
            tensors[4] = Some(dz);
        } else {
            recycle(dz);
        }
        for (parent, gradient) in ops.parents.iter().zip(tensors) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> BlockOps for Autodiff<Flex, C> {
    fn block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (nodes, primitives) = split([x, weight, gamma, beta]);
        let (z, saved) = run(primitives, None, None, block);
        let (mean, variance) = saved.statistics();
        let z = finish::<C, 4>(nodes, z, saved);
        (z, AutodiffFlex::new(mean), AutodiffFlex::new(variance))
    }

    fn block_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (nodes, primitives) = split([x, weight, gamma, beta, residual]);
        let [x, weight, gamma, beta, residual] = primitives;
        let (z, saved) = run([x, weight, gamma, beta], None, Some(residual), block);
        let (mean, variance) = saved.statistics();
        let z = finish::<C, 5>(nodes, z, saved);
        (z, AutodiffFlex::new(mean), AutodiffFlex::new(variance))
    }

    fn block_tuned(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let (nodes, primitives) = split([x, weight, gamma, beta]);
        let fixed = [mean, variance].map(AutodiffFlex::into_primitive);
        let (z, saved) = run(primitives, Some(fixed), None, block);
        finish::<C, 4>(nodes, z, saved)
    }

    fn block_tuned_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let (nodes, primitives) = split([x, weight, gamma, beta, residual]);
        let [x, weight, gamma, beta, residual] = primitives;
        let fixed = [mean, variance].map(AutodiffFlex::into_primitive);
        let (z, saved) = run([x, weight, gamma, beta], Some(fixed), Some(residual), block);
        finish::<C, 5>(nodes, z, saved)
    }

    fn block_fixed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let inputs = [x, weight, gamma, beta, mean, variance].map(AutodiffFlex::into_primitive);
        AutodiffFlex::new(infer(inputs, None, block))
    }

    fn block_fixed_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let inputs = [x, weight, gamma, beta, mean, variance].map(AutodiffFlex::into_primitive);
        AutodiffFlex::new(infer(inputs, Some(residual.into_primitive()), block))
    }
}

type AutodiffFlex = FloatTensor<Autodiff<Flex>>;
type Node = burn::backend::autodiff::ops::NodeGuard;

fn split<const N: usize>(tensors: [AutodiffFlex; N]) -> ([Node; N], [FlexTensor; N]) {
    let nodes = tensors.each_ref().map(AutodiffFlex::node);
    (nodes, tensors.map(AutodiffFlex::into_primitive))
}

fn finish<C: CheckpointStrategy, const N: usize>(
    nodes: [Node; N],
    z: FlexTensor,
    saved: Saved,
) -> AutodiffFlex {
    match BlockBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(saved, z),
        OpsKind::UnTracked(prepared) => {
            kernels::recycle(saved.forward.y);
            prepared.finish(z)
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
        let run = |fused: bool| {
            device.seed(7);
            let mut block = ConvNorm::new(kind, channels, out, true, &device);
            let mean = Tensor::random([out], normal, &device);
            block.mean = RunningState::new(mean);
            let x = Tensor::<4>::random([2, 6, 6, channels], normal, &device).require_grad();
            let residual = with_residual.then(|| x.clone());
            let z = if fused {
                block.forward(x.clone(), residual, mode)
            } else {
                block.layered(x.clone(), residual, mode)
            };
            device.seed(8);
            let weights = Tensor::<4>::random(z.dims(), normal, &device);
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

//! The block as operations of a backend, with its own backward pass.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, ExtensionType, Flex, backend_extension};
use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;

use crate::train::network::kernels::{self, Block, Forward, Parameters, Statistics};

/// What a block reads.
#[derive(ExtensionType)]
pub struct Inputs<B: Backend> {
    /// Images x height x width x channels.
    pub x: FloatTensor<B>,
    /// Laid out as the block's kind says.
    pub weight: FloatTensor<B>,
    /// Normalisation's factor, one a channel.
    pub gamma: FloatTensor<B>,
    /// Normalisation's addend, one a channel.
    pub beta: FloatTensor<B>,
    /// What is added to the output.
    #[extension_type]
    pub residual: Residual<B>,
}

/// What is added to a block's output.
#[derive(ExtensionType)]
pub enum Residual<B: Backend> {
    /// Nothing.
    None,
    /// This, of the output's shape.
    Add(FloatTensor<B>),
}

/// A block's passes.
#[backend_extension(Flex, Autodiff)]
pub trait BlockOps: Backend {
    /// A training step's forward pass: the output, and the batch's mean and variance.
    fn block(
        #[extension_type] inputs: Inputs<Self>,
        block: Block,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// A training step's forward pass with given statistics, which have no gradient.
    fn block_tuned(
        #[extension_type] inputs: Inputs<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self>;

    /// The forward pass with given statistics. It has no gradient.
    fn block_fixed(
        #[extension_type] inputs: Inputs<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
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

impl Inputs<Flex> {
    fn in_order(self) -> Self {
        Self {
            x: in_order(self.x),
            weight: in_order(self.weight),
            gamma: in_order(self.gamma),
            beta: in_order(self.beta),
            residual: match self.residual {
                Residual::None => Residual::None,
                Residual::Add(residual) => Residual::Add(in_order(residual)),
            },
        }
    }

    fn parameters(&self) -> Parameters<'_> {
        parameters([&self.weight, &self.gamma, &self.beta])
    }

    fn residual(&self) -> Option<&[f32]> {
        match &self.residual {
            Residual::None => None,
            Residual::Add(residual) => Some(values(residual)),
        }
    }
}

fn parameters([weight, gamma, beta]: [&FlexTensor; 3]) -> Parameters<'_> {
    Parameters {
        weight: values(weight),
        gamma: values(gamma),
        beta: values(beta),
    }
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
fn learn(
    inputs: Inputs<Flex>,
    fixed: Option<[FlexTensor; 2]>,
    block: Block,
) -> (FlexTensor, Saved) {
    let inputs = inputs.in_order();
    let fixed = fixed.map(|fixed| fixed.map(in_order));
    let statistics = match &fixed {
        None => Statistics::Batch,
        Some([mean, variance]) => Statistics::Fixed {
            mean: values(mean),
            variance: values(variance),
        },
    };
    let x = values(&inputs.x);
    let mut forward = block.forward(x, inputs.parameters(), statistics, inputs.residual());
    let z = tensor(std::mem::take(&mut forward.z), output_shape(&block));
    let saved = Saved {
        block,
        x: inputs.x,
        weight: inputs.weight,
        gamma: inputs.gamma,
        beta: inputs.beta,
        forward,
    };
    (z, saved)
}

/// The forward pass after training.
fn infer(inputs: Inputs<Flex>, statistics: [FlexTensor; 2], block: Block) -> FlexTensor {
    let inputs = inputs.in_order();
    let [mean, variance] = statistics.map(in_order);
    let z = block.forward_fixed(
        values(&inputs.x),
        inputs.parameters(),
        values(&mean),
        values(&variance),
        inputs.residual(),
    );
    recycle(inputs.x);
    tensor(z, output_shape(&block))
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
        let parameters = parameters([&self.weight, &self.gamma, &self.beta]);
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
    fn block(inputs: Inputs<Self>, block: Block) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (z, saved) = learn(inputs, None, block);
        let (mean, variance) = saved.statistics();
        (z, mean, variance)
    }

    fn block_tuned(
        inputs: Inputs<Self>,
        mean: FlexTensor,
        variance: FlexTensor,
        block: Block,
    ) -> FlexTensor {
        learn(inputs, Some([mean, variance]), block).0
    }

    fn block_fixed(
        inputs: Inputs<Self>,
        mean: FlexTensor,
        variance: FlexTensor,
        block: Block,
    ) -> FlexTensor {
        infer(inputs, [mean, variance], block)
    }
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

type AutodiffFlex = FloatTensor<Autodiff<Flex>>;

impl<C: CheckpointStrategy> BlockOps for Autodiff<Flex, C> {
    fn block(inputs: Inputs<Self>, block: Block) -> (AutodiffFlex, AutodiffFlex, AutodiffFlex) {
        let (z, (mean, variance)) = learn_tracked(inputs, None, block);
        (z, AutodiffFlex::new(mean), AutodiffFlex::new(variance))
    }

    fn block_tuned(
        inputs: Inputs<Self>,
        mean: AutodiffFlex,
        variance: AutodiffFlex,
        block: Block,
    ) -> AutodiffFlex {
        let fixed = [mean, variance].map(AutodiffFlex::into_primitive);
        learn_tracked(inputs, Some(fixed), block).0
    }

    fn block_fixed(
        inputs: Inputs<Self>,
        mean: AutodiffFlex,
        variance: AutodiffFlex,
        block: Block,
    ) -> AutodiffFlex {
        let statistics = [mean, variance].map(AutodiffFlex::into_primitive);
        AutodiffFlex::new(infer(primitives(inputs), statistics, block))
    }
}

fn primitives<C: CheckpointStrategy>(inputs: Inputs<Autodiff<Flex, C>>) -> Inputs<Flex> {
    Inputs {
        x: inputs.x.into_primitive(),
        weight: inputs.weight.into_primitive(),
        gamma: inputs.gamma.into_primitive(),
        beta: inputs.beta.into_primitive(),
        residual: match inputs.residual {
            Residual::None => Residual::None,
            Residual::Add(residual) => Residual::Add(residual.into_primitive()),
        },
    }
}

/// [`learn`], with its backward pass noted; beside the output the statistics it normalised with.
fn learn_tracked<C: CheckpointStrategy>(
    inputs: Inputs<Autodiff<Flex, C>>,
    fixed: Option<[FlexTensor; 2]>,
    block: Block,
) -> (AutodiffFlex, (FlexTensor, FlexTensor)) {
    let nodes = [&inputs.x, &inputs.weight, &inputs.gamma, &inputs.beta].map(AutodiffFlex::node);
    let residual = match &inputs.residual {
        Residual::None => None,
        Residual::Add(residual) => Some(residual.node()),
    };
    let (z, saved) = learn(primitives(inputs), fixed, block);
    let statistics = saved.statistics();
    let z = match residual {
        None => finish::<C, 4>(nodes, z, saved),
        Some(residual) => {
            let [x, weight, gamma, beta] = nodes;
            finish::<C, 5>([x, weight, gamma, beta, residual], z, saved)
        }
    };
    (z, statistics)
}

fn finish<C: CheckpointStrategy, const N: usize>(
    nodes: [NodeGuard; N],
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

//! A trained network as plain arrays, batch normalisation folded: what export and quantisation
//! work on, whatever framework trained it.
//!
//! ```
//! use signcam::train::file::graph::{Activation, Conv, Dense, Graph};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut graph = Graph::new(32)?;
//! let stem = Conv::new(8, 3, 3, vec![0.1; 8 * 3 * 3 * 3]).stride(2).pad(1);
//! let x = graph.conv("stem", graph.image(), stem.activation(Activation::Relu6))?;
//! let x = graph.global_average_pool("pool", x)?;
//! let x = graph.dense("head", x, Dense::new(2, 8, vec![0.1; 16]))?;
//! graph.output("logits", x)?;
//! # Ok(())
//! # }
//! ```

use std::collections::HashSet;

use anyhow::{Result, ensure};

/// The largest input, in pixels a side.
const MAX_INPUT: usize = crate::recognize::crop::MAX_SIZE;

/// One node's place in a [`Graph`]; only the graph that made it takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A network from one normalised RGB picture to one or several outputs. Nodes come in an order
/// in which each follows what it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    input_size: usize,
    nodes: Vec<Node>,
    outputs: Vec<(String, NodeId)>,
}

/// One operation of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique in the graph.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads, in order.
    pub inputs: Vec<NodeId>,
    /// What it gives.
    pub shape: Shape,
}

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

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The network's input.
    Image,
    /// A convolution with its bias and activation.
    Conv(Conv),
    /// The sum of two maps of one shape.
    Add,
    /// Each channel's mean: a map becomes one of a single pixel.
    GlobalAveragePool,
    /// A linear layer on a map of a single pixel or on another linear layer's result. Nothing but
    /// linear layers reads what it gives.
    Dense(Dense),
    /// Each pixel four times: twice the height and width, nearest neighbour.
    Upsample2x,
    /// Maps of one height and width, their channels one after the other.
    Concat,
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

    fn check(&self, input: Shape) -> Result<Shape> {
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

    fn check(&self, input: Shape) -> Result<Shape> {
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

impl Graph {
    /// A network without layers for pictures of `input_size` x `input_size`.
    ///
    /// # Errors
    /// When the size is none that a crop can have.
    pub fn new(input_size: usize) -> Result<Self> {
        ensure!(
            (1..=MAX_INPUT).contains(&input_size),
            "a network's input must be 1 to {MAX_INPUT} pixels a side, not {input_size}"
        );
        let image = Node {
            name: "image".into(),
            op: Op::Image,
            inputs: Vec::new(),
            shape: Shape {
                channels: 3,
                height: input_size,
                width: input_size,
            },
        };
        Ok(Graph {
            input_size,
            nodes: vec![image],
            outputs: Vec::new(),
        })
    }

    /// The input's height and width, in pixels.
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// All nodes, the picture first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Outputs with their names.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// The network's input.
    pub fn image(&self) -> NodeId {
        NodeId(0)
    }

    /// Adds a convolution.
    ///
    /// # Errors
    /// When its arrays do not fit its sizes or the input, or hold a value that is not finite.
    pub fn conv(&mut self, name: &str, input: NodeId, conv: Conv) -> Result<NodeId> {
        let shape = in_node(name, conv.check(self.map(input)?))?;
        self.push(name, Op::Conv(conv), &[input], shape)
    }

    /// Adds the sum of two nodes.
    ///
    /// # Errors
    /// When their shapes differ.
    pub fn add(&mut self, name: &str, left: NodeId, right: NodeId) -> Result<NodeId> {
        let (a, b) = (self.map(left)?, self.map(right)?);
        ensure!(a == b, "{name} cannot add {a:?} and {b:?}");
        self.push(name, Op::Add, &[left, right], a)
    }

    /// Adds the mean over each channel.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn global_average_pool(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let shape = Shape {
            height: 1,
            width: 1,
            ..self.map(input)?
        };
        self.push(name, Op::GlobalAveragePool, &[input], shape)
    }

    /// Adds a linear layer.
    ///
    /// # Errors
    /// As [`Graph::conv`], and when the input is no vector.
    pub fn dense(&mut self, name: &str, input: NodeId, dense: Dense) -> Result<NodeId> {
        let shape = in_node(name, dense.check(self.shape(input)?))?;
        self.push(name, Op::Dense(dense), &[input], shape)
    }

    /// Adds a nearest-neighbour enlargement to twice the height and width.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn upsample2x(&mut self, name: &str, input: NodeId) -> Result<NodeId> {
        let shape = self.map(input)?;
        let shape = Shape {
            height: 2 * shape.height,
            width: 2 * shape.width,
            ..shape
        };
        self.push(name, Op::Upsample2x, &[input], shape)
    }

    /// Adds the inputs' channels one after the other.
    ///
    /// # Errors
    /// When there is no input, or heights or widths differ.
    pub fn concat(&mut self, name: &str, inputs: &[NodeId]) -> Result<NodeId> {
        let shapes: Vec<Shape> = inputs
            .iter()
            .map(|&i| self.shape(i))
            .collect::<Result<_>>()?;
        ensure!(
            shapes
                .windows(2)
                .all(|two| (two[0].height, two[0].width) == (two[1].height, two[1].width)),
            "{name} cannot join {shapes:?}"
        );
        ensure!(!shapes.is_empty(), "{name} joins nothing");
        let shape = Shape {
            channels: shapes.iter().map(|shape| shape.channels).sum(),
            ..shapes[0]
        };
        self.push(name, Op::Concat, inputs, shape)
    }

    /// Names a node's result as an output of the network.
    ///
    /// # Errors
    /// When the name is taken, or the node is an output already.
    pub fn output(&mut self, name: &str, node: NodeId) -> Result<()> {
        self.shape(node)?;
        self.check_name(name)?;
        ensure!(
            node.0 > 0 && self.outputs.iter().all(|&(_, other)| other != node),
            "{} cannot be output {name}: it is the input or an output already",
            self.node(node).name
        );
        self.outputs.push((name.into(), node));
        Ok(())
    }

    /// Multiply-adds for one picture, those of padding included.
    pub fn multiply_adds(&self) -> u64 {
        let of = |node: &Node| match &node.op {
            Op::Conv(conv) => conv.weight.len() * node.shape.height * node.shape.width,
            Op::Dense(dense) => dense.weight.len(),
            _ => 0,
        };
        self.nodes.iter().map(|node| of(node) as u64).sum()
    }

    fn shape(&self, id: NodeId) -> Result<Shape> {
        let node = self.nodes.get(id.0);
        node.map(|node| node.shape)
            .ok_or_else(|| anyhow::anyhow!("node {} is of another graph", id.0))
    }

    /// The shape of a node that is no linear layer.
    fn map(&self, id: NodeId) -> Result<Shape> {
        let shape = self.shape(id)?;
        let node = self.node(id);
        ensure!(
            !matches!(node.op, Op::Dense(_)),
            "only linear layers can read the linear layer {}",
            node.name
        );
        Ok(shape)
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[NodeId], shape: Shape) -> Result<NodeId> {
        self.check_name(name)?;
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            shape,
        });
        Ok(NodeId(self.nodes.len() - 1))
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let taken: HashSet<&str> = self
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .chain(self.outputs.iter().map(|(name, _)| name.as_str()))
            .collect();
        ensure!(!name.is_empty(), "a node needs a name");
        ensure!(!taken.contains(name), "there are two nodes named {name}");
        Ok(())
    }
}

fn in_node<T>(name: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| error.context(format!("layer {name} does not fit the network")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(out: usize, channels: usize, kernel: usize) -> Conv {
        Conv::new(
            out,
            channels,
            kernel,
            vec![0.5; out * channels * kernel * kernel],
        )
    }

    #[test]
    fn shapes_follow_stride_and_padding() {
        let mut graph = Graph::new(15).unwrap();
        let x = graph
            .conv("stem", graph.image(), conv(4, 3, 3).stride(2).pad(1))
            .unwrap();
        assert_eq!(
            graph.node(x).shape,
            Shape {
                channels: 4,
                height: 8,
                width: 8
            }
        );
        let up = graph.upsample2x("up", x).unwrap();
        let both = graph.concat("both", &[up, up]).unwrap();
        assert_eq!(
            graph.node(both).shape,
            Shape {
                channels: 8,
                height: 16,
                width: 16
            }
        );
    }

    #[test]
    fn a_folded_normalisation_gives_what_the_two_steps_gave() {
        let (gamma, beta, mean, variance) = ([2.0, 0.5], [0.1, -0.2], [0.3, -1.0], [4.0, 0.25]);
        let norm = BatchNorm {
            gamma: &gamma,
            beta: &beta,
            mean: &mean,
            variance: &variance,
            epsilon: 1e-5,
        };
        let folded = Conv::new(2, 1, 1, vec![1.5, -3.0]).fold(norm).unwrap();
        for (c, weight) in [1.5f32, -3.0].into_iter().enumerate() {
            let x = 0.7;
            let reference =
                gamma[c] * (weight * x - mean[c]) / (variance[c] + 1e-5f32).sqrt() + beta[c];
            let ours = folded.weight[c] * x + folded.bias[c];
            assert!((ours - reference).abs() < 1e-5, "{ours} {reference}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let mut graph = Graph::new(16).unwrap();
        let image = graph.image();
        let message = |result: Result<NodeId>| format!("{:#}", result.unwrap_err());

        let channels = message(graph.conv("wide", image, conv(4, 8, 3)));
        assert!(
            channels.contains("wide") && channels.contains('8'),
            "{channels}"
        );

        let mut short = conv(4, 3, 3);
        short.weight.pop();
        assert!(message(graph.conv("short", image, short)).contains("107"));

        let mut diverged = conv(4, 3, 3);
        diverged.weight[5] = f32::NAN;
        assert!(message(graph.conv("diverged", image, diverged)).contains("finite"));

        let map = message(graph.dense("head", image, Dense::new(2, 3, vec![0.0; 6])));
        assert!(map.contains("single pixel"), "{map}");

        let a = graph.conv("a", image, conv(3, 3, 1)).unwrap();
        let b = graph.conv("b", image, conv(3, 3, 1).stride(2)).unwrap();
        assert!(graph.add("sum", a, b).is_err());
        assert!(graph.concat("join", &[a, b]).is_err());
        assert!(graph.conv("a", image, conv(3, 3, 1)).is_err());
    }
}

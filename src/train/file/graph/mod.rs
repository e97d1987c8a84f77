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

mod layers;

use std::collections::HashSet;

use anyhow::{Result, ensure};

use crate::model::MAX_INPUT_SIZE;

pub use layers::{Activation, BatchNorm, Conv, Dense, Shape};

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

impl Graph {
    /// A network without layers for pictures of `input_size` x `input_size`.
    ///
    /// # Errors
    /// When the size is none that a crop can have.
    pub fn new(input_size: usize) -> Result<Self> {
        ensure!(
            (1..=MAX_INPUT_SIZE).contains(&input_size),
            "a network's input must be 1 to {MAX_INPUT_SIZE} pixels a side, not {input_size}"
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
mod tests;

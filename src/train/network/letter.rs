//! The letter network: MobileNetV2, the mean of its last map, and a head; another one for the joints.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::block::{ConvNorm, Mode};
use super::kernels::{EPSILON, Kind};
use super::linear::{dense, restored};
use super::mobilenet::{FEATURES, Maps, MobileNet, STRIDE_8, STRIDE_16};
use super::points::Points;
use super::values;
use crate::model::JOINTS_OUTPUT;
use crate::train::file::graph::{Activation, BatchNorm, Conv, Graph, NodeId};
use crate::train::file::import::Written;

/// What stands on the backbone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadOptions {
    /// Width of a dense layer with ReLU before the last one, as in the notebook; none for a linear head.
    pub hidden: Option<usize>,
    /// Share of values dropped before the last layer in training.
    pub dropout: f64,
    /// Whether the hand's points are a second output.
    pub points: bool,
}

/// Layers from the mean of the last map to the logits.
#[derive(Module, Debug)]
pub struct Head {
    hidden: Option<Linear>,
    dropout: Dropout,
    letters: Linear,
    points: Option<Points>,
}

/// A picture of a hand in, a logit for each label out.
#[derive(Module, Debug)]
pub struct LetterNet {
    /// The part with ImageNet weights.
    pub backbone: MobileNet,
    /// The part of its own.
    pub head: Head,
}

/// What the network says of a batch.
pub struct Output {
    /// N x labels.
    pub logits: Tensor<2>,
    /// N x [`JOINT_VALUES`](crate::base::joints::JOINT_VALUES), in fractions of the crop from its centre.
    pub points: Option<Tensor<2>>,
}

impl LetterNet {
    /// With a random backbone and head.
    pub fn new(labels: usize, options: HeadOptions, device: &Device) -> Self {
        let width = options.hidden.unwrap_or(FEATURES);
        Self {
            backbone: MobileNet::new(device),
            head: Head {
                hidden: options
                    .hidden
                    .map(|hidden| LinearConfig::new(FEATURES, hidden).init(device)),
                dropout: DropoutConfig::new(options.dropout).init(),
                letters: LinearConfig::new(width, labels).init(device),
                points: options.points.then(|| Points::new(device)),
            },
        }
    }

    /// Reads `images` (N x S x S x 3, normalised). The lowest `frozen` units of the backbone keep
    /// weights and statistics.
    pub fn forward(&self, images: Tensor<4>, mode: Mode, frozen: usize) -> Output {
        let Maps { narrow, last, .. } = self.backbone.forward(images, mode, frozen);
        let [images, .., channels] = last.dims();
        let features = last.mean_dim(1).mean_dim(2).reshape([images, channels]);
        let points = (self.head.points.as_ref()).map(|points| points.forward(narrow, mode));
        let features = match &self.head.hidden {
            None => features,
            Some(hidden) => relu(hidden.forward(features)),
        };
        let features = match mode {
            Mode::Train | Mode::Tune => self.head.dropout.forward(features),
            Mode::Infer => features,
        };
        Output {
            logits: self.head.letters.forward(features),
            points,
        }
    }

    /// Takes the weights of a network file, whose head has as many labels and the same layers.
    ///
    /// # Errors
    /// When the file is another network.
    pub fn restore(mut self, written: &Written, device: &Device) -> Result<Self> {
        for (name, block) in self.backbone.blocks_mut() {
            let (weight, bias) = written.layer(&name)?;
            block
                .restore(weight, bias, device)
                .with_context(|| format!("its layer {name} does not fit"))?;
        }
        let Head {
            hidden,
            letters,
            points,
            ..
        } = &mut self.head;
        for (name, layer) in [("hidden", hidden.as_mut()), ("letters", Some(letters))] {
            if let Some(layer) = layer {
                *layer = restored(layer, written.layer(name)?, device)
                    .with_context(|| format!("its layer {name} does not fit"))?;
            }
        }
        *points = (points.take())
            .map(|points| points.restore(written, device))
            .transpose()?;
        Ok(self)
    }

    /// The same network for the labels `to`: those that are among `from`, its labels so far, are
    /// read as before, the others start at random.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn relabelled(mut self, from: &[String], to: &[String], device: &Device) -> Result<Self> {
        let known = dense(&self.head.letters, 1.0)?;
        let fresh = dense(&LinearConfig::new(known.inputs, to.len()).init(device), 1.0)?;
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for (at, label) in to.iter().enumerate() {
            let (layer, at) = match from.iter().position(|known| known == label) {
                Some(known_at) => (&known, known_at),
                None => (&fresh, at),
            };
            let row = at * layer.inputs..(at + 1) * layer.inputs;
            weight.extend_from_slice(&layer.weight[row]);
            bias.push(layer.bias[at]);
        }
        let letters = LinearConfig::new(known.inputs, to.len()).init(device);
        self.head.letters = restored(&letters, (weight, bias), device)?;
        Ok(self)
    }

    /// The same network with another share of values dropped in training, and with or without the
    /// hand's points as a second output; they start at random where it had none.
    pub fn with_head(mut self, options: HeadOptions, device: &Device) -> Self {
        self.head.dropout = DropoutConfig::new(options.dropout).init();
        let points = self.head.points.take();
        let fresh = || Points::new(device);
        self.head.points = options.points.then(|| points.unwrap_or_else(fresh));
        self
    }

    /// The network as it is exported: normalisation folded, logits divided by `temperature`
    /// (Guo et al. 2017), the points counted from the crop's top left corner.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn graph(&self, input_size: usize, temperature: f32) -> Result<Graph> {
        let mut graph = Graph::new(input_size)?;
        let MapNodes { narrow, last, .. } = self.backbone.export(&mut graph)?;
        let mut x = graph.global_average_pool("pool", last)?;
        if let Some(hidden) = &self.head.hidden {
            let layer = dense(hidden, 1.0)?.activation(Activation::Relu);
            x = graph.dense("hidden", x, layer)?;
        }
        let x = graph.dense("letters", x, dense(&self.head.letters, 1.0 / temperature)?)?;
        graph.output("logits", x)?;
        if let Some(points) = &self.head.points {
            let joints = points.export(&mut graph, narrow)?;
            graph.output(JOINTS_OUTPUT, joints)?;
        }
        Ok(graph)
    }
}

/// Nodes of an exported backbone's maps.
pub struct MapNodes {
    /// The last bottleneck's map.
    pub narrow: NodeId,
    /// The last map.
    pub last: NodeId,
}

/// Nodes of an exported backbone's maps up to the last bottleneck.
pub struct TrunkNodes {
    /// The map at an eighth of the input's size.
    pub stride_8: NodeId,
    /// The map at a sixteenth of the input's size.
    pub stride_16: NodeId,
    /// The last bottleneck's map.
    pub narrow: NodeId,
}

impl MobileNet {
    /// Adds the network to `graph`, behind its image.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn export(&self, graph: &mut Graph) -> Result<MapNodes> {
        let narrow = self.export_trunk(graph)?.narrow;
        let last = graph.conv("top", narrow, self.top.export()?)?;
        Ok(MapNodes { narrow, last })
    }

    /// Adds the network without its last convolution to `graph`, behind its image.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn export_trunk(&self, graph: &mut Graph) -> Result<TrunkNodes> {
        let mut x = graph.conv("stem", graph.image(), self.stem.export()?)?;
        let (mut stride_8, mut stride_16) = (x, x);
        for (index, bottleneck) in self.bottlenecks.iter().enumerate() {
            let unit = index + 1;
            let input = x;
            if let Some(expand) = &bottleneck.expand {
                x = graph.conv(&format!("{unit}.expand"), x, expand.export()?)?;
            }
            x = graph.conv(
                &format!("{unit}.depthwise"),
                x,
                bottleneck.depthwise.export()?,
            )?;
            x = graph.conv(&format!("{unit}.project"), x, bottleneck.project.export()?)?;
            if bottleneck.shortcut() {
                x = graph.add(&format!("{unit}.add"), input, x)?;
            }
            match unit {
                STRIDE_8 => stride_8 = x,
                STRIDE_16 => stride_16 = x,
                _ => {}
            }
        }
        Ok(TrunkNodes {
            stride_8,
            stride_16,
            narrow: x,
        })
    }
}

impl ConvNorm {
    /// The block as an exported convolution, its normalisation folded in.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn export(&self) -> Result<Conv> {
        let (inputs, out) = (self.channels(), self.out_channels());
        let weight = self.weight.val();
        let conv = match self.kind() {
            Kind::Pointwise => Conv::new(out, inputs, 1, values(weight)?),
            Kind::Depthwise { stride } => Conv::depthwise(out, 3, values(weight.swap_dims(0, 1))?)
                .stride(stride)
                .pad(1),
            Kind::Stem => {
                let weight = weight.reshape([out, 3, 3, inputs]).permute([0, 3, 1, 2]);
                Conv::new(out, inputs, 3, values(weight)?).stride(2).pad(1)
            }
        };
        let activation = if self.relu6() {
            Activation::Relu6
        } else {
            Activation::None
        };
        conv.activation(activation).fold(BatchNorm {
            gamma: &values(self.gamma.val())?,
            beta: &values(self.beta.val())?,
            mean: &values(self.mean.value_sync())?,
            variance: &values(self.variance.value_sync())?,
            epsilon: EPSILON,
        })
    }
}

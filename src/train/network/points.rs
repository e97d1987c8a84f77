//! The layers that say where a hand's joints are.
//!
//! The mean of a map forgets where in the crop something is. So these layers read the last
//! bottleneck's map while it has places: each convolution within channels, at stride 2, weighs the
//! places of its window with weights of its own, until one pixel is left of crops of up to 256
//! pixels a side.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::block::{ConvNorm, Mode};
use super::kernels::Kind;
use super::linear::{dense, restored};
use super::mobilenet::NARROW_CHANNELS;
use crate::base::joints::JOINT_VALUES;
use crate::train::file::graph::{Graph, NodeId};
use crate::train::file::import::Written;

/// Channels before each convolution within channels.
const WIDTHS: [usize; 3] = [192, 256, 384];

/// The crop's centre, from which the network learns where joints are; files count from its corner.
pub const CENTRE: f32 = 0.5;

/// The last layer's name in a network file.
const LAST: &str = "joints.last";

/// A map of a hand's crop in, its joints out.
#[derive(Module, Debug)]
pub struct Points {
    steps: Vec<Step>,
    last: Linear,
}

/// 1x1, then 3x3 within channels at stride 2.
#[derive(Module, Debug)]
struct Step {
    mix: ConvNorm,
    weigh: ConvNorm,
}

impl Points {
    /// With random weights.
    pub fn new(device: &Device) -> Self {
        let mut channels = NARROW_CHANNELS;
        let steps = WIDTHS.map(|width| {
            let weigh = Kind::Depthwise { stride: 2 };
            let step = Step {
                mix: ConvNorm::new(Kind::Pointwise, channels, width, true, device),
                weigh: ConvNorm::new(weigh, width, width, true, device),
            };
            channels = width;
            step
        });
        Points {
            steps: steps.into(),
            last: LinearConfig::new(channels, JOINT_VALUES).init(device),
        }
    }

    /// Reads `map` (N x H x W x [`NARROW_CHANNELS`]) and gives N x [`JOINT_VALUES`], in fractions of
    /// the crop from its centre.
    pub fn forward(&self, map: Tensor<4>, mode: Mode) -> Tensor<2> {
        let map = self.steps.iter().fold(map, |map, step| {
            let mixed = step.mix.forward(map, None, mode);
            step.weigh.forward(mixed, None, mode)
        });
        let [images, .., channels] = map.dims();
        let features = map.mean_dim(1).mean_dim(2).reshape([images, channels]);
        self.last.forward(features)
    }

    /// Every block with the name that its layer has in a network file.
    fn blocks_mut(&mut self) -> impl Iterator<Item = (String, &mut ConvNorm)> {
        (self.steps.iter_mut().enumerate()).flat_map(|(index, step)| {
            let name = move |part: &str| format!("joints.{}.{part}", index + 1);
            [
                (name("mix"), &mut step.mix),
                (name("weigh"), &mut step.weigh),
            ]
        })
    }

    /// Whether a network file has such layers.
    pub fn are_in(written: &Written) -> bool {
        written.has(LAST)
    }

    /// Takes the weights of a network file.
    ///
    /// # Errors
    /// When the file lacks a layer or has it in another size.
    pub fn restore(mut self, written: &Written, device: &Device) -> Result<Self> {
        let differs = |name: &str| format!("its layer {name} does not fit");
        for (name, block) in self.blocks_mut() {
            let (weight, bias) = written.layer(&name)?;
            (block.restore(weight, bias, device)).with_context(|| differs(&name))?;
        }
        let (weight, mut bias) = written.layer(LAST)?;
        bias.iter_mut().for_each(|bias| *bias -= CENTRE);
        self.last = restored(&self.last, (weight, bias), device).with_context(|| differs(LAST))?;
        Ok(self)
    }

    /// Adds the layers to `graph`, behind the map `narrow`: joints counted from the crop's top left
    /// corner come of them.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn export(&self, graph: &mut Graph, narrow: NodeId) -> Result<NodeId> {
        let mut map = narrow;
        for (index, step) in self.steps.iter().enumerate() {
            let name = |part: &str| format!("joints.{}.{part}", index + 1);
            map = graph.conv(&name("mix"), map, step.mix.export()?)?;
            map = graph.conv(&name("weigh"), map, step.weigh.export()?)?;
        }
        let pooled = graph.global_average_pool("joints.pool", map)?;
        let mut layer = dense(&self.last, 1.0)?;
        layer.bias.iter_mut().for_each(|bias| *bias += CENTRE);
        graph.dense(LAST, pooled, layer)
    }
}

//! The network that finds hands: MobileNetV2 up to its last bottleneck, two of its maps joined at
//! a sixteenth of the picture's size, and for each cell of that how likely a hand's centre lies
//! in it and how far the hand reaches from there.

use anyhow::Result;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::block::{ConvNorm, Mode};
use super::kernels::Kind;
use super::mobilenet::{MobileNet, NARROW_CHANNELS, STRIDE_16_CHANNELS, Trunk};
use super::values;
use crate::base::frame::Rect;
use crate::recognize::finder::REACH;
use crate::train::data::scenes::Target;
use crate::train::file::graph::{Activation, Conv, Graph};

/// Channels of the joined map.
const WIDTH: usize = 128;

/// A hand's reach from its centre before anything is learned, in [`REACH`]'s units: a fifth of
/// the picture.
const FIRST_REACH: f32 = 1.2;

/// A heat logit before anything is learned: hands' centres are rare.
const FIRST_HEAT: f32 = -4.0;

/// A picture in, maps of heat and reach out.
#[derive(Module, Debug)]
pub struct FinderNet {
    /// The part with ImageNet weights.
    pub backbone: MobileNet,
    lateral: ConvNorm,
    deep: ConvNorm,
    context: ConvNorm,
    mix: ConvNorm,
    heat: Linear,
    reach: Linear,
}

/// What the network says of a batch.
pub struct Output {
    /// N x cells x cells x 1 logits.
    pub heat: Tensor<4>,
    /// N x cells x cells x 4: left, up, right, down, 0 to [`REACH`].
    pub reach: Tensor<4>,
}

impl FinderNet {
    /// With a random backbone and head.
    pub fn new(device: &Device) -> Self {
        let pointwise =
            |inputs, relu6| ConvNorm::new(Kind::Pointwise, inputs, WIDTH, relu6, device);
        FinderNet {
            backbone: MobileNet::new(device),
            lateral: pointwise(STRIDE_16_CHANNELS, false),
            deep: pointwise(NARROW_CHANNELS, true),
            context: ConvNorm::new(Kind::Depthwise { stride: 1 }, WIDTH, WIDTH, true, device),
            mix: pointwise(WIDTH, true),
            heat: linear(1, FIRST_HEAT, device),
            reach: linear(4, FIRST_REACH, device),
        }
    }

    /// Reads `images` (N x S x S x 3, normalised). The lowest `frozen` units of the backbone keep
    /// weights and statistics.
    pub fn forward(&self, images: Tensor<4>, mode: Mode, frozen: usize) -> Output {
        let Trunk { stride_16, narrow } = self.backbone.trunk(images, mode, frozen);
        let deep = upsampled(self.deep.forward(narrow, None, mode));
        let x = self.lateral.forward(stride_16, Some(deep), mode);
        let x = self.context.forward(x, None, mode);
        let x = self.mix.forward(x, None, mode);
        Output {
            heat: self.heat.forward(x.clone()),
            reach: self.reach.forward(x).clamp(0.0, REACH),
        }
    }

    /// The network as it is exported, normalisation folded.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn graph(&self, input_size: usize) -> Result<Graph> {
        let mut graph = Graph::new(input_size)?;
        let trunk = self.backbone.export_trunk(&mut graph)?;
        let deep = graph.conv("deep", trunk.narrow, self.deep.export()?)?;
        let deep = graph.upsample2x("upsample", deep)?;
        let lateral = graph.conv("lateral", trunk.stride_16, self.lateral.export()?)?;
        let x = graph.add("join", lateral, deep)?;
        let x = graph.conv("context", x, self.context.export()?)?;
        let x = graph.conv("mix", x, self.mix.export()?)?;
        let heat = graph.conv("heat_map", x, pointwise(&self.heat)?)?;
        let reach = pointwise(&self.reach)?.activation(Activation::Relu6);
        let reach = graph.conv("box_map", x, reach)?;
        graph.output("heat", heat)?;
        graph.output("box", reach)?;
        Ok(graph)
    }
}

/// A layer that gives `value` everywhere until it learns.
fn linear(outputs: usize, value: f32, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(WIDTH, outputs).init(device);
    let weight = Tensor::random(
        [WIDTH, outputs],
        burn::tensor::Distribution::Normal(0.0, 0.001),
        device,
    );
    linear.weight = Param::from_tensor(weight);
    let bias = Tensor::from_data(TensorData::new(vec![value; outputs], [outputs]), device);
    linear.bias = Some(Param::from_tensor(bias));
    linear
}

/// Each pixel four times: N x H x W x C to N x 2H x 2W x C.
fn upsampled(x: Tensor<4>) -> Tensor<4> {
    let [n, height, width, channels] = x.dims();
    let x = x.reshape([n * height, width, 1, channels]);
    let x = Tensor::cat(vec![x.clone(), x], 2);
    let x = x.reshape([n * height, 1, 2 * width, channels]);
    let x = Tensor::cat(vec![x.clone(), x], 1);
    x.reshape([n, 2 * height, 2 * width, channels])
}

fn pointwise(layer: &Linear) -> Result<Conv> {
    let [inputs, outputs] = layer.weight.shape().dims();
    let weight = values(layer.weight.val().swap_dims(0, 1))?;
    let conv = Conv::new(outputs, inputs, 1, weight);
    Ok(match &layer.bias {
        None => conv,
        Some(bias) => conv.bias(values(bias.val())?),
    })
}

/// What the maps of a batch should be, as plain arrays.
struct Maps {
    /// 1 in a hand's cell, falling off around it.
    heat: Vec<f32>,
    /// Weight of each cell's heat.
    counts: Vec<f32>,
    /// Left, up, right, down.
    reach: Vec<f32>,
    /// Weight of each cell's reach.
    near: Vec<f32>,
}

impl Maps {
    fn of(targets: &[Target], cells: usize) -> Maps {
        let area = cells * cells;
        let mut maps = Maps {
            heat: vec![0.0; targets.len() * area],
            counts: vec![1.0; targets.len() * area],
            reach: vec![0.0; 4 * targets.len() * area],
            near: vec![0.0; targets.len() * area],
        };
        for (index, target) in targets.iter().enumerate() {
            let from = index * area;
            match target {
                Target::Nothing => {}
                Target::Unclear => maps.counts[from..from + area].fill(0.0),
                Target::Hand(hand) => maps.draw(from, *hand, cells),
            }
        }
        maps
    }

    fn draw(&mut self, from: usize, hand: Rect, cells: usize) {
        let scale = cells as f32;
        let cell = |middle: f32| ((middle * scale) as usize).min(cells - 1);
        let (cx, cy) = (
            cell((hand.x0 + hand.x1) / 2.0),
            cell((hand.y0 + hand.y1) / 2.0),
        );
        // A larger hand's centre is less certain by as much.
        let spread = |side: f32| (0.12 * side * scale).clamp(0.45, 1.5);
        let (sx, sy) = (spread(hand.width()), spread(hand.height()));
        for y in 0..cells {
            for x in 0..cells {
                let at = from + y * cells + x;
                let dx = (x as f32 - cx as f32) / sx;
                let dy = (y as f32 - cy as f32) / sy;
                let heat = (-(dx * dx + dy * dy) / 2.0).exp();
                self.heat[at] = heat;
                let (px, py) = ((x as f32 + 0.5) / scale, (y as f32 + 0.5) / scale);
                let reach = [px - hand.x0, py - hand.y0, hand.x1 - px, hand.y1 - py];
                if heat > 0.2 && reach.iter().all(|&reach| reach > 0.0) {
                    self.near[at] = heat;
                    for (direction, reach) in reach.into_iter().enumerate() {
                        self.reach[4 * at + direction] = reach * REACH;
                    }
                }
            }
        }
    }
}

/// The loss of a batch: the heat's, penalty-reduced focal as in CenterNet (Zhou et al. 2019), and
/// twice the mean of 1 - GIoU (Rezatofighi et al. 2019) of the boxes seen from cells near a hand's
/// centre.
pub fn loss(output: Output, targets: &[Target], device: &Device) -> Tensor<1> {
    let [images, cells, ..] = output.heat.dims();
    let maps = Maps::of(targets, cells);
    let map = |values: Vec<f32>| {
        Tensor::<4>::from_data(TensorData::new(values, [images, cells, cells, 1]), device)
    };
    let near_sum: f32 = maps.near.iter().sum();
    let centres: Vec<f32> = maps
        .heat
        .iter()
        .map(|&heat| if heat >= 1.0 { 1.0 } else { 0.0 })
        .collect();
    let elsewhere: Vec<f32> = maps
        .heat
        .iter()
        .zip(&maps.counts)
        .map(|(&heat, &counts)| counts * (1.0 - heat).powi(4))
        .collect();
    let logits = output.heat;
    let yes = log_sigmoid(logits.clone());
    let no = log_sigmoid(-logits);
    // (1 - p)^2 log p at the centres, p^2 log (1 - p) elsewhere.
    let at_centres = (no.clone() * 2.0).exp() * yes.clone() * map(centres);
    let around = (yes * 2.0).exp() * no * map(elsewhere);
    let heat = -(at_centres + around).sum() / images as f32;

    let reach = output.reach;
    let shape = [images, cells, cells, 4];
    let wanted = Tensor::<4>::from_data(TensorData::new(maps.reach, shape), device);
    let area = |reach: &Tensor<4>| {
        let [left, up, right, down] = [0, 1, 2, 3].map(|at| reach.clone().narrow(3, at, 1));
        (left + right) * (up + down)
    };
    let both = area(&reach.clone().min_pair(wanted.clone()));
    let hull = area(&reach.clone().max_pair(wanted.clone())) + 1e-4;
    let either = area(&reach) + area(&wanted) - both.clone() + 1e-4;
    let giou = both / either.clone() - (hull.clone() - either) / hull;
    let boxes = ((-giou + 1.0) * map(maps.near)).sum() / near_sum.max(1.0);
    heat + boxes * 2.0
}

#[cfg(test)]
mod tests;

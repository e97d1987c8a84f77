//! The network that finds hands: MobileNetV2 up to its last bottleneck, three of its maps joined from the coarsest
//! down at an eighth of the picture's size, and for each cell of that how likely a hand's centre lies in it and where
//! the hand's box is, seen from there.

use anyhow::Result;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};

use super::block::{ConvNorm, Mode};
use super::kernels::Kind;
use super::mobilenet::{MobileNet, NARROW_CHANNELS, STRIDE_8_CHANNELS, STRIDE_16_CHANNELS, Trunk};
use super::values;
use crate::base::frame::Rect;
use crate::recognize::finder::{LARGEST, OFFSET, UNITS};
use crate::train::data::scenes::Target;
use crate::train::file::graph::{Activation, Conv, Graph, NodeId};

/// Channels of the joined maps.
const WIDTH: usize = 64;

/// The box map before anything is learned: the hand's centre is the cell's, its sides a quarter of the picture.
const FIRST_BOX: [f32; 4] = [OFFSET, OFFSET, 3.4, 3.4];

/// A heat logit before anything is learned: hands' centres are rare.
const FIRST_HEAT: f32 = -4.0;

/// Most heat of a hand that rests while another signs.
const RESTING_HEAT: f32 = 0.3;

/// A picture in, maps of heat and boxes out.
#[derive(Module, Debug)]
pub struct FinderNet {
    /// The part with ImageNet weights.
    pub backbone: MobileNet,
    deep: ConvNorm,
    middle: Join,
    fine: Join,
    last: Separable,
    heat: Linear,
    place: Linear,
}

/// A map joined with the coarser one below it.
#[derive(Module, Debug)]
struct Join {
    lateral: ConvNorm,
    mix: Separable,
}

/// A convolution within channels and one across them.
#[derive(Module, Debug)]
struct Separable {
    within: ConvNorm,
    across: ConvNorm,
}

/// What the network says of a batch.
pub struct Output {
    /// N x cells x cells x 1 logits.
    pub heat: Tensor<4>,
    /// N x cells x cells x 4, as [`crate::recognize::finder`] reads them; not yet clamped to 0 to [`UNITS`].
    pub place: Tensor<4>,
}

impl Separable {
    fn new(device: &Device) -> Self {
        Separable {
            within: ConvNorm::new(Kind::Depthwise { stride: 1 }, WIDTH, WIDTH, true, device),
            across: ConvNorm::new(Kind::Pointwise, WIDTH, WIDTH, true, device),
        }
    }

    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let x = self.within.forward(x, None, mode);
        self.across.forward(x, None, mode)
    }
}

impl Join {
    fn new(channels: usize, device: &Device) -> Self {
        Join {
            lateral: ConvNorm::new(Kind::Pointwise, channels, WIDTH, false, device),
            mix: Separable::new(device),
        }
    }

    fn forward(&self, map: Tensor<4>, coarser: Tensor<4>, mode: Mode) -> Tensor<4> {
        let x = self.lateral.forward(map, Some(upsampled(coarser)), mode);
        self.mix.forward(x, mode)
    }
}

impl FinderNet {
    /// With a random backbone and head.
    pub fn new(device: &Device) -> Self {
        FinderNet {
            backbone: MobileNet::new(device),
            deep: ConvNorm::new(Kind::Pointwise, NARROW_CHANNELS, WIDTH, true, device),
            middle: Join::new(STRIDE_16_CHANNELS, device),
            fine: Join::new(STRIDE_8_CHANNELS, device),
            last: Separable::new(device),
            heat: linear(&[FIRST_HEAT], device),
            place: linear(&FIRST_BOX, device),
        }
    }

    /// Reads `images` (N x S x S x 3, normalised). The lowest `frozen` units of the backbone keep
    /// weights and statistics.
    pub fn forward(&self, images: Tensor<4>, mode: Mode, frozen: usize) -> Output {
        let Trunk {
            stride_8,
            stride_16,
            narrow,
        } = self.backbone.trunk(images, mode, frozen);
        let x = self.deep.forward(narrow, None, mode);
        let x = self.middle.forward(stride_16, x, mode);
        let x = self.fine.forward(stride_8, x, mode);
        let x = self.last.forward(x, mode);
        Output {
            heat: self.heat.forward(x.clone()),
            place: self.place.forward(x),
        }
    }

    /// The network as it is exported, normalisation folded.
    ///
    /// # Errors
    /// When values cannot be read back from the device.
    pub fn graph(&self, input_size: usize) -> Result<Graph> {
        let mut graph = Graph::new(input_size)?;
        let trunk = self.backbone.export_trunk(&mut graph)?;
        let mut x = graph.conv("deep", trunk.narrow, self.deep.export()?)?;
        for (name, map, join) in [
            ("middle", trunk.stride_16, &self.middle),
            ("fine", trunk.stride_8, &self.fine),
        ] {
            let coarser = graph.upsample2x(&format!("{name}.upsample"), x)?;
            let lateral = graph.conv(&format!("{name}.lateral"), map, join.lateral.export()?)?;
            let joined = graph.add(&format!("{name}.join"), lateral, coarser)?;
            x = join.mix.export(&mut graph, name, joined)?;
        }
        let x = self.last.export(&mut graph, "last", x)?;
        let heat = graph.conv("heat_map", x, pointwise(&self.heat)?)?;
        let place = pointwise(&self.place)?.activation(Activation::Relu6);
        let place = graph.conv("box_map", x, place)?;
        graph.output("heat", heat)?;
        graph.output("box", place)?;
        Ok(graph)
    }
}

impl Separable {
    fn export(&self, graph: &mut Graph, name: &str, input: NodeId) -> Result<NodeId> {
        let x = graph.conv(&format!("{name}.within"), input, self.within.export()?)?;
        graph.conv(&format!("{name}.across"), x, self.across.export()?)
    }
}

/// A layer that gives these values everywhere until it learns.
fn linear(first: &[f32], device: &Device) -> Linear {
    let outputs = first.len();
    let mut linear = LinearConfig::new(WIDTH, outputs).init(device);
    let weight = Tensor::random(
        [WIDTH, outputs],
        burn::tensor::Distribution::Normal(0.0, 0.001),
        device,
    );
    linear.weight = Param::from_tensor(weight);
    let bias = Tensor::from_data(TensorData::new(first.to_vec(), [outputs]), device);
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
    /// The box that is to be seen from each cell: its edges in fractions of the picture.
    places: Vec<f32>,
    /// Weight of each cell's box; those of a hand add up to 1.
    near: Vec<f32>,
}

impl Maps {
    fn of(targets: &[Target], cells: usize) -> Maps {
        let area = cells * cells;
        let mut maps = Maps {
            heat: vec![0.0; targets.len() * area],
            counts: vec![1.0; targets.len() * area],
            places: vec![0.0; 4 * targets.len() * area],
            near: vec![0.0; targets.len() * area],
        };
        for (index, target) in targets.iter().enumerate() {
            let cells_of = index * area..(index + 1) * area;
            for hand in &target.resting {
                let heat = Heat::around(*hand, cells);
                for (at, kept) in maps.heat[cells_of.clone()].iter_mut().enumerate() {
                    *kept = kept.max(RESTING_HEAT * heat.at(at));
                }
            }
            let unclear = target.unclear.iter().chain(&target.resting);
            for hand in unclear {
                for (at, counts) in maps.counts[cells_of.clone()].iter_mut().enumerate() {
                    let [x, y] = centre(at, cells);
                    let inside =
                        (hand.x0..=hand.x1).contains(&x) && (hand.y0..=hand.y1).contains(&y);
                    let rests = maps.heat[index * area + at] > 0.1;
                    if inside && !rests {
                        *counts = 0.0;
                    }
                }
            }
            for hand in &target.hands {
                maps.draw(index * area, *hand, cells);
            }
        }
        maps
    }

    fn draw(&mut self, from: usize, hand: Rect, cells: usize) {
        let heat = Heat::around(hand, cells);
        let mut seen: Vec<(usize, f32)> = Vec::new();
        for at in 0..cells * cells {
            let value = heat.at(at);
            let kept = &mut self.heat[from + at];
            if value > 0.3 {
                self.counts[from + at] = 1.0;
            }
            if value < *kept {
                continue;
            }
            *kept = value;
            let [dx, dy] = heat.distance(at);
            let neighbour = dx.abs() + dy.abs() <= 1.0;
            if dx.abs().max(dy.abs()) < OFFSET - 0.2 && (value > 0.3 || neighbour) {
                seen.push((from + at, value.max(0.3)));
            }
        }
        let sum: f32 = seen.iter().map(|(_, weight)| weight).sum();
        for (at, weight) in seen {
            self.near[at] = weight / sum;
            let edges = [hand.x0, hand.y0, hand.x1, hand.y1];
            self.places[4 * at..4 * at + 4].copy_from_slice(&edges);
        }
    }
}

/// The middle of cell `at`, in fractions of the picture.
fn centre(at: usize, cells: usize) -> [f32; 2] {
    [at % cells, at / cells].map(|index| (index as f32 + 0.5) / cells as f32)
}

/// The heat of a hand: a bell around its centre, as high as 1 in the cell that is nearest.
struct Heat {
    cells: usize,
    /// The hand's centre, in cells.
    middle: [f32; 2],
    /// Squared distance of the nearest cell's middle.
    nearest: f32,
    /// Width of the bell, in cells: a larger hand's centre is less certain by as much.
    spread: f32,
}

impl Heat {
    fn around(hand: Rect, cells: usize) -> Self {
        let scale = cells as f32;
        let middle = [(hand.x0 + hand.x1) / 2.0, (hand.y0 + hand.y1) / 2.0]
            .map(|at| (at * scale).clamp(0.5, scale - 0.5));
        let off = middle.map(|at| (at.floor() + 0.5 - at).powi(2));
        let side = (hand.width() * hand.height()).max(1e-5).sqrt();
        Heat {
            cells,
            middle,
            nearest: off[0] + off[1],
            spread: (0.16 * side * scale).clamp(0.45, 3.0),
        }
    }

    fn distance(&self, at: usize) -> [f32; 2] {
        let [x, y] = centre(at, self.cells).map(|place| place * self.cells as f32);
        [x - self.middle[0], y - self.middle[1]]
    }

    fn at(&self, at: usize) -> f32 {
        let [dx, dy] = self.distance(at);
        let squared = (dx * dx + dy * dy - self.nearest).max(0.0);
        (-squared / (2.0 * self.spread * self.spread)).exp()
    }
}

/// The loss of a batch: the heat's, cross-entropy weighted by the square of how far off it is (Li et al. 2020, quality
/// focal loss), a mean over pictures; and twice the mean over hands of 1 - GIoU (Rezatofighi et al. 2019) of the boxes
/// seen from cells near a hand's centre.
pub fn loss(output: Output, targets: &[Target], device: &Device) -> Tensor<1> {
    let [images, cells, ..] = output.heat.dims();
    let maps = Maps::of(targets, cells);
    let map = |values: Vec<f32>, channels: usize| {
        let shape = [images, cells, cells, channels];
        Tensor::<4>::from_data(TensorData::new(values, shape), device)
    };
    let hands: f32 = maps.near.iter().sum();
    let logits = output.heat;
    let wanted = map(maps.heat, 1);
    let yes = log_sigmoid(logits.clone()) * wanted.clone();
    let no = log_sigmoid(-logits.clone()) * (-wanted.clone() + 1.0);
    let off = (sigmoid(logits) - wanted).powi_scalar(2);
    let heat = -((yes + no) * off * map(maps.counts, 1)).sum() / images as f32;

    let seen = edges(output.place, cells, device);
    let wanted = map(maps.places, 4);
    let side = |edges: &Tensor<4>, axis: usize| {
        edges.clone().narrow(3, axis + 2, 1) - edges.clone().narrow(3, axis, 1)
    };
    let area = |edges: &Tensor<4>| side(edges, 0) * side(edges, 1);
    let lower = |edges: &Tensor<4>| edges.clone().narrow(3, 0, 2);
    let upper = |edges: &Tensor<4>| edges.clone().narrow(3, 2, 2);
    let product = |sides: Tensor<4>| sides.clone().narrow(3, 0, 1) * sides.narrow(3, 1, 1);
    let both = product(
        (upper(&seen).min_pair(upper(&wanted)) - lower(&seen).max_pair(lower(&wanted)))
            .clamp_min(0.0),
    );
    let hull =
        product(upper(&seen).max_pair(upper(&wanted)) - lower(&seen).min_pair(lower(&wanted)))
            + 1e-6;
    let either = area(&seen) + area(&wanted) - both.clone() + 1e-6;
    let giou = both / either.clone() - (hull.clone() - either) / hull;
    let boxes = ((-giou + 1.0) * map(maps.near, 1)).sum() / hands.max(1.0);
    heat + boxes * 2.0
}

/// The edges of the box that each cell sees, in fractions of the picture: left, top, right, bottom. Values beyond
/// their range count as its end, and are drawn back into it.
fn edges(place: Tensor<4>, cells: usize, device: &Device) -> Tensor<4> {
    let clamped = place.clone().clamp(0.0, UNITS);
    let place = place.clone() + (clamped - place).detach();
    let middles = (0..cells * cells).flat_map(|at| centre(at, cells));
    let middles = TensorData::new(middles.collect::<Vec<f32>>(), [1, cells, cells, 2]);
    let middles = Tensor::<4>::from_data(middles, device);
    let centres = (place.clone().narrow(3, 0, 2) - OFFSET) / cells as f32 + middles;
    let sides = ((place.narrow(3, 2, 2) - UNITS) * std::f32::consts::LN_2).exp() * LARGEST;
    let half = sides / 2.0;
    Tensor::cat(vec![centres.clone() - half.clone(), centres + half], 3)
}

#[cfg(test)]
mod tests;

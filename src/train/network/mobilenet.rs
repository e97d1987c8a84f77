//! MobileNetV2 (Sandler et al. 2018), width 1.0, and its ImageNet weights.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::module::{Module, Param, RunningState};
use burn::store::pytorch_reader::{DType, PytorchReader};
use burn::tensor::{Device, Tensor, TensorData};

use super::block::{ConvNorm, Mode};
use super::kernels::Kind;
use super::values;
use crate::model::Preprocessing;

/// Expansion, output channels, repetitions and first stride of each stage (table 2 of the paper).
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// Channels of the last feature map.
pub const FEATURES: usize = 1280;

/// Weights and statistics of all units, at most.
pub const BACKBONE_NUMBERS: usize = 2_300_000;

/// Units that can be frozen from below: the stem, seventeen bottlenecks, the last convolution.
pub const UNITS: usize = 19;

/// Index of the last bottleneck at stride 16; its output has 96 channels.
pub const STRIDE_16: usize = 13;

/// Index of the last bottleneck at stride 8; its output has 32 channels.
pub const STRIDE_8: usize = 6;

/// Channels of the map at stride 8.
pub const STRIDE_8_CHANNELS: usize = 32;

/// Channels of the map at stride 16.
pub const STRIDE_16_CHANNELS: usize = 96;

/// Channels of the last bottleneck's map.
pub const NARROW_CHANNELS: usize = 320;

/// Mean of ImageNet's pictures and their deviation, per channel, as the weights were trained with.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Expand, convolve each channel, project; with a shortcut where input and output agree.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// 1x1, absent in the first bottleneck.
    pub expand: Option<ConvNorm>,
    /// 3x3 within channels.
    pub depthwise: ConvNorm,
    /// 1x1 without activation.
    pub project: ConvNorm,
    shortcut: bool,
}

impl Bottleneck {
    fn new(channels: usize, out: usize, expansion: usize, stride: usize, device: &Device) -> Self {
        let wide = channels * expansion;
        Bottleneck {
            expand: (expansion != 1)
                .then(|| ConvNorm::new(Kind::Pointwise, channels, wide, true, device)),
            depthwise: ConvNorm::new(Kind::Depthwise { stride }, wide, wide, true, device),
            project: ConvNorm::new(Kind::Pointwise, wide, out, false, device),
            shortcut: stride == 1 && channels == out,
        }
    }

    /// Whether the input is added to the output.
    pub fn shortcut(&self) -> bool {
        self.shortcut
    }

    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let residual = self.shortcut.then(|| x.clone());
        let x = match &self.expand {
            None => x,
            Some(expand) => expand.forward(x, None, mode),
        };
        let x = self.depthwise.forward(x, None, mode);
        self.project.forward(x, residual, mode)
    }
}

/// The network up to its last feature map.
#[derive(Module, Debug)]
pub struct MobileNet {
    /// 3x3 with stride 2 over the picture.
    pub stem: ConvNorm,
    /// Seventeen, strides 2 to 32.
    pub bottlenecks: Vec<Bottleneck>,
    /// 1x1 to [`FEATURES`] channels.
    pub top: ConvNorm,
}

/// The feature maps of a batch, NHWC.
pub struct Maps {
    /// A thirty-second of the input's size, [`NARROW_CHANNELS`] channels.
    pub narrow: Tensor<4>,
    /// A thirty-second of the input's size, [`FEATURES`] channels.
    pub last: Tensor<4>,
}

/// The maps of a batch up to the last bottleneck, NHWC.
pub struct Trunk {
    /// An eighth of the input's size, [`STRIDE_8_CHANNELS`] channels.
    pub stride_8: Tensor<4>,
    /// A sixteenth of the input's size, [`STRIDE_16_CHANNELS`] channels.
    pub stride_16: Tensor<4>,
    /// A thirty-second of the input's size, [`NARROW_CHANNELS`] channels.
    pub narrow: Tensor<4>,
}

impl MobileNet {
    /// With random weights.
    pub fn new(device: &Device) -> Self {
        let mut bottlenecks = Vec::new();
        let mut channels = 32;
        for (expansion, out, repetitions, first_stride) in STAGES {
            for index in 0..repetitions {
                let stride = if index == 0 { first_stride } else { 1 };
                bottlenecks.push(Bottleneck::new(channels, out, expansion, stride, device));
                channels = out;
            }
        }
        MobileNet {
            stem: ConvNorm::new(Kind::Stem, 3, 32, true, device),
            bottlenecks,
            top: ConvNorm::new(Kind::Pointwise, channels, FEATURES, true, device),
        }
    }

    /// Every block with the name that its layer has in a network file.
    pub fn blocks_mut(&mut self) -> impl Iterator<Item = (String, &mut ConvNorm)> {
        let bottlenecks = self.bottlenecks.iter_mut().enumerate();
        let within = bottlenecks.flat_map(|(index, bottleneck)| {
            let name = move |part: &str| format!("{}.{part}", index + 1);
            let expand = bottleneck.expand.as_mut();
            expand
                .map(|block| (name("expand"), block))
                .into_iter()
                .chain([
                    (name("depthwise"), &mut bottleneck.depthwise),
                    (name("project"), &mut bottleneck.project),
                ])
        });
        let stem = ("stem".to_owned(), &mut self.stem);
        let top = ("top".to_owned(), &mut self.top);
        [stem].into_iter().chain(within).chain([top])
    }

    /// Feature maps of `images` (N x S x S x 3, normalised). The lowest `frozen` units keep their
    /// weights and statistics; with [`Mode::Infer`] all do.
    pub fn forward(&self, images: Tensor<4>, mode: Mode, frozen: usize) -> Maps {
        let narrow = self.trunk(images, mode, frozen).narrow;
        let mode = if frozen < UNITS { mode } else { Mode::Infer };
        Maps {
            last: self.top.forward(narrow.clone(), None, mode),
            narrow,
        }
    }

    /// The same without the last, widest convolution.
    pub fn trunk(&self, images: Tensor<4>, mode: Mode, frozen: usize) -> Trunk {
        let mode_of = |unit| if unit < frozen { Mode::Infer } else { mode };
        let mut x = self.stem.forward(images, None, mode_of(0));
        let (mut stride_8, mut stride_16) = (None, None);
        for (index, bottleneck) in self.bottlenecks.iter().enumerate() {
            let unit = index + 1;
            x = bottleneck.forward(x, mode_of(unit));
            match unit {
                STRIDE_8 => stride_8 = Some(x.clone()),
                STRIDE_16 => stride_16 = Some(x.clone()),
                _ => {}
            }
        }
        Trunk {
            stride_8: stride_8.unwrap_or_else(|| x.clone()),
            stride_16: stride_16.unwrap_or_else(|| x.clone()),
            narrow: x,
        }
    }

    /// Reads torchvision's ImageNet weights (`mobilenet_v2-b0353104.pth`), whose channels were
    /// normalised each by its own mean and deviation: the difference to this project's
    /// normalisation is folded into the stem, exactly but for the padding around the picture.
    ///
    /// # Errors
    /// When the file cannot be read or lacks a tensor of the right shape.
    pub fn load_imagenet(self, path: &Path, device: &Device) -> Result<Self> {
        ensure!(
            path.exists(),
            "no backbone weights at {}: run scripts/fetch-backbone first, or name the file with --backbone",
            path.display()
        );
        let reader = PytorchReader::new(path).map_err(|error| {
            anyhow::anyhow!(
                "cannot read backbone weights from {}: {error}",
                path.display()
            )
        })?;
        let weights = Weights {
            reader,
            path,
            device,
        };
        let mut stem = weights.fill(self.stem, "features.0.0", "features.0.1")?;
        adapt_stem(&mut stem, device)?;
        let mut bottlenecks = Vec::new();
        for (index, mut bottleneck) in self.bottlenecks.into_iter().enumerate() {
            let name = format!("features.{}.conv", index + 1);
            let mut at = 0;
            if let Some(expand) = bottleneck.expand.take() {
                let filled =
                    weights.fill(expand, &format!("{name}.0.0"), &format!("{name}.0.1"))?;
                bottleneck.expand = Some(filled);
                at = 1;
            }
            bottleneck.depthwise = weights.fill(
                bottleneck.depthwise,
                &format!("{name}.{at}.0"),
                &format!("{name}.{at}.1"),
            )?;
            bottleneck.project = weights.fill(
                bottleneck.project,
                &format!("{name}.{}", at + 1),
                &format!("{name}.{}", at + 2),
            )?;
            bottlenecks.push(bottleneck);
        }
        let top = weights.fill(self.top, "features.18.0", "features.18.1")?;
        Ok(MobileNet {
            stem,
            bottlenecks,
            top,
        })
    }
}

struct Weights<'a> {
    reader: PytorchReader,
    path: &'a Path,
    device: &'a Device,
}

impl Weights<'_> {
    fn read(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let at = || format!("tensor {name} of {}", self.path.display());
        let Some(tensor) = self.reader.get(name) else {
            bail!(
                "{} is missing: is this MobileNetV2 1.0 from torchvision?",
                at()
            );
        };
        let bytes = tensor
            .read()
            .with_context(|| format!("cannot read {}", at()))?;
        ensure!(
            tensor.dtype() == DType::F32 && bytes.len() == 4 * len,
            "{} is {:?} {:?} where {len} numbers of 32 bits belong: is this MobileNetV2 1.0 from torchvision?",
            at(),
            tensor.dtype(),
            tensor.shape()
        );
        let numbers = bytes.chunks_exact(4);
        let read = numbers
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Ok(read)
    }

    fn fill(&self, mut block: ConvNorm, conv: &str, norm: &str) -> Result<ConvNorm> {
        let out = block.out_channels();
        let weights = block.weight.shape().num_elements();
        block.set_weight(self.read(&format!("{conv}.weight"), weights)?, self.device)?;
        let row = |name: &str| -> Result<Tensor<1>> {
            let values = self.read(&format!("{norm}.{name}"), out)?;
            Ok(Tensor::from_data(
                TensorData::new(values, [out]),
                self.device,
            ))
        };
        block.gamma = Param::from_tensor(row("weight")?);
        block.beta = Param::from_tensor(row("bias")?);
        block.mean = RunningState::new(row("running_mean")?);
        block.variance = RunningState::new(row("running_var")?);
        Ok(block)
    }
}

/// With `x` our input and `x_c * a_c + b_c` ImageNet's, `a_c` scales the weights of channel `c`
/// and the sum of `w * b_c` leaves the running mean.
fn adapt_stem(stem: &mut ConvNorm, device: &Device) -> Result<()> {
    let [out, columns] = stem.weight.shape().dims();
    let mut weight = values(stem.weight.val())?;
    let mut mean = values(stem.mean.value())?;
    for (row, mean) in weight.chunks_exact_mut(columns).zip(&mut mean) {
        for (index, weight) in row.iter_mut().enumerate() {
            let channel = index % 3;
            *mean -=
                *weight * (Preprocessing::MEAN - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel];
            *weight *= Preprocessing::STD / IMAGENET_STD[channel];
        }
    }
    stem.weight = Param::from_tensor(Tensor::from_data(
        TensorData::new(weight, [out, columns]),
        device,
    ));
    stem.mean = RunningState::new(Tensor::from_data(TensorData::new(mean, [out]), device));
    Ok(())
}

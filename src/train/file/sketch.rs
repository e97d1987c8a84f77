//! Networks of published shapes with random weights: for tests, benches and comparisons of
//! runtimes, where what a network computes does not matter but its shape does.

use anyhow::Result;

use super::graph::{Activation, Conv, Dense, Graph, NodeId};

/// Weights from a small generator of its own, so that the same seed gives the same network in
/// every release.
#[derive(Debug, Clone)]
pub struct Weights {
    state: u64,
}

impl Weights {
    /// Weights that depend on nothing but the seed.
    pub fn seeded(seed: u64) -> Self {
        Weights { state: seed }
    }

    /// Uniform in 0..1, by SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    /// generators", 2014).
    pub fn uniform(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1 << 24) as f32
    }

    /// `count` weights around zero whose variance, 2 / `fan_in`, keeps the size of activations
    /// from layer to layer (He et al., "Delving deep into rectifiers", 2015).
    pub fn layer(&mut self, count: usize, fan_in: usize) -> Vec<f32> {
        // A uniform variable over a width of w has variance w^2 / 12.
        let width = (24.0 / fan_in as f32).sqrt();
        (0..count).map(|_| (self.uniform() - 0.5) * width).collect()
    }

    /// A convolution with small random biases.
    pub fn conv(&mut self, out_channels: usize, in_channels: usize, kernel: usize) -> Conv {
        let taps = in_channels * kernel * kernel;
        let weight = self.layer(out_channels * taps, taps);
        Conv::new(out_channels, in_channels, kernel, weight).bias(self.biases(out_channels))
    }

    /// A depthwise convolution with small random biases.
    pub fn depthwise(&mut self, channels: usize, kernel: usize) -> Conv {
        let taps = kernel * kernel;
        let weight = self.layer(channels * taps, taps);
        Conv::depthwise(channels, kernel, weight).bias(self.biases(channels))
    }

    /// A linear layer with small random biases.
    pub fn dense(&mut self, outputs: usize, inputs: usize) -> Dense {
        let weight = self.layer(outputs * inputs, inputs);
        Dense::new(outputs, inputs, weight).bias(self.biases(outputs))
    }

    fn biases(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.uniform() * 0.4 - 0.2).collect()
    }
}

/// MobileNetV2 (Sandler et al., 2018) of this width with a linear head on `classes`. Layers have
/// torchvision's names.
///
/// # Errors
/// When the size is none that a network can have.
pub fn mobilenet_v2(input_size: usize, width: f32, classes: usize, seed: u64) -> Result<Graph> {
    // Expansion, channels, repeats, stride: the paper's table 2.
    const STAGES: [(usize, usize, usize, usize); 7] = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    let mut weights = Weights::seeded(seed);
    let mut graph = Graph::new(input_size)?;
    let mut channels = rounded(32.0 * width);
    let stem = weights.conv(channels, 3, 3).stride(2).pad(1);
    let stem = stem.activation(Activation::Relu6);
    let mut x = graph.conv("features.0", graph.image(), stem)?;
    let mut block = 1;
    for (expansion, out, repeats, stride) in STAGES {
        for repeat in 0..repeats {
            let shape = Bottleneck {
                channels,
                hidden: channels * expansion,
                out: rounded(out as f32 * width),
                stride: if repeat == 0 { stride } else { 1 },
            };
            x = shape.add_to(&mut graph, &mut weights, &format!("features.{block}"), x)?;
            channels = shape.out;
            block += 1;
        }
    }
    let last = rounded(1280.0 * width.max(1.0));
    let conv = weights
        .conv(last, channels, 1)
        .activation(Activation::Relu6);
    let x = graph.conv("features.18", x, conv)?;
    head(&mut graph, &mut weights, x, last, classes)?;
    Ok(graph)
}

/// MobileNetV1 (Howard et al., 2017) of this width with a linear head on `classes`.
///
/// # Errors
/// When the size is none that a network can have.
pub fn mobilenet_v1(input_size: usize, width: f32, classes: usize, seed: u64) -> Result<Graph> {
    // Channels and stride of each separable block: the paper's table 1.
    const BLOCKS: [(usize, usize); 13] = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (1024, 2),
        (1024, 1),
    ];
    let mut weights = Weights::seeded(seed);
    let mut graph = Graph::new(input_size)?;
    let mut channels = rounded(32.0 * width);
    let stem = weights.conv(channels, 3, 3).stride(2).pad(1);
    let stem = stem.activation(Activation::Relu6);
    let mut x = graph.conv("stem", graph.image(), stem)?;
    for (block, (out, stride)) in BLOCKS.into_iter().enumerate() {
        let depthwise = weights.depthwise(channels, 3).stride(stride).pad(1);
        let depthwise = depthwise.activation(Activation::Relu6);
        x = graph.conv(&format!("blocks.{block}.depthwise"), x, depthwise)?;
        let out = rounded(out as f32 * width);
        let pointwise = weights.conv(out, channels, 1).activation(Activation::Relu6);
        x = graph.conv(&format!("blocks.{block}.pointwise"), x, pointwise)?;
        channels = out;
    }
    head(&mut graph, &mut weights, x, channels, classes)?;
    Ok(graph)
}

/// An inverted residual block: expand, filter each channel, project, add where shapes allow.
struct Bottleneck {
    channels: usize,
    hidden: usize,
    out: usize,
    stride: usize,
}

impl Bottleneck {
    fn add_to(
        &self,
        graph: &mut Graph,
        weights: &mut Weights,
        name: &str,
        input: NodeId,
    ) -> Result<NodeId> {
        let mut x = input;
        if self.hidden != self.channels {
            let expand = weights.conv(self.hidden, self.channels, 1);
            let expand = expand.activation(Activation::Relu6);
            x = graph.conv(&format!("{name}.expand"), x, expand)?;
        }
        let filter = weights.depthwise(self.hidden, 3).stride(self.stride).pad(1);
        let filter = filter.activation(Activation::Relu6);
        x = graph.conv(&format!("{name}.depthwise"), x, filter)?;
        let project = weights.conv(self.out, self.hidden, 1);
        x = graph.conv(&format!("{name}.project"), x, project)?;
        if self.stride == 1 && self.channels == self.out {
            x = graph.add(&format!("{name}.add"), input, x)?;
        }
        Ok(x)
    }
}

fn head(
    graph: &mut Graph,
    weights: &mut Weights,
    input: NodeId,
    channels: usize,
    classes: usize,
) -> Result<()> {
    let pooled = graph.global_average_pool("pool", input)?;
    let logits = graph.dense("classifier", pooled, weights.dense(classes, channels))?;
    graph.output("logits", logits)
}

/// Channels rounded to a multiple of 8, never down by more than a tenth, as both papers' code
/// rounds them.
fn rounded(channels: f32) -> usize {
    let near = ((channels + 4.0) / 8.0).floor().max(1.0) * 8.0;
    (if near < 0.9 * channels {
        near + 8.0
    } else {
        near
    }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The papers' own counts: 300 M for V2 and 569 M for V1, both 1.0 at 224 with 1000 classes.
    #[test]
    fn networks_have_the_published_number_of_multiply_adds() {
        let v2 = mobilenet_v2(224, 1.0, 1000, 1).unwrap().multiply_adds();
        assert!((299_000_000..303_000_000).contains(&v2), "{v2}");
        let v1 = mobilenet_v1(224, 1.0, 1000, 1).unwrap().multiply_adds();
        assert!((567_000_000..571_000_000).contains(&v1), "{v1}");
    }

    #[test]
    fn a_seed_makes_one_network() {
        let network = |seed| mobilenet_v2(32, 0.25, 3, seed).unwrap();
        assert_eq!(network(1), network(1));
        assert_ne!(network(1), network(2));
    }
}

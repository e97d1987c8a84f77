//! What runs a network: this crate's integer layers where they can, else the stock runtime.

use anyhow::{Context, Result, ensure};
use tract_onnx::pb::ModelProto;

use super::file::OnnxFile;
use super::metadata::Preprocessing;
use super::stock::StockNetwork;
use crate::int8::lower::lower;
use crate::int8::plan::{LayerOp, Plan};
use crate::int8::{InputTransform, Isa, Network};

/// A map of more bytes than this is refused before memory is taken for it; a MobileNetV2's largest
/// has 25 MB at 1024 pixels.
const MAX_MAP: usize = 64 << 20;

/// A network, ready to run. Clones have buffers of their own.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    /// In integers all through, on the picture's bytes.
    Int8(Box<Network>),
    /// In the runtime's own operators, on normalised channels.
    Stock {
        network: StockNetwork,
        preprocessing: Preprocessing,
        input: Vec<f32>,
    },
}

impl Engine {
    /// Prepares a checked file.
    ///
    /// # Errors
    /// When neither can run it, or it would take absurd amounts of memory.
    pub(crate) fn new(file: &OnnxFile, preprocessing: &Preprocessing) -> Result<Self> {
        let size = preprocessing.input_size;
        match lower(&file.proto) {
            Ok(plan) => {
                check_plan(&plan)?;
                let transform = InputTransform {
                    mean: [preprocessing.mean; 3],
                    std: [preprocessing.std; 3],
                };
                let network = Network::new(&plan, &transform, Isa::choose()?);
                Ok(Engine::Int8(Box::new(network)))
            }
            Err(node) => {
                if is_quantised(&file.proto) {
                    tracing::warn!(
                        "the model {} runs on the stock runtime, which is several times slower: \
                         there is no integer form of its node {node}",
                        file.name
                    );
                }
                Ok(Engine::Stock {
                    network: StockNetwork::load(&file.proto, size)?,
                    preprocessing: *preprocessing,
                    input: vec![0.0; 3 * size * size],
                })
            }
        }
    }

    /// Shares the work of large layers among `count` threads; the stock runtime keeps to one.
    pub(crate) fn set_threads(&mut self, count: usize) {
        if let Engine::Int8(network) = self {
            network.set_threads(count);
        }
    }

    /// Shape of each output, batch included.
    pub(crate) fn outputs(&self) -> Vec<Vec<usize>> {
        match self {
            Engine::Int8(network) => network
                .outputs()
                .iter()
                .map(|output| output.shape.clone())
                .collect(),
            Engine::Stock { network, .. } => network.outputs().to_vec(),
        }
    }

    /// Runs a crop of RGB bytes and hands each output to `take` in order.
    ///
    /// # Errors
    /// When the crop has another size, or the runtime fails.
    pub(crate) fn run(&mut self, crop: &[u8], mut take: impl FnMut(usize, &[f32])) -> Result<()> {
        match self {
            Engine::Int8(network) => {
                network.run(crop)?;
                for (at, output) in network.outputs().iter().enumerate() {
                    take(at, output.values());
                }
                Ok(())
            }
            Engine::Stock {
                network,
                preprocessing,
                input,
            } => {
                preprocessing.normalise(crop, input);
                network.run(input, take)
            }
        }
    }
}

fn check_plan(plan: &Plan) -> Result<()> {
    for map in &plan.maps {
        check_map(map.height, map.width, map.channels)?;
    }
    for layer in &plan.layers {
        let (LayerOp::Conv(window, _) | LayerOp::Depthwise(window, _)) = &layer.op else {
            continue;
        };
        let maps = (layer.inputs.first(), plan.maps.get(layer.output));
        let (Some(&input), Some(output)) = maps else {
            continue;
        };
        // What it reads, its padding included.
        let along = |at: usize, size: usize| {
            (size.saturating_mul(window.stride[at])).saturating_add(window.kernel[at])
        };
        let channels = plan.maps.get(input).map_or(0, |map| map.channels);
        check_map(along(0, output.height), along(1, output.width), channels)
            .with_context(|| format!("its layer {} is padded absurdly", layer.name))?;
    }
    Ok(())
}

fn check_map(height: usize, width: usize, channels: usize) -> Result<()> {
    let pixels = height.checked_mul(width);
    ensure!(
        pixels
            .and_then(|pixels| pixels.checked_mul(channels))
            .is_some_and(|bytes| bytes <= MAX_MAP),
        "a map of {height} x {width} x {channels} in it is too large"
    );
    Ok(())
}

/// Whether a file means to be quantised, so that running it in float would surprise.
fn is_quantised(proto: &ModelProto) -> bool {
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    nodes
        .map(|node| node.op_type.as_str())
        .any(|op| op == "QuantizeLinear" || op.starts_with("QLinear"))
}

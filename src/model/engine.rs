//! What runs a network: this crate's integer layers where they can, else the stock runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, bail};
use tract_onnx::pb::ModelProto;

use super::file::OnnxFile;
use super::metadata::Preprocessing;
use super::stock::StockNetwork;
use crate::int8::lower::lower;
use crate::int8::{InputTransform, Isa, Network};

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
                plan.check()?;
                let transform = InputTransform {
                    mean: preprocessing.mean,
                    std: preprocessing.std,
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
                // It asserts where a file contradicts itself, as when it is loaded.
                catch_unwind(AssertUnwindSafe(|| network.run(input, take)))
                    .unwrap_or_else(|_| bail!("the runtime gave up on it; is the file damaged?"))
            }
        }
    }
}

/// Whether a file means to be quantised, so that running it in float would surprise.
fn is_quantised(proto: &ModelProto) -> bool {
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    nodes
        .map(|node| node.op_type.as_str())
        .any(|op| op == "QuantizeLinear" || op.starts_with("QLinear"))
}

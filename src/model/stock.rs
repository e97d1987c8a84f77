//! A network run by the runtime's own operators: slow for int8, but it runs whatever it can load.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::constants;

/// A result of more elements than this is refused before memory is taken for it. The largest in a
/// MobileNetV2 at 1024 pixels has 25 million.
const MAX_ELEMENTS: usize = 64 << 20;

/// A network in the runtime's own operators, ready to run. Clones share the weights.
#[derive(Debug, Clone)]
pub struct StockNetwork {
    plan: Arc<TypedRunnableModel>,
    input: [usize; 4],
    outputs: Vec<Vec<usize>>,
}

impl StockNetwork {
    /// Prepares a network whose only input is `[1, 3, size, size]` of f32.
    ///
    /// # Errors
    /// When the runtime does not know an operator, sizes contradict each other, or a result would
    /// be absurdly large.
    pub fn load(proto: &ModelProto, size: usize) -> Result<Self> {
        if let Some(graph) = &proto.graph {
            constants::check(graph)?;
        }
        let input = [1, 3, size, size];
        let fact = InferenceFact::dt_shape(f32::datum_type(), input);
        let model = tract_onnx::onnx()
            .model_for_proto_model(proto)
            .and_then(|model| model.with_input_fact(0, fact)?.into_typed())
            .context("the runtime cannot load it")?;
        for node in &model.nodes {
            for output in &node.outputs {
                let elements = output.fact.shape.as_concrete().and_then(|dims| {
                    dims.iter()
                        .try_fold(1usize, |count, &dim| count.checked_mul(dim))
                });
                ensure!(
                    elements.is_some_and(|elements| elements <= MAX_ELEMENTS),
                    "its node {} gives {:?}, which is too large or of open size",
                    node.name,
                    output.fact.shape
                );
            }
        }
        let outputs = (0..model.output_outlets()?.len())
            .map(|at| {
                let fact = model.output_fact(at)?;
                ensure!(
                    fact.datum_type == f32::datum_type(),
                    "its output {at} is of {:?}, not of float",
                    fact.datum_type
                );
                let shape = fact.shape.as_concrete().context("an output of open size")?;
                Ok(shape.to_vec())
            })
            .collect::<Result<_>>()?;
        let plan = model
            .into_optimized()
            .and_then(|model| model.into_runnable())
            .context("the runtime cannot prepare it")?;
        Ok(StockNetwork {
            plan,
            input,
            outputs,
        })
    }

    /// Shape of each output.
    pub fn outputs(&self) -> &[Vec<usize>] {
        &self.outputs
    }

    /// Runs one normalised picture, `[3, size, size]`, and hands each output to `take` in order.
    ///
    /// # Errors
    /// When the picture has another size, or the runtime fails.
    pub fn run(&self, picture: &[f32], mut take: impl FnMut(usize, &[f32])) -> Result<()> {
        let input = Tensor::from_shape(&self.input, picture)?;
        let outputs = self.plan.run(tvec!(input.into()))?;
        for (at, output) in outputs.iter().enumerate() {
            take(at, output.try_as_plain_ram()?.as_slice::<f32>()?);
        }
        Ok(())
    }
}

//! A network's results: from the last maps' bytes to f32.

use crate::int8::isa::Isa;
use crate::int8::kernels::{self, Buffer, padded};
use crate::int8::plan::{Map, Output, OutputSource, Plan, Stage};

/// How an output is read.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    kind: ReaderKind,
    low: f32,
    high: f32,
    stages: Vec<Stage>,
}

/// Where its values come from.
#[derive(Debug, Clone)]
enum ReaderKind {
    Map {
        slot: usize,
        map: Map,
    },
    Dense {
        slot: usize,
        channels: usize,
        weights: Vec<i8>,
        bias: Vec<i32>,
        scale: Vec<f32>,
    },
}

impl Reader {
    /// For an output of a plan whose maps lie in the buffers `slot_of`.
    pub(super) fn new(plan: &Plan, output: &Output, slot_of: &[usize]) -> Self {
        let kind = match &output.source {
            OutputSource::Map(id) => ReaderKind::Map {
                slot: slot_of[*id],
                map: plan.maps[*id],
            },
            OutputSource::Dense {
                input,
                values,
                bias,
                scale,
            } => ReaderKind::Dense {
                slot: slot_of[*input],
                channels: plan.maps[*input].channels,
                weights: values.clone(),
                bias: bias.clone(),
                scale: scale.clone(),
            },
        };
        Self {
            kind,
            low: output.low,
            high: output.high,
            stages: output.stages.clone(),
        }
    }

    /// How many sums it works with.
    pub(super) fn sums(&self) -> usize {
        match &self.kind {
            ReaderKind::Map { .. } => 0,
            ReaderKind::Dense { bias, .. } => bias.len(),
        }
    }

    /// The values of a run.
    pub(super) fn read(&self, isa: Isa, slots: &[Buffer], sums: &mut [i32], values: &mut [f32]) {
        match &self.kind {
            ReaderKind::Map { slot, map } => {
                let pixels = map.height * map.width;
                for (p, pixel) in slots[*slot]
                    .bytes()
                    .chunks_exact(padded(map.channels))
                    .take(pixels)
                    .enumerate()
                {
                    for (c, &q) in pixel[..map.channels].iter().enumerate() {
                        values[c * pixels + p] = map.quant.dequantise(q);
                    }
                }
            }
            ReaderKind::Dense {
                slot,
                channels,
                weights,
                bias,
                scale,
            } => {
                let sums = &mut sums[..bias.len()];
                kernels::dense(isa, &slots[*slot].bytes()[..*channels], weights, sums);
                for (((value, &sum), &bias), &scale) in
                    values.iter_mut().zip(sums.iter()).zip(bias).zip(scale)
                {
                    *value = (sum + bias) as f32 * scale;
                }
            }
        }
        for value in values.iter_mut() {
            *value = value.clamp(self.low, self.high);
        }
        for stage in &self.stages {
            match stage {
                Stage::Softmax => softmax(values),
                Stage::Round(quant) => values
                    .iter_mut()
                    .for_each(|v| *v = quant.dequantise(quant.quantise(*v))),
            }
        }
    }
}

fn softmax(values: &mut [f32]) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v - largest).exp());
    let total: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= total);
}

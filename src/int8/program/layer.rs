//! What a network's layers are called, and what they take.

use std::time::Duration;

use crate::int8::plan::{Layer, LayerOp, Plan, Window};

/// One layer of a network, for those who measure it.
#[derive(Debug, Clone)]
pub struct LayerInfo {
    /// The ONNX node it was made from.
    pub name: String,
    /// Its kind and shape, like `conv 1x1 16>96 @112x112`.
    pub shape: String,
    /// Multiply-adds in one run.
    pub multiply_adds: u64,
    /// What it took in the last timed run.
    pub time: Duration,
}

impl LayerInfo {
    pub(super) fn new(plan: &Plan, layer: &Layer) -> Self {
        let input = plan.maps[layer.inputs[0]];
        let out = plan.maps[layer.output];
        let size = format!(
            "{}>{} @{}x{}",
            input.channels, out.channels, out.height, out.width
        );
        let window = |w: &Window| {
            let stride = if w.stride == [1, 1] {
                String::new()
            } else {
                format!(" /{}", w.stride[0])
            };
            format!("{}x{}{stride}", w.kernel[0], w.kernel[1])
        };
        let shape = match &layer.op {
            LayerOp::Conv(w, _) => format!("conv {} {size}", window(w)),
            LayerOp::Depthwise(w, _) => format!("depthwise {} {size}", window(w)),
            LayerOp::Add(_) => format!("add {size}"),
            LayerOp::Pool(_) => format!("pool {size}"),
            LayerOp::Lookup(_) => format!("lookup {size}"),
            LayerOp::Concat(_) => format!("concat {size}"),
            LayerOp::Upsample { factor } => format!("upsample x{factor} {size}"),
        };
        Self {
            name: layer.name.clone(),
            shape,
            multiply_adds: plan.multiply_adds(layer),
            time: Duration::ZERO,
        }
    }
}

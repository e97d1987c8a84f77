//! From a plan to steps: buffers given out, weights packed for one kernel family.

use crate::int8::isa::Isa;
use crate::int8::kernels::{Conv, Depthwise, DepthwiseShape, Reads, Starts, padded};
use crate::int8::plan::{Layer, LayerOp, Map, OutputSource, Plan, Weights, Window};

use super::step::{Border, Work, bytes};

/// Gives each map a buffer, reusing those whose map isn't read again. The picture has none.
pub(super) fn assign_slots(plan: &Plan) -> (Vec<usize>, Vec<usize>) {
    let mut last_use = vec![0; plan.maps.len()];
    for (i, layer) in plan.layers.iter().enumerate() {
        layer.inputs.iter().for_each(|&id| last_use[id] = i);
    }
    for output in &plan.outputs {
        let (OutputSource::Map(id) | OutputSource::Dense { input: id, .. }) = output.source;
        last_use[id] = usize::MAX;
    }
    let mut slot_of = vec![usize::MAX; plan.maps.len()];
    let mut sizes: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    for (i, layer) in plan.layers.iter().enumerate() {
        let size = bytes(&plan.maps[layer.output]);
        // The smallest that is large enough, else the largest, which grows.
        let best = free.iter().enumerate().min_by_key(|&(_, &slot)| {
            if sizes[slot] >= size {
                (0, sizes[slot])
            } else {
                (1, usize::MAX - sizes[slot])
            }
        });
        let slot = match best.map(|(index, _)| index) {
            Some(index) => free.swap_remove(index),
            None => {
                sizes.push(0);
                sizes.len() - 1
            }
        };
        sizes[slot] = sizes[slot].max(size);
        slot_of[layer.output] = slot;
        let mut done: Vec<usize> = layer
            .inputs
            .iter()
            .filter(|&&id| id != Plan::IMAGE && last_use[id] == i)
            .map(|&id| slot_of[id])
            .collect();
        done.dedup();
        free.extend(done);
    }
    (slot_of, sizes)
}

pub(super) fn pack(plan: &Plan, layer: &Layer, isa: Isa) -> Work {
    let input = plan.maps[layer.inputs[0]];
    let out = plan.maps[layer.output];
    match &layer.op {
        LayerOp::Conv(window, weights) => pack_conv(
            isa,
            &input,
            layer.inputs[0] == Plan::IMAGE,
            window,
            weights,
            &out,
        ),
        LayerOp::Depthwise(window, weights) => {
            let shape = DepthwiseShape {
                input: [input.height, input.width],
                output: [out.height, out.width],
                stride: window.stride,
                before: window.before,
            };
            let pad = input.quant.zero_point;
            Work::Depthwise(Depthwise::new(
                isa,
                shape,
                &weights.values,
                pad,
                &weights.requant,
            ))
        }
        LayerOp::Add(quant) => Work::Add(*quant),
        LayerOp::Pool(pool) => Work::Pool {
            pixels: input.height * input.width,
            pool: *pool,
        },
        LayerOp::Lookup(tables) => Work::Lookup {
            tables: tables.clone(),
            step: padded(input.channels),
        },
        LayerOp::Concat(tables) => {
            let channels = layer.inputs.iter().map(|&id| plan.maps[id].channels);
            Work::Concat {
                parts: channels.zip(tables.iter().cloned()).collect(),
                step: padded(out.channels),
            }
        }
        LayerOp::Upsample { factor } => Work::Upsample {
            factor: *factor,
            width: input.width,
            step: padded(input.channels),
        },
    }
}

fn pack_conv(
    isa: Isa,
    input: &Map,
    is_image: bool,
    window: &Window,
    weights: &Weights,
    out: &Map,
) -> Work {
    // The picture's pixels lie close together; a map's are padded.
    let pixel = if is_image { 3 } else { padded(input.channels) };
    let [kh, kw] = window.kernel;
    let pointwise = !is_image && window.kernel == [1, 1] && window.before == [0, 0];
    if pointwise && out.height * out.width == 1 && input.height * input.width == 1 {
        return Work::Dense {
            channels: input.channels,
            weights: weights.values.clone(),
            requant: weights.requant.clone(),
        };
    }
    // One run of bytes for each kernel row; padding between pixels meets zero weights.
    let run = if pointwise {
        input.channels.next_multiple_of(4)
    } else {
        (kw * pixel).next_multiple_of(4)
    };
    let mut rows = vec![0i8; out.channels * kh * run];
    let from = weights.values.chunks_exact(input.channels);
    for (i, from) in from.enumerate() {
        let (row, column) = (i / kw, i % kw);
        rows[row * run + column * pixel..][..input.channels].copy_from_slice(from);
    }
    let starts = |row_bytes: usize| {
        let start = |y: usize, x: usize| {
            (y * window.stride[0] * row_bytes + x * window.stride[1] * pixel) as u32
        };
        Starts::Table(
            (0..out.height)
                .flat_map(|y| (0..out.width).map(move |x| start(y, x)))
                .collect(),
        )
    };
    let pixels = out.height * out.width;
    if pointwise {
        let starts = if window.stride == [1, 1] {
            Starts::Step(pixel)
        } else {
            starts(input.width * pixel)
        };
        return Work::Conv(Conv::new(
            isa,
            Reads {
                pixels,
                starts,
                taps: vec![0],
                run,
            },
            &rows,
            &weights.requant,
        ));
    }
    let border = Border::new(input, pixel, window, out);
    let row_bytes = border.target[1];
    let reads = Reads {
        pixels,
        starts: starts(row_bytes),
        taps: (0..kh).map(|i| i * row_bytes).collect(),
        run,
    };
    Work::BorderedConv(border, Conv::new(isa, reads, &rows, &weights.requant))
}

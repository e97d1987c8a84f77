//! From a picture's pixels to the network's first map.

use crate::int8::quant::Quant;

/// How the pixels of a picture become the network's input: `(p / 255 - mean) / std`, channel by channel (R, G, B).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputTransform {
    /// What is subtracted from a pixel in 0..1.
    pub mean: [f32; 3],
    /// What the difference is divided by.
    pub std: [f32; 3],
}

/// The table from pixels to quantised bytes; `None` where it changes nothing.
pub(super) fn input_table(input: &InputTransform, quant: Quant) -> Option<Box<[[u8; 256]; 3]>> {
    let table: Box<[[u8; 256]; 3]> = Box::new(std::array::from_fn(|c| {
        std::array::from_fn(|p| quant.quantise((p as f32 / 255.0 - input.mean[c]) / input.std[c]))
    }));
    let identity = table.iter().all(|channel| {
        channel
            .iter()
            .enumerate()
            .all(|(p, &q)| usize::from(q) == p)
    });
    (!identity).then_some(table)
}

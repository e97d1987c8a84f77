//! A small trainer, whose checkpoint the target reads and the seeds are made of.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use signcam::train::run::trainer::{Schedule, Trainer, TrainerOptions, ids};

/// The files of its checkpoint; the input's first byte says which one its others are.
pub const FILES: [&str; 5] = [
    "progress.json",
    "average.f32",
    "network.bpk",
    "optimizer-backbone.bpk",
    "optimizer-head.bpk",
];

#[derive(Module, Debug)]
pub struct Net {
    backbone: Linear,
    head: Linear,
}

/// At its first step.
pub fn trainer() -> Trainer<Net> {
    let device = Device::flex().autodiff();
    let net = Net {
        backbone: LinearConfig::new(3, 4).init(&device),
        head: LinearConfig::new(4, 2).init(&device),
    };
    let backbone = ids(&net.backbone);
    let options = TrainerOptions {
        schedule: Schedule {
            steps: 20,
            warmup: 2,
            backbone: 3e-4,
            head: 3e-3,
        },
        weight_decay: 0.01,
        average: 0.9,
        keep: 0.0,
    };
    Trainer::new(net, backbone, options)
}

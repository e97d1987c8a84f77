//! A checkpoint one of whose files is any bytes: the trainer goes on from it or says why not.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use signcam::train::run::trainer::{Schedule, Trainer, TrainerOptions, ids};

/// The files of a checkpoint, by the input's first byte.
const FILES: [&str; 5] = [
    "progress.json",
    "average.f32",
    "network.bpk",
    "optimizer-backbone.bpk",
    "optimizer-head.bpk",
];

#[derive(Module, Debug)]
struct Net {
    backbone: Linear,
    head: Linear,
}

fn trainer() -> Trainer<Net> {
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

static CHECKPOINT: OnceLock<PathBuf> = OnceLock::new();

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in FILES {
        // Copying in the kernel fails where the fuzzer's alarm interrupts it; this goes on.
        let content = fs::read(from.join(name)).unwrap();
        fs::write(to.join(name), content).unwrap();
    }
}

fuzz_target!(
    init: {
        let folder = tempfile::tempdir().unwrap().keep();
        let sound = folder.join("sound");
        trainer().save(&sound).unwrap();
        CHECKPOINT.set(sound).unwrap();
    },
    |bytes: &[u8]| {
        let Some((&file, content)) = bytes.split_first() else {
            return;
        };
        let sound = CHECKPOINT.get().unwrap();
        let damaged = sound.with_file_name("damaged");
        copy(sound, &damaged);
        fs::write(damaged.join(FILES[usize::from(file) % FILES.len()]), content).unwrap();
        if let Ok(trainer) = trainer().resume(&damaged) {
            trainer.averaged();
            let _ = trainer.blended(&[damaged]);
        }
    }
);

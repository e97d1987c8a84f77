//! Takes training steps of the letter network on request, for `scripts/compare-trainers`.
//!
//! `time_trainer SIZE BATCH` makes a network and a drawn batch, and then answers each line `run N` on stdin with
//! one line: the time of each of N steps in microseconds. A step is what `train` does with a batch: forward and
//! backward pass through every layer, AdamW, the average of the weights.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Distribution, Int, Tensor};
use signcam::train::network::block::Mode;
use signcam::train::network::letter::{HeadOptions, LetterNet};
use signcam::train::run::trainer::{Schedule, Trainer, TrainerOptions, ids};

/// 26 letters and `nothing`.
const LABELS: usize = 27;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [size, batch] = args.as_slice() else {
        bail!("usage: time_trainer SIZE BATCH");
    };
    let (size, batch): (usize, usize) = (size.parse()?, batch.parse()?);
    let device = Device::flex().autodiff();
    device.seed(1);
    let head = HeadOptions {
        hidden: None,
        dropout: 0.2,
        points: false,
    };
    let net = LetterNet::new(LABELS, head, &device);
    let backbone = ids(&net.backbone);
    let options = TrainerOptions {
        schedule: Schedule {
            steps: 1 << 20,
            warmup: 1000,
            backbone: 7.5e-4,
            head: 2.5e-3,
        },
        weight_decay: 0.02,
        average: 0.998,
        keep: 0.0,
    };
    let mut trainer = Trainer::new(net, backbone, options);
    let images = Tensor::<4>::random(
        [batch, size, size, 3],
        Distribution::Normal(0.0, 1.0),
        &device,
    );
    let targets: Vec<i64> = (0..batch).map(|at| (at % LABELS) as i64).collect();
    let targets = Tensor::<1, Int>::from_data(&targets[..], &device);
    println!("signcam");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let steps: usize = line
            .strip_prefix("run ")
            .context("expected run N")?
            .parse()?;
        let mut times = Vec::new();
        for _ in 0..steps {
            let started = Instant::now();
            let logits = trainer.net().forward(images.clone(), Mode::Train, 0).logits;
            let loss = CrossEntropyLossConfig::new()
                .with_smoothing(Some(0.1))
                .init(&device)
                .forward(logits, targets.clone());
            trainer.step(loss);
            times.push(started.elapsed().as_micros().to_string());
        }
        println!("{}", times.join(" "));
        std::io::stdout().flush()?;
    }
    Ok(())
}

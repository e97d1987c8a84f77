//! Runs an ONNX picture network on request, for scripts that compare runtimes.
//!
//! `time_model signcam|tract MODEL.onnx` loads the model and then obeys lines on stdin, one answer line for each:
//!
//! - `run N`: N runs on a drawn picture; answers each run's time in microseconds.
//! - `planes FILE`: reads the network's f32 input (little endian, NCHW) from FILE, answers the outputs' values.
//! - `operators PLANES MAPS`: runs on the input in PLANES; MAPS holds another runtime's u8 map of each layer (NHWC, one
//!   after the other), which is compared with the layer's own and then takes its place, so that every layer starts from
//!   the same input. Answers, as JSON, how many values of each layer differ and by how many steps at most (signcam only).
//! - `layers N`: each layer's median time over N runs, as JSON (signcam only).
//! - `threads N`: shares large layers among N threads from then on; answers how many there are (signcam only).
//! - `clock`: the processor's clock in GHz, measured with a chain of dependent operations.
//!
//! The runtimes take what they'd take in the program: signcam the RGB bytes, tract a normalised f32 tensor.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use signcam::int8::kernels::padded;
use signcam::int8::{InputTransform, Lowering, Network};
use tract_onnx::prelude::*;

enum Runtime {
    Signcam(Box<Network>),
    Tract(Arc<TypedRunnableModel>),
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [runtime, path] = args.as_slice() else {
        bail!("usage: time_model signcam|tract MODEL.onnx");
    };
    let proto = tract_onnx::onnx()
        .proto_model_for_path(path)
        .with_context(|| format!("reading {path}"))?;
    let mut runtime = match runtime.as_str() {
        "signcam" => {
            let input = InputTransform {
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
            };
            match Network::lower(&proto, &input)? {
                Lowering::Lowered(network) => Runtime::Signcam(network),
                Lowering::Stock(unsupported) => bail!("{path} isn't lowered: {unsupported}"),
            }
        }
        "tract" => Runtime::Tract(
            tract_onnx::onnx()
                .model_for_path(path)?
                .into_optimized()?
                .into_runnable()?,
        ),
        other => bail!("{other}: signcam or tract"),
    };
    println!("{}", runtime.describe());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_once(' ') {
            Some(("run", count)) => runtime.run(count.parse()?)?,
            Some(("planes", file)) => runtime.planes(file)?,
            Some(("operators", files)) => {
                let files = files.split_once(' ').context("operators PLANES MAPS")?;
                runtime.operators(files.0, files.1)?
            }
            Some(("layers", count)) => runtime.layers(count.parse()?)?,
            Some(("threads", count)) => runtime.threads(count.parse()?)?,
            None if line == "clock" => clock().to_string(),
            _ => bail!(
                "{line}: run N, planes FILE, operators PLANES MAPS, layers N, threads N or clock"
            ),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The best of several tries, in GHz: a step of xorshift is six operations of one cycle that wait for each other.
fn clock() -> f64 {
    const STEPS: u32 = 500_000;
    let mut x = std::hint::black_box(3u64);
    let mut seconds = f64::INFINITY;
    for _ in 0..50 {
        let started = Instant::now();
        for _ in 0..STEPS {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        x = std::hint::black_box(x);
        seconds = seconds.min(started.elapsed().as_secs_f64());
    }
    6.0 * f64::from(STEPS) / seconds / 1e9
}

fn joined<T: std::fmt::Display>(values: impl IntoIterator<Item = T>) -> String {
    values
        .into_iter()
        .map(|v| v.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

impl Runtime {
    fn describe(&self) -> String {
        match self {
            Self::Signcam(network) => format!("signcam {}", network.isa()),
            Self::Tract(_) => "tract".into(),
        }
    }

    fn size(&self) -> Result<[usize; 2]> {
        match self {
            Self::Signcam(network) => Ok(network.size()),
            Self::Tract(plan) => match plan.model().input_fact(0)?.shape.as_concrete() {
                Some(&[_, _, height, width]) => Ok([height, width]),
                _ => bail!("the model has no fixed input size"),
            },
        }
    }

    fn run(&mut self, count: usize) -> Result<String> {
        let [height, width] = self.size()?;
        let rgb: Vec<u8> = (0..height * width * 3)
            .map(|i| (i * 31 % 251) as u8)
            .collect();
        let tensor = Tensor::from_shape(
            &[1, 3, height, width],
            &rgb.iter()
                .map(|&p| f32::from(p) / 60.0 - 2.0)
                .collect::<Vec<_>>(),
        )?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            match self {
                Self::Signcam(network) => network.run(&rgb)?,
                Self::Tract(plan) => drop(plan.run(tvec![tensor.clone().into()])?),
            }
            times.push(started.elapsed().as_nanos() as f64 / 1e3);
        }
        Ok(joined(times))
    }

    fn read(&self, file: &str) -> Result<Vec<f32>> {
        let [height, width] = self.size()?;
        let bytes = std::fs::read(file).with_context(|| format!("reading {file}"))?;
        let planes: Vec<f32> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect();
        ensure!(
            planes.len() == 3 * height * width,
            "{file} holds {} values",
            planes.len()
        );
        Ok(planes)
    }

    fn operators(&mut self, planes: &str, maps: &str) -> Result<String> {
        let planes = self.read(planes)?;
        let theirs = std::fs::read(maps).with_context(|| format!("reading {maps}"))?;
        let Self::Signcam(network) = self else {
            bail!("only signcam shows its layers' maps")
        };
        let mut left = theirs.as_slice();
        let mut rows = Vec::new();
        network.run_planes_watched(&planes, &mut |_, map, ours| {
            let (mut differ, mut most) = (0, 0);
            for pixel in ours.chunks_exact_mut(padded(map.channels)) {
                let Some((theirs, after)) = left.split_at_checked(map.channels) else {
                    return;
                };
                left = after;
                for (ours, &theirs) in pixel.iter_mut().zip(theirs) {
                    let apart = ours.abs_diff(theirs);
                    differ += usize::from(apart > 0);
                    most = most.max(apart);
                    *ours = theirs;
                }
            }
            let values = map.height * map.width * map.channels;
            rows.push(serde_json::json!({"values": values, "differ": differ, "most": most}));
        })?;
        ensure!(
            left.is_empty() && rows.len() == network.layers().len(),
            "{maps} doesn't hold the layers' maps"
        );
        Ok(serde_json::Value::Array(rows).to_string())
    }

    fn planes(&mut self, file: &str) -> Result<String> {
        let [height, width] = self.size()?;
        let planes = self.read(file)?;
        match self {
            Self::Signcam(network) => {
                network.run_planes(&planes)?;
                Ok(joined(network.outputs().iter().flat_map(|o| o.values())))
            }
            Self::Tract(plan) => {
                let outputs = plan.run(tvec![
                    Tensor::from_shape(&[1, 3, height, width], &planes)?.into()
                ])?;
                let mut values = Vec::new();
                for output in &outputs {
                    values.extend_from_slice(
                        output
                            .to_plain_array_view::<f32>()?
                            .as_slice()
                            .unwrap_or_default(),
                    );
                }
                Ok(joined(values))
            }
        }
    }

    fn threads(&mut self, count: usize) -> Result<String> {
        let Self::Signcam(network) = self else {
            bail!("only signcam shares its layers among threads")
        };
        network.set_threads(count);
        Ok(network.threads().to_string())
    }

    fn layers(&mut self, count: usize) -> Result<String> {
        let Self::Signcam(network) = self else {
            bail!("only signcam tells its layers' times")
        };
        let [height, width] = network.size();
        let rgb: Vec<u8> = (0..height * width * 3)
            .map(|i| (i * 31 % 251) as u8)
            .collect();
        let mut times = vec![Vec::with_capacity(count); network.layers().len()];
        for _ in 0..count {
            network.run_timed(&rgb)?;
            for (times, layer) in times.iter_mut().zip(network.layers()) {
                times.push(layer.time.as_nanos() as f64 / 1e3);
            }
        }
        let rows = network
            .layers()
            .iter()
            .zip(&mut times)
            .map(|(layer, times)| {
                times.sort_by(f64::total_cmp);
                serde_json::json!({
                    "name": layer.name, "shape": layer.shape, "multiply_adds": layer.multiply_adds,
                    "median_us": times[times.len() / 2],
                })
            });
        Ok(serde_json::Value::Array(rows.collect()).to_string())
    }
}

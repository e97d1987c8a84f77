//! What the shipped networks and each of their layers take: `cargo bench --profile measure --bench int8 [-- FILTER]`.
//!
//! `model/…` runs a whole network on every kernel family this processor has and, as the peer, on stock tract.
//! `layer/…` is each layer's share of a whole run, so that caches and buffers are as they are in the program.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use signcam::int8::lower::lower;
use signcam::int8::{InputTransform, Isa, Network};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

const NETWORKS: [&str; 2] = ["asl", "hand"];

fn models(c: &mut Criterion) {
    for name in NETWORKS {
        let mut group = c.benchmark_group(format!("model/{name}"));
        let proto = read(name);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let mut network = network(&proto, isa);
            let picture = picture(&network);
            group.bench_function(isa.name(), |b| {
                b.iter(|| network.run(black_box(&picture)).expect("it is one picture"))
            });
        }
        let [height, width] = network(&proto, Isa::Portable).size();
        let stock = tract_onnx::onnx()
            .model_for_proto_model(&proto)
            .and_then(|model| model.into_optimized())
            .and_then(|model| model.into_runnable())
            .expect("stock tract runs the shipped networks");
        let planes = Tensor::zero::<f32>(&[1, 3, height, width]).expect("a tensor of zeros");
        group.bench_function("stock tract", |b| {
            b.iter(|| {
                let input = black_box(&planes).clone().into_tvalue();
                stock.run(tvec![input]).expect("it is one picture")
            })
        });
    }
}

fn layers(c: &mut Criterion) {
    for name in NETWORKS {
        let isa = Isa::choose().expect("SIGNCAM_ISA names a family that is there");
        let mut network = network(&read(name), isa);
        let picture = picture(&network);
        let mut group = c.benchmark_group(format!("layer/{name}/{}", isa.name()));
        group.sample_size(10);
        group.warm_up_time(Duration::from_millis(100));
        group.measurement_time(Duration::from_millis(500));
        for at in 0..network.layers().len() {
            let layer = &network.layers()[at];
            let id = format!("{at:02} {} {}", layer.name, layer.shape);
            group.bench_function(id, |b| {
                b.iter_custom(|runs| {
                    let mut time = Duration::ZERO;
                    for _ in 0..runs {
                        network.run_timed(&picture).expect("it is one picture");
                        time += network.layers()[at].time;
                    }
                    time
                })
            });
        }
    }
}

fn read(name: &str) -> ModelProto {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    tract_onnx::onnx()
        .proto_model_for_path(folder.join(name).with_extension("onnx"))
        .expect("the shipped networks are ONNX files")
}

fn network(proto: &ModelProto, isa: Isa) -> Network {
    let plan = lower(proto).expect("the shipped networks are lowered whole");
    let input = InputTransform {
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    Network::new(&plan, &input, isa)
}

/// Pixels that are all different enough for no branch to be easy.
fn picture(network: &Network) -> Vec<u8> {
    let [height, width] = network.size();
    (0..height * width * 3)
        .map(|at| (at * 31 % 251) as u8)
        .collect()
}

criterion_group!(benches, models, layers);
criterion_main!(benches);

//! What the tests of the commands share: drawn pictures, and a model that reads them.
//! Each test program uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use signcam::model::{Metadata, Preprocessing};
use signcam::train::file::export::write_models;
use signcam::train::file::graph::{Conv, Dense, Graph};

pub const RED: [u8; 3] = [230, 20, 30];
pub const GREEN: [u8; 3] = [20, 220, 30];
pub const BLUE: [u8; 3] = [30, 20, 230];

/// Writes an int8 model that reads the letter A from red, B from green, and nothing from blue.
pub fn colour_model(folder: &Path) -> PathBuf {
    let same = |factor: f32| {
        let mut weights = vec![0.0; 9];
        for at in [0, 4, 8] {
            weights[at] = factor;
        }
        weights
    };
    let mut graph = Graph::new(32).unwrap();
    let conv = Conv::new(3, 3, 1, same(1.0));
    let x = graph.conv("colour", graph.image(), conv).unwrap();
    let x = graph.global_average_pool("mean", x).unwrap();
    let x = graph.dense("head", x, Dense::new(3, 3, same(2.0))).unwrap();
    graph.output("logits", x).unwrap();
    let labels = ["A", "B", "nothing"].map(String::from).to_vec();
    let metadata = Metadata::new(labels, Preprocessing::new(32, 1.35));
    let crops: Vec<Vec<u8>> = [RED, GREEN, BLUE, [0; 3], [255; 3]]
        .iter()
        .map(|colour| colour.repeat(32 * 32))
        .collect();
    let path = folder.join("colours.onnx");
    let props = metadata.to_props().unwrap();
    write_models(&graph, &crops, &metadata.preprocessing, &props, &path).unwrap();
    path
}

/// Paints a picture of 80 x 60 pixels: `around` all over, `inside` in the box 0.5, 0.25 to 0.875,
/// 0.75.
pub fn paint(path: &Path, inside: [u8; 3], around: [u8; 3]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_fn(80, 60, |x, y| {
        let hand = (40..70).contains(&x) && (15..45).contains(&y);
        Rgb(if hand { inside } else { around })
    })
    .save(path)
    .unwrap();
}

pub fn signcam() -> Command {
    let mut command = Command::cargo_bin("signcam").unwrap();
    command.env_remove("SIGNCAM_LOG").env_remove("SIGNCAM_ISA");
    command
}

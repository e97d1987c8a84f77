//! What the tests of the commands share: drawn pictures, and a model that reads them.
//! Each test program uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use signcam::base::joints::{JOINT_VALUES, JOINTS, Joints};
use signcam::model::{JOINTS_OUTPUT, Metadata, Preprocessing};
use signcam::train::file::graph::{Conv, Dense, Graph};
use signcam::train::file::write::write_models;

/// Of the models below.
const CROP_SCALE: f32 = 1.35;

pub const RED: [u8; 3] = [230, 20, 30];
pub const GREEN: [u8; 3] = [20, 220, 30];
pub const BLUE: [u8; 3] = [30, 20, 230];

/// Writes an int8 model that reads the letter A from red, B from green, and nothing from blue.
pub fn colour_model(folder: &Path) -> PathBuf {
    write_colour_model(&folder.join("colours.onnx"), None)
}

/// As [`colour_model`], of a network that sees `joints`, in fractions of the crop, in every hand.
pub fn joints_model(folder: &Path, joints: &Joints) -> PathBuf {
    write_colour_model(&folder.join("joints.onnx"), Some(joints))
}

/// Joints whose hull is the box that a crop was made of: on its edges, and in its middle.
pub fn joints_in_the_box() -> Joints {
    let (low, high) = (0.5 - 0.5 / CROP_SCALE, 0.5 + 0.5 / CROP_SCALE);
    let mut joints = [[0.5; 2]; JOINTS];
    joints[0] = [0.5, high];
    joints[4] = [low, 0.5];
    joints[12] = [0.5, low];
    joints[20] = [high, 0.5];
    joints
}

fn write_colour_model(path: &Path, joints: Option<&Joints>) -> PathBuf {
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
    let mean = graph.global_average_pool("mean", x).unwrap();
    let x = graph
        .dense("head", mean, Dense::new(3, 3, same(2.0)))
        .unwrap();
    graph.output("logits", x).unwrap();
    if let Some(joints) = joints {
        let fixed = Dense::new(JOINT_VALUES, 3, vec![0.0; JOINT_VALUES * 3]);
        let fixed = fixed.bias(joints.as_flattened().to_vec());
        let x = graph.dense("points", mean, fixed).unwrap();
        graph.output(JOINTS_OUTPUT, x).unwrap();
    }
    let labels = ["A", "B", "nothing"].map(String::from).to_vec();
    let metadata = Metadata::new(labels, Preprocessing::new(32, CROP_SCALE));
    let crops: Vec<Vec<u8>> = [RED, GREEN, BLUE, [0; 3], [255; 3]]
        .iter()
        .map(|colour| colour.repeat(32 * 32))
        .collect();
    let props = metadata.to_props().unwrap();
    write_models(&graph, &crops, &metadata.preprocessing, &props, path).unwrap();
    path.to_owned()
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

/// A video or picture that lies beside the tests.
pub fn case(name: &str) -> PathBuf {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/media");
    cases.join(name)
}

pub fn signcam() -> Command {
    let mut command = Command::cargo_bin("signcam").unwrap();
    command.env_remove("SIGNCAM_LOG").env_remove("SIGNCAM_ISA");
    command
}

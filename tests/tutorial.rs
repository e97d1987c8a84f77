//! The tutorial's first task, as a newcomer walks it: two kinds of pictures, one command that trains
//! and one that reads. Nobody's pets are in these pictures; they are drawn here.
#![cfg(feature = "train")]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::signcam;
use image::{Rgb, RgbImage};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

/// A cat's head has two ears that stand, a dog's two that hang; each is somewhat elsewhere, of another
/// size and light. Wider than high, as photographs are.
fn draw(path: &Path, is_cat: bool, number: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let vary = |factor: u32, range: u32| (number * factor % range) as f32;
    let (x, y) = (40.0 + vary(7, 17), 30.0 + vary(5, 7));
    let (size, light) = (13.0 + vary(3, 5), vary(11, 50));
    let coat = match is_cat {
        true => [190.0, 120.0, 40.0],
        false => [70.0, 80.0, 150.0],
    };
    RgbImage::from_fn(96, 64, |column, row| {
        let (dx, dy) = ((column as f32 - x) / size, (row as f32 - y) / size);
        let ear = match is_cat {
            true => (-1.7..-0.5).contains(&dy) && (dx.abs() - 0.7).abs() < (dy + 1.7) * 0.4,
            false => (-0.6..1.3).contains(&dy) && (dx.abs() - 1.15).abs() < 0.3,
        };
        let grain = (column * 31 + row * 17 + number * 13) % 23;
        Rgb(match ear || dx.hypot(dy) < 1.0 {
            true => coat.map(|value| (value + light) as u8),
            false => [100 + grain as u8; 3].map(|value| value + light as u8 / 2),
        })
    })
    .save(path)
    .unwrap();
}

/// `train/cat`, `train/dog`, `val/cat` and `val/dog`, as the tutorial lays them.
fn pets(folder: &Path) {
    for (class, is_cat) in [("cat", true), ("dog", false)] {
        for number in 0..28 {
            let split = if number < 20 { "train" } else { "val" };
            draw(
                &folder
                    .join(split)
                    .join(class)
                    .join(format!("{class}.{number}.png")),
                is_cat,
                number,
            );
        }
    }
}

fn json(command: &mut Command) -> Value {
    let output = command.assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn one_command_learns_two_kinds_of_pictures_and_one_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pets");
    pets(&data);
    Command::cargo_bin("train")
        .unwrap()
        .current_dir(folder.path())
        .args(["--data", "pets", "--backbone", "none", "--freeze", "none"])
        .args(["--preset", "notebook", "--size", "32", "--batch", "8"])
        .args(["--epochs", "48"])
        .assert()
        .success()
        .stdout(contains("have a copy among the training pictures"))
        .stdout(contains("pets.onnx"));
    let model = folder.path().join("pets.onnx");
    let with_model = |name: &str| {
        let mut command = signcam();
        command.arg(name).arg("--model").arg(&model);
        command
    };

    let report = json(with_model("eval").arg(data.join("val")).arg("--json"));
    assert!(report["accuracy"].as_f64().unwrap() > 0.9, "{report}");
    assert_eq!(report["classes"]["dog"]["pictures"], 8);
    assert_eq!(report["static24_mean"], Value::Null);
    with_model("eval")
        .arg(data.join("val"))
        .assert()
        .success()
        .stdout(contains("class").and(contains("dog")))
        .stdout(contains("letter").or(contains("static")).not());

    let dog = data.join("val/dog/dog.21.png");
    let reading = json(with_model("predict").arg(&dog).arg("--json"));
    assert_eq!(reading[0]["letter"], "dog", "{reading}");
    assert_eq!(reading[0]["box"], Value::Null);
    assert_eq!(reading[0]["probabilities"].as_array().unwrap().len(), 2);
    with_model("predict")
        .arg(&dog)
        .assert()
        .success()
        .stdout(contains("dog.21.png: dog").and(contains("cat")))
        .stdout(contains("hand").not());

    let mut headless = signcam();
    headless.arg("--model").arg(&model).arg("--headless");
    headless
        .args(["--pace", "max", "--source"])
        .arg(data.join("val"));
    let lines = headless.assert().success();
    let lines = String::from_utf8(lines.get_output().stdout.clone()).unwrap();
    let readings = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let readings: Vec<Value> = readings
        .filter(|line: &Value| line["seq"].is_u64())
        .collect();
    assert_eq!(readings.len(), 16);
    let named = |label: &str| {
        readings
            .iter()
            .filter(|line| line["letter"] == label)
            .count()
    };
    assert!(named("cat") >= 7 && named("dog") >= 7, "{lines}");
    assert!(readings.iter().all(|line| line["box"].is_null()), "{lines}");
}

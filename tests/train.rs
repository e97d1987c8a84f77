//! The `train` program, as a user meets it, on pictures that are drawn here.
#![cfg(feature = "train")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::str::contains;
use signcam::model::Model;
use signcam::train::data::drawn::{Drawn, write_hands};

fn train() -> Command {
    Command::cargo_bin("train").unwrap()
}

/// Two classes, signed by four people to learn from and one to be judged by.
fn draw(folder: &Path) {
    let signers = |names: &[&str]| names.iter().map(|name| (name.to_string(), 4)).collect();
    let drawn = Drawn {
        labels: vec!["A".to_owned(), "B".to_owned()],
        train_signers: signers(&["ann", "bea", "cem", "dov"]),
        val_signers: signers(&["eve"]),
        size: 64,
        seed: 3,
    };
    write_hands(folder, &drawn).unwrap();
}

/// A run that takes seconds.
fn short(data: &Path, out: &Path) -> Command {
    let mut command = train();
    command.arg("--data").arg(data).arg("--out").arg(out);
    command.args(["--backbone", "none", "--size", "32", "--batch", "8"]);
    command.args(["--epochs", "1"]);
    command
}

#[test]
fn a_run_leaves_two_networks_that_the_program_reads_and_a_report() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let out = folder.path().join("letters.onnx");
    short(folder.path(), &out)
        .assert()
        .success()
        .stdout(contains("eve"))
        .stdout(contains("worst"));
    for name in ["letters.onnx", "letters.f32.onnx"] {
        let model = Model::load(&folder.path().join(name)).unwrap();
        assert_eq!(model.input_size(), 32);
        assert_eq!(&*model.labels()[1], "B");
    }
    let report = folder.path().join("letters.report");
    let json = fs::read_to_string(report.join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["data"]["pictures"]["train"], 32);
    assert_eq!(json["epochs"].as_array().unwrap().len(), 1);
    for picture in ["accuracy.svg", "loss.svg", "confusion.svg"] {
        assert!(report.join(picture).exists(), "{picture}");
    }
}

#[test]
fn the_same_seed_gives_the_same_network_twice() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let [first, second] = ["1.onnx", "2.onnx"].map(|name| folder.path().join(name));
    for out in [&first, &second] {
        short(folder.path(), out).assert().success();
    }
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap());
}

#[test]
fn a_run_goes_on_only_with_the_options_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let out = folder.path().join("letters.onnx");
    short(folder.path(), &out).assert().success();
    let made = fs::read(&out).unwrap();
    short(folder.path(), &out)
        .args(["--resume", "--gestures", "0.25"])
        .assert()
        .code(1)
        .stderr(contains("letters.checkpoint"))
        .stderr(contains("gestures: 0.06, now 0.25"));
    assert!(fs::read(&out).unwrap() == made, "the network was touched");
    // Where files lie is no matter.
    let moved = folder.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for name in ["hands", "hands.csv", "letters.checkpoint"] {
        fs::rename(folder.path().join(name), moved.join(name)).unwrap();
    }
    let again = moved.join("letters.onnx");
    short(&moved, &again).arg("--resume").assert().success();
    assert!(fs::read(again).unwrap() == made, "it is another network");
}

#[test]
fn a_trained_network_learns_new_classes_and_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let out = folder.path().join("letters.onnx");
    short(folder.path(), &out).assert().success();
    // One signer, one class that the network does not know, and none held back by the table.
    let mine = folder.path().join("mine");
    let drawn = Drawn {
        labels: vec!["A".to_owned(), "wave".to_owned()],
        train_signers: vec![("fay".to_owned(), 5)],
        val_signers: Vec::new(),
        size: 64,
        seed: 5,
    };
    write_hands(&mine, &drawn).unwrap();
    let checkpoint = out.with_extension("checkpoint");
    for (from, name) in [(&out, "file.onnx"), (&checkpoint, "checkpoint.onnx")] {
        let adapted = folder.path().join(name);
        let mut command = train();
        command.arg("--data").arg(&mine).arg("--out").arg(&adapted);
        command.arg("--from").arg(from);
        command.args(["--epochs", "1", "--batch", "4"]);
        command.assert().success().stdout(contains("before"));
        let model = Model::load(&adapted).unwrap();
        let labels: Vec<&str> = model.labels().iter().map(|label| &**label).collect();
        assert_eq!(labels, ["A", "B", "wave"]);
        assert_eq!(model.input_size(), 32);
        let report = adapted.with_extension("report").join("report.json");
        let json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
        assert_eq!(json["data"]["pictures"]["train"], 8);
        assert_eq!(json["data"]["pictures"]["val"], 2);
        assert_eq!(json["before"]["pictures"], 2);
    }
}

#[test]
fn the_notebook_preset_trains_on_any_two_classes_in_folders() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let classes = folder.path().join("pets");
    for (label, class) in [("A", "cat"), ("B", "dog")] {
        let into = classes.join(class);
        fs::create_dir_all(&into).unwrap();
        for signer in ["ann", "bea", "cem"] {
            let from = folder.path().join("hands").join(signer).join(label);
            for picture in fs::read_dir(from).unwrap() {
                let picture = picture.unwrap().path();
                let name = picture.file_name().unwrap().to_str().unwrap();
                fs::copy(&picture, into.join(format!("{signer}-{name}"))).unwrap();
            }
        }
    }
    let out = folder.path().join("pets.onnx");
    short(&classes, &out)
        .args(["--preset", "notebook", "--val-fraction", "0.25"])
        .assert()
        .success();
    let labels = Model::load(&out).unwrap().labels().to_vec();
    assert_eq!(labels, ["cat".into(), "dog".into()]);
}

#[test]
fn bad_data_is_refused_by_its_path_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("network.onnx");
    let empty = folder.path().join("empty");
    fs::create_dir_all(empty.join("cat")).unwrap();
    fs::create_dir_all(empty.join("dog")).unwrap();
    let broken = folder.path().join("broken");
    draw(&broken);
    fs::write(broken.join("hands/ann/A/0.png"), "no picture").unwrap();
    let cut = folder.path().join("cut");
    draw(&cut);
    let picture = fs::read(cut.join("hands/bea/B/1.png")).unwrap();
    fs::write(cut.join("hands/bea/B/1.png"), &picture[..picture.len() / 2]).unwrap();
    for (data, told) in [
        (folder.path().join("missing"), "missing"),
        (empty, "empty"),
        (broken, "0.png"),
        (cut, "1.png"),
    ] {
        short(&data, &out).assert().code(1).stderr(contains(told));
        assert!(!out.exists());
        assert!(!out.with_extension("report").exists());
    }
}

#[test]
fn a_missing_backbone_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    train()
        .args(["--backbone", "nowhere.pth", "--data"])
        .arg(folder.path())
        .arg("--out")
        .arg(folder.path().join("network.onnx"))
        .assert()
        .code(1)
        .stderr(contains("nowhere.pth"))
        .stderr(contains("fetch-backbone"));
}

#[test]
fn an_option_that_makes_no_sense_is_wrong_usage() {
    short("data".as_ref(), "network.onnx".as_ref())
        .args(["--size", "100"])
        .assert()
        .code(2)
        .stderr(contains("--size"));
    // A network file has no statistics apart from its weights.
    train()
        .args(["--data", "data", "--statistics", "batch"])
        .args(["--from", "models/asl.onnx"])
        .assert()
        .code(2)
        .stderr(contains("--statistics"));
}

//! The `train` program, as a user meets it, on pictures that are drawn here.
#![cfg(feature = "train")]

#[path = "common/training.rs"]
mod training;

use std::fs;
use std::path::Path;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use signcam::model::Model;
use signcam::train::data::drawn::{Drawn, write_hands};
use training::{draw, pets, short, train};

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
        .args(["--resume", "--force", "--gestures", "0.25"])
        .assert()
        .code(1)
        .stderr(contains("letters.checkpoint"))
        .stderr(contains("gestures: 0.06, now 0.25"));
    assert!(fs::read(&out).unwrap() == made, "the network was touched");
    // Nor with other data.
    let table = fs::read_to_string(folder.path().join("hands.csv")).unwrap();
    let fewer: Vec<&str> = table
        .lines()
        .filter(|line| !line.contains("dov/A"))
        .collect();
    let other = folder.path().join("fewer.csv");
    fs::write(&other, fewer.join("\n")).unwrap();
    short(&other, &out)
        .args(["--resume", "--force"])
        .assert()
        .code(1)
        .stderr(contains("A to learn from: 16, now 12"));
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
    pets(folder.path());
    let classes = folder.path().join("pets");
    let out = folder.path().join("pets.onnx");
    short(&classes, &out)
        .args(["--preset", "notebook", "--val-fraction", "0.25"])
        .assert()
        .success();
    let model = Model::load(&out).unwrap();
    assert_eq!(model.labels(), ["cat".into(), "dog".into()]);
    assert!(model.reads().is_whole(), "no hand is looked for in pets");
}

/// The tutorial's first cell says how large its network's pictures are.
#[test]
fn the_notebook_preset_reads_pictures_of_the_tutorials_size() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pets");
    for (class, level) in [("cat", 40), ("dog", 200)] {
        for number in 0..4 {
            let path = data.join(class).join(format!("{number}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let level = level + number as u8 * 9;
            let picture = image::RgbImage::from_fn(60, 40, |x, y| {
                image::Rgb([level, (x * 3) as u8, (y * number) as u8])
            });
            picture.save(path).unwrap();
        }
    }
    let out = folder.path().join("pets.onnx");
    let mut command = train();
    command.arg("--data").arg(&data).arg("--out").arg(&out);
    command.args(["--backbone", "none", "--preset", "notebook"]);
    command.args(["--epochs", "1", "--batch", "2", "--val-fraction", "0.5"]);
    command.assert().success();
    let model = Model::load(&out).unwrap();
    assert_eq!(model.input_size(), 224);
    assert!(model.reads().is_whole(), "no hand is looked for in pets");
}

#[test]
fn unreadable_pictures_are_all_named_and_left_out_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    pets(folder.path());
    let data = folder.path().join("pets");
    let picture = fs::read(data.join("cat/ann-0.png")).unwrap();
    fs::write(data.join("cat/empty.jpg"), "").unwrap();
    fs::write(data.join("cat/page.jpg"), "<html>not found</html>").unwrap();
    fs::write(data.join("dog/cut.png"), &picture[..picture.len() / 2]).unwrap();
    image::RgbImage::new(2, 2)
        .save(data.join("dog/dot.png"))
        .unwrap();
    let out = folder.path().join("pets.onnx");
    let mut refused = short(&data, &out).assert().code(1);
    for told in [
        "4 of 44",
        "empty.jpg",
        "page.jpg",
        "cut.png",
        "dot.png",
        "--skip-unreadable",
    ] {
        refused = refused.stderr(contains(told));
    }
    assert!(!out.exists());
    short(&data, &out)
        .arg("--skip-unreadable")
        .assert()
        .success()
        .stderr(contains("4 of 44").and(contains("dot.png")))
        .stderr(contains("cat: ").and(contains("dog: ")));
    let report = fs::read_to_string(out.with_extension("report").join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let unreadable = report["data"]["unreadable"].as_array().unwrap();
    assert_eq!(unreadable.len(), 4, "{unreadable:?}");
    assert!(
        unreadable
            .iter()
            .all(|picture| picture["reason"].is_string())
    );
    let pictures = &report["data"]["pictures"];
    let sum = pictures["train"].as_u64().unwrap() + pictures["val"].as_u64().unwrap();
    assert_eq!(sum, 40);
}

#[test]
fn pictures_in_both_splits_are_counted_and_left_out_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    pets(folder.path());
    let data = folder.path().join("split");
    for (class, signer, split) in [
        ("cat", "ann", "train"),
        ("dog", "ann", "train"),
        ("cat", "eve", "val"),
        ("dog", "eve", "val"),
    ] {
        let into = data.join(split).join(class);
        fs::create_dir_all(&into).unwrap();
        for number in 0..4 {
            let name = format!("{signer}-{number}.png");
            fs::copy(
                folder.path().join("pets").join(class).join(&name),
                into.join(&name),
            )
            .unwrap();
        }
    }
    // The same pixels in another kind of file, under another name.
    let copied = image::open(data.join("train/dog/ann-1.png")).unwrap();
    copied.save(data.join("val/dog/other.webp")).unwrap();
    let figures = |extra: &[&str], name: &str| {
        let out = folder.path().join(name);
        let told = short(&data, &out).args(extra).assert().success();
        let told = String::from_utf8(told.get_output().stderr.clone()).unwrap();
        assert!(
            told.contains("other.webp of ") && told.contains("ann-1.png"),
            "{told}"
        );
        let report = fs::read_to_string(out.with_extension("report").join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["data"].clone()
    };
    let with = figures(&[], "with.onnx");
    assert_eq!(with["copies"]["same"], 1, "{with}");
    assert_eq!(with["pictures"]["val"], 9);
    let copies =
        with["copies"]["same"].as_u64().unwrap() + with["copies"]["near"].as_u64().unwrap();
    let without = figures(&["--no-copies"], "without.onnx");
    assert_eq!(without["pictures"]["val"], 9 - copies, "{without}");
    assert_eq!(without["copies"]["left_out"], true);
}

#[test]
fn a_table_from_a_spreadsheet_is_learned_from_and_a_signer_in_both_splits_is_named() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path());
    let table = fs::read_to_string(folder.path().join("hands.csv")).unwrap();
    let mut rows = String::from("LABEL;Split;Path;Signer\r\n");
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [path, signer, split, label] = fields[..4] else {
            panic!("{line}");
        };
        let signer = if signer == "eve" { "ann" } else { signer };
        rows += &format!(
            "{label};{};{};{signer}\r\n",
            split.to_uppercase(),
            path.replace('/', "\\")
        );
    }
    let utf16 = rows.encode_utf16().flat_map(u16::to_le_bytes);
    let bytes: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
    let own = folder.path().join("own.csv");
    fs::write(&own, bytes).unwrap();
    let out = folder.path().join("own.onnx");
    short(&own, &out)
        .assert()
        .success()
        .stderr(contains("such as ann"));
    // Without boxes, whole pictures are read.
    assert!(Model::load(&out).unwrap().reads().is_whole());
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

/// In folders of classes and in a table, as `collect` writes it.
#[test]
fn a_jpeg_picture_that_is_cut_off_is_not_learned_from() {
    let folder = tempfile::tempdir().unwrap();
    pets(folder.path());
    let cut = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/media/cut50.jpg");
    fs::copy(&cut, folder.path().join("pets/cat/cut.jpg")).unwrap();
    fs::copy(&cut, folder.path().join("hands/ann/A/0.png")).unwrap();
    let out = folder.path().join("network.onnx");
    for (data, told) in [("pets", "cat/cut.jpg"), ("hands.csv", "ann/A/0.png")] {
        short(&folder.path().join(data), &out)
            .assert()
            .code(1)
            .stderr(contains(told).and(contains("cut short")));
        assert!(!out.exists());
    }
}

#[test]
fn pictures_of_kinds_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    pets(folder.path());
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____";
    fs::write(folder.path().join("pets/cat/IMG_1.HEIC"), heic).unwrap();
    let out = folder.path().join("pets.onnx");
    short(&folder.path().join("pets"), &out)
        .assert()
        .success()
        .stderr(contains("HEIC picture").and(contains("IMG_1.HEIC")));
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

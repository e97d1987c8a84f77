//! `signcam eval`, as a user meets it.

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::{
    BLUE, GREEN, RED, case, colour_model, joints_in_the_box, joints_model, paint, signcam,
};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two signers' pictures, each hand in the same box, blue around it; and a table of the boxes.
struct Data {
    folder: TempDir,
}

impl Data {
    fn new() -> Self {
        let data = Data {
            folder: tempfile::tempdir().unwrap(),
        };
        colour_model(data.path());
        let rows = [
            ("ann/A/0.png", RED, "dev"),
            ("ann/A/1.png", RED, "dev"),
            ("ann/B/0.png", RED, "dev"),
            ("ann/nothing/0.png", BLUE, "dev"),
            ("ann/other/0.png", GREEN, "dev"),
            ("bob/A/0.png", GREEN, "train"),
            ("bob/B/0.png", GREEN, "train"),
        ];
        let mut table = String::from("path,signer,split,label,x0,y0,x1,y1\n");
        for (path, colour, split) in rows {
            paint(&data.path().join("frames").join(path), colour, BLUE);
            let mut names = path.split('/');
            let (signer, label) = (names.next().unwrap(), names.next().unwrap());
            table += &format!("frames/{path},{signer},{split},{label},0.52,0.3,0.85,0.7\n");
        }
        paint(&data.path().join("frames/ann/A/2.png"), RED, BLUE);
        table += "frames/ann/A/2.png,ann,dev,A,,,,\n";
        fs::write(data.path().join("frames.csv"), table).unwrap();
        data
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn eval(&self, folder: &str) -> Command {
        self.eval_with("colours.onnx", folder)
    }

    fn eval_with(&self, model: &str, folder: &str) -> Command {
        let mut command = signcam();
        command.arg("eval").arg(self.path().join(folder));
        command.arg("--model").arg(self.path().join(model));
        command
    }

    fn with_boxes(&self, folder: &str, table: &str) -> Command {
        let mut command = self.eval(folder);
        command.arg("--boxes").arg(self.path().join(table));
        command
    }
}

fn json_of(command: &mut Command) -> Value {
    let output = command.arg("--json").assert().success().stderr("");
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn boxes_are_read_and_signers_are_judged_one_by_one() {
    let data = Data::new();
    let report = json_of(&mut data.with_boxes("frames", "frames.csv"));
    assert_eq!(
        report,
        json!({
            "static24_mean": 0.5,
            "static24_worst": 0.5,
            "all26_mean": 0.5,
            "false_letters": 0.5,
            "signers": {
                "ann": {"frames": 6, "accuracy": 0.5, "static24": 0.5, "all26": 0.5, "no_hand": 1},
                "bob": {"frames": 2, "accuracy": 0.5, "static24": 0.5, "all26": 0.5, "no_hand": 0},
            },
            "accuracy": 0.5,
            "classes": {
                "A": {"pictures": 4, "accuracy": 0.5},
                "B": {"pictures": 2, "accuracy": 0.5},
                "nothing": {"pictures": 2, "accuracy": 0.5},
            },
            "confusions": [["A", "B", 1], ["B", "A", 1]],
        })
    );
}

#[test]
fn a_split_leaves_the_other_signers_out() {
    let data = Data::new();
    let report = json_of(
        data.with_boxes("frames", "frames.csv")
            .args(["--split", "train"]),
    );
    let signers: Vec<&String> = report["signers"].as_object().unwrap().keys().collect();
    assert_eq!(signers, ["bob"]);
    data.with_boxes("frames", "frames.csv")
        .args(["--split", "typo"])
        .assert()
        .code(1)
        .stderr(contains("frames.csv").and(contains("typo")));
    data.eval("frames")
        .args(["--split", "dev"])
        .assert()
        .code(2)
        .stderr(contains("--boxes"));
}

#[test]
fn one_signers_folder_is_read_with_the_same_table() {
    let data = Data::new();
    let report = json_of(&mut data.with_boxes("frames/bob", "frames.csv"));
    assert_eq!(report["signers"]["bob"]["static24"], 0.5);
}

#[test]
fn a_table_elsewhere_is_matched_by_the_end_of_its_paths() {
    let data = Data::new();
    fs::create_dir(data.path().join("tables")).unwrap();
    fs::rename(
        data.path().join("frames.csv"),
        data.path().join("tables/moved.csv"),
    )
    .unwrap();
    let report = json_of(&mut data.with_boxes("frames", "tables/moved.csv"));
    assert_eq!(report["signers"]["ann"]["no_hand"], 1);
    assert_eq!(report["signers"]["ann"]["static24"], 0.5);
}

#[test]
fn people_get_a_table_with_mean_worst_and_confusions() {
    let data = Data::new();
    data.with_boxes("frames", "frames.csv")
        .assert()
        .success()
        .stdout(
            contains("ann")
                .and(contains("bob"))
                .and(contains("mean"))
                .and(contains("worst"))
                .and(contains("50.0 %"))
                .and(contains("A as B 1")),
        );
}

#[test]
fn pictures_are_read_again_with_smaller_hands() {
    let data = Data::new();
    let mut command = data.with_boxes("frames", "frames.csv");
    command.args(["--shrink", "2,4"]);
    let report = json_of(&mut command);
    let smaller = report["shrink"].as_object().unwrap();
    assert_eq!(smaller.keys().collect::<Vec<_>>(), ["2", "4"]);
    for smaller in smaller.values() {
        // The box goes along, and what is in it stays as red or green as it was.
        for figure in ["static24_mean", "signers", "confusions", "false_letters"] {
            assert_eq!(smaller[figure], report[figure], "{figure}");
        }
        assert!(smaller.get("shrink").is_none());
    }
    let table = data
        .with_boxes("frames", "frames.csv")
        .args(["--shrink", "2"])
        .assert()
        .success();
    let table = String::from_utf8(table.get_output().stdout.clone()).unwrap();
    let line = table.lines().find(|line| line.starts_with("1/2")).unwrap();
    assert!(line.contains("50.0 %"), "{line}");
    for wrong in ["1", "half", "200"] {
        data.with_boxes("frames", "frames.csv")
            .args(["--shrink", wrong])
            .assert()
            .code(2);
    }
}

#[test]
fn joints_are_judged_where_the_table_has_them_and_the_network_gives_them() {
    let data = Data::new();
    joints_model(data.path(), &joints_in_the_box());
    let columns: Vec<String> = (0..21).map(|at| format!("px{at},py{at}")).collect();
    let mut table = format!("path,x0,y0,x1,y1,{}\n", columns.join(","));
    // The box is 26 pixels wide and 24 high around (54.8, 30); the network's hull is the square
    // around that, and its middle is right but for two joints.
    let right: Vec<String> = (0..21)
        .map(|at| match at {
            0 => "0.685,0.72".to_owned(),
            4 => "0.5,0.5".to_owned(),
            12 => "0.685,0.28".to_owned(),
            20 => "0.87,0.5".to_owned(),
            8 | 16 => "0.6,0.2".to_owned(),
            _ => "0.685,0.5".to_owned(),
        })
        .collect();
    for picture in ["ann/A/0.png", "ann/B/0.png"] {
        table += &format!("frames/{picture},0.52,0.3,0.85,0.7,{}\n", right.join(","));
    }
    table += &format!("frames/ann/A/1.png,0.52,0.3,0.85,0.7{}\n", ",".repeat(42));
    fs::write(data.path().join("points.csv"), &table).unwrap();
    let mut command = data.eval_with("joints.onnx", "frames/ann");
    command.arg("--boxes").arg(data.path().join("points.csv"));
    let output = command.args(["--json", "--shrink", "2"]).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    for report in [&report, &report["shrink"]["2"]] {
        let joints = &report["joints"];
        assert_eq!(joints["hands"], 2);
        let within = joints["within_tenth"].as_f64().unwrap();
        assert!((within - 19.0 / 21.0).abs() < 1e-9, "{joints}");
        assert_eq!(
            joints["tips"],
            json!({"thumb": 1.0, "index": 0.0, "middle": 1.0, "ring": 0.0, "little": 1.0})
        );
    }
    // A network of letters only has no joints to judge.
    let output = data
        .with_boxes("frames", "points.csv")
        .arg("--json")
        .assert();
    let report: Value = serde_json::from_slice(&output.success().get_output().stdout).unwrap();
    assert!(report.get("joints").is_none());

    fs::write(
        data.path().join("points.csv"),
        table.replace("0.6,0.2", "0.6,there"),
    )
    .unwrap();
    data.with_boxes("frames", "points.csv")
        .assert()
        .code(1)
        .stderr(contains("line 2").and(contains("there")));
}

#[test]
fn pictures_can_be_taken_for_crops_that_the_hand_fills() {
    let data = Data::new();
    let whole = data.path().join("whole");
    paint(&whole.join("A/0.png"), RED, RED);
    paint(&whole.join("B/0.png"), GREEN, GREEN);
    paint(&whole.join("B/1.png"), RED, RED);
    let report = json_of(data.eval("whole").arg("--whole"));
    assert_eq!(report["signers"]["whole"]["frames"], 3);
    assert_eq!(report["confusions"], json!([["B", "A", 1]]));
}

#[test]
fn a_missing_or_empty_folder_is_an_error_that_names_it() {
    let data = Data::new();
    fs::create_dir_all(data.path().join("empty/ann/A")).unwrap();
    for folder in ["absent", "empty"] {
        data.eval(folder)
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains(folder));
    }
}

#[test]
fn a_label_that_the_model_does_not_know_is_an_error() {
    let data = Data::new();
    paint(&data.path().join("frames/bob/Q/0.png"), RED, BLUE);
    data.with_boxes("frames", "frames.csv")
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("bob/Q").and(contains("A B")));
}

#[test]
fn unreadable_pictures_are_named_and_the_rest_is_judged() {
    let data = Data::new();
    let broken = data.path().join("frames/bob/B/0.png");
    fs::write(&broken, [0x89, b'P', b'N', b'G']).unwrap();
    let assert = data
        .with_boxes("frames", "frames.csv")
        .arg("--json")
        .assert()
        .code(1)
        .stderr(contains("bob/B/0.png").and(contains("1 of 8 pictures")))
        .stderr(contains("panicked").not());
    let json: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(json["signers"]["ann"]["frames"], 6);
    assert_eq!(json["signers"]["bob"]["frames"], 1);
    let named = json["failed"][0]["path"].as_str().unwrap();
    assert!(named.ends_with("bob/B/0.png"), "{named}");

    for at in ["A/0.png", "B/0.png"] {
        fs::write(data.path().join("frames/bob").join(at), "").unwrap();
    }
    data.eval("frames/bob")
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("none of the 2 pictures can be read"));
}

#[test]
fn a_jpeg_picture_that_is_cut_off_is_not_judged() {
    let data = Data::new();
    let cut = data.path().join("frames/bob/B/1.jpg");
    fs::copy(case("cut50.jpg"), &cut).unwrap();
    let mut eval = data.eval("frames");
    let assert = eval.arg("--json").assert().code(1);
    let assert = assert.stderr(contains("bob/B/1.jpg").and(contains("cut short")));
    let json: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(json["signers"]["bob"]["frames"], 2);
}

#[test]
fn pictures_of_kinds_that_are_not_read_are_named() {
    let data = Data::new();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____";
    fs::write(data.path().join("frames/bob/B/1.heic"), heic).unwrap();
    data.with_boxes("frames", "frames.csv")
        .assert()
        .success()
        .stderr(contains("a HEIC picture").and(contains("1.heic")));
}

#[test]
fn a_broken_table_is_an_error_that_names_the_line() {
    let data = Data::new();
    for (content, parts) in [
        ("", vec!["path"]),
        ("path,x0,y0,x1,y1\n", vec!["no rows"]),
        ("path,x0,y0,x1\na.png,0,0,1\n", vec!["y1"]),
        (
            "path,x0,y0,x1,y1\na.png,0,0,1,1\nb.png,0,zero,1,1\n",
            vec!["line 3", "zero"],
        ),
        ("path,x0,y0,x1,y1\na.png,0.9,0,0.1,1\n", vec!["line 2"]),
        ("path,x0,y0,x1,y1\na.png,0,0\n", vec!["line"]),
        ("path,x0,y0,x1,y1\nelsewhere.png,0,0,1,1\n", vec!["row"]),
    ] {
        fs::write(data.path().join("broken.csv"), content).unwrap();
        let output = data
            .with_boxes("frames", "broken.csv")
            .assert()
            .code(1)
            .stdout("");
        let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        for part in parts.iter().chain(&["broken.csv"]) {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
    }
    data.with_boxes("frames", "absent.csv")
        .assert()
        .code(1)
        .stderr(contains("absent.csv"));
}

//! `signcam predict`, as a user meets it.

mod common;

use common::{BLUE, GREEN, RED, colour_model, paint, signcam};
use predicates::prelude::*;
use predicates::str::contains;

#[test]
fn every_letter_of_every_picture_is_printed_best_first() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path());
    let (red, green) = (
        folder.path().join("red.png"),
        folder.path().join("green.png"),
    );
    paint(&red, RED, RED);
    paint(&green, GREEN, GREEN);
    let output = signcam()
        .arg("predict")
        .args([&red, &green])
        .args(["--box", "0.3,0.3,0.4,0.4"])
        .arg("--model")
        .arg(&model)
        .assert()
        .success()
        .stderr("");
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let order: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(order.len(), 6, "{text}");
    assert_eq!((order[0], order[3]), ("A", "B"), "{text}");
    assert!(
        text.contains("red.png: A") && text.contains("green.png: B"),
        "{text}"
    );
}

#[test]
fn the_box_says_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path());
    let picture = folder.path().join("hand.png");
    paint(&picture, GREEN, BLUE);
    let predicted = |hand: &str| {
        let mut command = signcam();
        command.arg("predict").arg(&picture).arg("--json");
        command.arg("--model").arg(&model);
        command.args(["--box", hand]);
        let output = command.assert().success().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&output).unwrap()
    };
    assert_eq!(predicted("0.55,0.35,0.25,0.3")[0]["letter"], "B");
    let whole = predicted("0,0,1,1");
    assert_eq!(whole[0]["letter"], serde_json::Value::Null);
    assert_eq!(whole[0]["probabilities"][0][0], "nothing");
    assert_eq!(whole[0]["probabilities"].as_array().unwrap().len(), 3);
}

#[test]
fn the_built_in_model_reads_without_further_files() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, BLUE);
    signcam()
        .arg("predict")
        .arg(&picture)
        .args(["--box", "0.5,0.25,0.375,0.5"])
        .assert()
        .success()
        .stdout(contains("nothing"));
    // A plain colour shows no hand.
    paint(&picture, BLUE, BLUE);
    signcam()
        .arg("predict")
        .arg(&picture)
        .assert()
        .success()
        .stdout(contains("no hand found"));
}

#[test]
fn an_unreadable_picture_fails_by_name_and_prints_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (
        folder.path().join("good.png"),
        folder.path().join("bad.jpg"),
    );
    paint(&good, RED, RED);
    std::fs::write(&bad, "not a picture").unwrap();
    signcam()
        .arg("predict")
        .args([&good, &bad])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("bad.jpg").and(contains("panicked").not()));
    signcam()
        .arg("predict")
        .arg(folder.path().join("missing.png"))
        .assert()
        .code(1)
        .stderr(contains("missing.png"));
}

#[test]
fn a_box_that_is_none_is_wrong_usage() {
    for hand in [
        "",
        "1,2",
        "0,0,1,1,1",
        "a,b,c,d",
        "0,0,0,0.5",
        "0.5,0.5,-0.1,0.2",
        "NaN,0,1,1",
        "100,80,200,200",
    ] {
        signcam()
            .args(["predict", "hand.png"])
            .arg(format!("--box={hand}"))
            .assert()
            .code(2)
            .stderr(contains("--box"));
    }
}

#[test]
fn a_box_beside_the_picture_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, BLUE);
    signcam()
        .arg("predict")
        .arg(&picture)
        .args(["--box", "1.5,1.5,0.1,0.1"])
        .assert()
        .code(1)
        .stderr(contains("hand.png").and(contains("outside")));
}

#[test]
fn a_model_that_cannot_be_read_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, BLUE);
    let whole = std::fs::read(colour_model(folder.path())).unwrap();
    let short = folder.path().join("short.onnx");
    std::fs::write(&short, &whole[..whole.len() / 2]).unwrap();
    for (model, message) in [
        (short, "cut short"),
        (folder.path().join("none.onnx"), "no such file"),
    ] {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        signcam()
            .arg("predict")
            .arg(&picture)
            .arg("--model")
            .arg(&model)
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains(name).and(contains(message)));
    }
}

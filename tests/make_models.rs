//! `scripts/make-models` from drawn data to both models, in a size that takes seconds.
#![cfg(all(feature = "train", unix))]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use signcam::model::Model;
use signcam::recognize::finder::Finder;
use signcam::train::data::drawn::{Drawn, write_frames, write_hands};

fn make_models(data: &Path, out: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/make-models");
    let mut command = Command::new(script);
    command.arg(data).arg(out);
    command.env("TRAIN", env!("CARGO_BIN_EXE_train"));
    let tiny = [
        ("BACKBONE", "none"),
        ("LETTER_RUN", "--epochs 2 --size 64"),
        ("HAND_RUN", "--steps 2 --size 64"),
    ];
    command.envs(tiny);
    command
}

#[test]
fn one_command_makes_both_models_and_goes_on_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = Drawn {
        labels: vec!["A".to_owned(), "B".to_owned()],
        train_signers: ["ann", "bea", "cem", "dov"]
            .map(|name| (name.to_owned(), 4))
            .to_vec(),
        val_signers: vec![("eve".to_owned(), 4)],
        size: 64,
        seed: 3,
    };
    let data = folder.path().join("data");
    write_hands(&data, &drawn).unwrap();
    write_frames(&data, &drawn).unwrap();
    let out = folder.path().join("made");
    make_models(&data, &out).assert().success();
    let asl = out.join("asl.onnx");
    let model = Model::load(&asl).unwrap();
    assert_eq!(model.labels().len(), 3, "two letters and nothing");
    Finder::load(&out.join("hand.onnx")).unwrap();

    // As if it had been stopped before the last file was written.
    let made = fs::read(&asl).unwrap();
    fs::remove_file(&asl).unwrap();
    make_models(&data, &out)
        .assert()
        .success()
        .stderr(contains("hand.onnx is there already"))
        .stderr(contains("asl.onnx (going on from its last checkpoint)"));
    assert!(fs::read(&asl).unwrap() == made, "it is another network");
    make_models(&data, &out)
        .assert()
        .success()
        .stderr(contains("training").not());

    // A finder's run goes on as it began, too.
    fs::remove_file(out.join("hand.onnx")).unwrap();
    make_models(&data, &out)
        .env("HAND_RUN", "--steps 2 --size 96")
        .assert()
        .failure()
        .stderr(contains("hand.checkpoint"))
        .stderr(contains("size: 64, now 96"));
    assert!(!out.join("hand.onnx").exists());
}

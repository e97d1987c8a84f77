//! `scripts/make-models` from drawn data to both models, in a size that takes seconds.
#![cfg(all(feature = "train", feature = "record", unix))]

use std::fs;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use signcam::base::frame::Rect;
use signcam::demo::{Chance, random_scene};
use signcam::model::Model;
use signcam::recognize::finder::Finder;
use signcam::sink::record::{Hurry, Recorder};
use signcam::train::data::drawn::{Drawn, write_frames, write_hands};

/// A clip of drawn hands, and where they are in two of its frames.
fn write_clips(folder: &Path) {
    let (width, height) = (160, 120);
    let clip = folder.join("fay/a.mp4");
    fs::create_dir_all(clip.parent().unwrap()).unwrap();
    let mut recorder = Recorder::start(&clip, width, height, Hurry::None).unwrap();
    let mut boxes = String::from("path,frame,hand,x0,y0,x1,y1\n");
    let mut chance = Chance::seeded(5);
    for at in 0..4 {
        let drawn = random_scene(&mut chance, "A", (width, height)).unwrap();
        let pixels: Vec<u32> = (drawn.picture.pixels.chunks_exact(3))
            .map(|rgb| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]))
            .collect();
        recorder
            .push(&pixels, Duration::from_millis(40 * at))
            .unwrap();
        let Rect { x0, y0, x1, y1 } = drawn.hand;
        if at % 2 == 1 {
            boxes += &format!("fay/a.mp4,{at},0,{x0},{y0},{x1},{y1}\n");
        }
    }
    recorder.finish().unwrap();
    fs::write(folder.join("boxes.csv"), boxes).unwrap();
    let clips = "path,signer,split\nfay/a.mp4,fay,train\n";
    fs::write(folder.join("clips.csv"), clips).unwrap();
}

fn make_models(data: &Path, out: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/make-models");
    let mut command = Command::new(script);
    command.arg(data).arg(data.join("clips")).arg(out);
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
    write_clips(&data.join("clips"));
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

//! Collecting from the command line, where it can be told without a display.
#![cfg(feature = "window")]

mod common;

use common::{RED, colour_model, paint, signcam};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

#[test]
fn names_that_cannot_be_folders_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("pictures");
    for (signer, label) in [("../ada", "A"), ("ada", "A,../B"), ("", "A"), ("ada", "")] {
        let mut command = signcam();
        command.arg("collect").arg(&inside);
        command.args(["--signer", signer, "--label", label]);
        command.assert().code(1).stderr(contains("cannot collect"));
        assert!(!inside.join("..").join("ada").exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_it_says_so_and_where_pictures_would_have_gone() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("hand.png");
    paint(&picture, RED, RED);
    let model = colour_model(folder.path());
    let mut command = signcam();
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command.arg("collect").arg(folder.path().join("mine"));
    command.args(["--signer", "ada", "--source"]).arg(&picture);
    command.arg("--model").arg(&model);
    let assert = command.assert().code(1);
    assert
        .stderr(contains("mine").and(contains("nowhere else")))
        .stderr(contains("cannot open a window"));
}

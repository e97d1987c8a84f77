//! What the tests of `train` share: drawn pictures, and runs on them that take seconds.
//! Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use signcam::train::data::drawn::{Drawn, write_frames, write_hands};

pub fn train() -> Command {
    Command::cargo_bin("train").unwrap()
}

/// Two classes, signed by four people to learn from and one to be judged by.
fn drawn() -> Drawn {
    let signers = |names: &[&str]| names.iter().map(|name| (name.to_string(), 4)).collect();
    Drawn {
        labels: vec!["A".to_owned(), "B".to_owned()],
        train_signers: signers(&["ann", "bea", "cem", "dov"]),
        val_signers: signers(&["eve"]),
        size: 64,
        seed: 3,
    }
}

/// Draws them as pictures of hands.
pub fn draw(folder: &Path) {
    write_hands(folder, &drawn()).unwrap();
}

/// Draws them as pictures of hands and as whole frames.
pub fn draw_with_frames(folder: &Path) {
    draw(folder);
    write_frames(folder, &drawn()).unwrap();
}

/// A run that takes seconds.
pub fn short(data: &Path, out: &Path) -> Command {
    let mut command = train();
    command.arg("--data").arg(data).arg("--out").arg(out);
    command.args(["--backbone", "none", "--size", "32", "--batch", "8"]);
    command.args(["--epochs", "1"]);
    command
}

/// `pets/cat` and `pets/dog`, 20 pictures each, drawn.
pub fn pets(folder: &Path) {
    draw(folder);
    for (label, class) in [("A", "cat"), ("B", "dog")] {
        let into = folder.join("pets").join(class);
        fs::create_dir_all(&into).unwrap();
        for signer in ["ann", "bea", "cem", "dov", "eve"] {
            let from = folder.join("hands").join(signer).join(label);
            for picture in fs::read_dir(from).unwrap() {
                let picture = picture.unwrap().path();
                let name = picture.file_name().unwrap().to_str().unwrap();
                fs::copy(&picture, into.join(format!("{signer}-{name}"))).unwrap();
            }
        }
    }
}

/// Every file under `folder` with its content, sorted.
pub fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

//! Writes the model that reads A from red and B from green into a folder, for `scripts/camera-vm`.

use std::path::Path;

#[path = "../common/mod.rs"]
mod common;

fn main() {
    let folder = std::env::args_os().nth(1).expect("usage: colour-model DIR");
    println!("{}", common::colour_model(Path::new(&folder)).display());
}

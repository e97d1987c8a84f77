//! `signcam`: names fingerspelling letters before a camera.

use std::process::ExitCode;

use clap::Parser;
use signcam::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `signcam`: names fingerspelling letters before a camera.

use std::process::ExitCode;

use clap::Parser;
use signcam::cli::Cli;

fn main() -> ExitCode {
    // Shells of Windows leave it to programs to find what a wildcard means.
    match Cli::parse_from(wild::args_os()).run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

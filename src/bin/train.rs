//! Makes signcam's networks: parse, train, exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use signcam::cli::start_logging;
use signcam::train::options::TrainArgs;
use signcam::train::run;

/// Trains a network that names the letter a hand signs, or the class of any picture.
#[derive(Debug, Parser)]
#[command(name = "train", version)]
struct Cli {
    #[command(flatten)]
    args: TrainArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let options = match cli.args.resolve() {
        Ok(options) => options,
        Err(error) => {
            let usage = clap::Error::raw(ErrorKind::ValueValidation, format!("{error:#}\n"));
            usage.exit();
        }
    };
    match run::run(&options) {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

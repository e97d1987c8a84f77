//! Makes signcam's networks: parse, train, exit code.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser;
use clap::error::ErrorKind;
use signcam::base::interruption::interruption;
use signcam::cli::start_logging;
use signcam::train::cli::{Cli, Command};
use signcam::train::run;
use signcam::train::run::hand::{self, HandArgs};
use signcam::train::run::options::TrainArgs;
use signcam::train::run::origin::Origin;
use signcam::train::run::places::Places;
use signcam::train::run::sequence::{self, SequenceArgs};
use signcam::train::run::steps::Interrupted;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let result = match (cli.command, cli.args) {
        (Some(Command::Hand(args)), _) => train_finder(&args),
        (Some(Command::Sequence(args)), _) => train_sequences(&args),
        (None, Some(args)) => train_letters(args),
        (None, None) => {
            let message = "--data <DIR|FILE.csv> is needed\n";
            clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit();
        }
    };
    match result {
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

/// What resumes this run, as it was called: in a line for a shell.
fn resuming(network: &Path) -> String {
    let mut words: Vec<String> = std::env::args_os()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect();
    let has = |words: &[String], option: &str| {
        let with_value = format!("{option}=");
        (words.iter()).any(|word| word == option || word.starts_with(&with_value))
    };
    if !has(&words, "--out") {
        words.extend(["--out".to_owned(), quoted(&network.to_string_lossy())]);
    }
    if !has(&words, "--resume") {
        words.push("--resume".to_owned());
    }
    words.join(" ")
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=,:@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn train_letters(args: TrainArgs) -> Result<String> {
    let origin = args.from.as_deref().map(Origin::read).transpose()?;
    let options = args.resolve(origin.as_ref()).unwrap_or_else(|error| {
        let usage = clap::Error::raw(ErrorKind::ValueValidation, format!("{error:#}\n"));
        usage.exit();
    });
    let interrupted = interruption()?;
    let result = run::run(&options, origin.as_ref(), &interrupted);
    with_way_on(result, &options.places)
}

fn train_finder(args: &HandArgs) -> Result<String> {
    let places = args.run.places(hand::NAME)?;
    let interrupted = interruption()?;
    with_way_on(hand::run(args, &places, &interrupted), &places)
}

fn train_sequences(args: &SequenceArgs) -> Result<String> {
    let places = args.run.places(sequence::NAME)?;
    let interrupted = interruption()?;
    with_way_on(sequence::run(args, &places, &interrupted), &places)
}

/// An interrupted run's error with the line that goes on from there.
fn with_way_on(result: Result<String>, places: &Places) -> Result<String> {
    result.map_err(|error| match error.downcast_ref::<Interrupted>() {
        Some(interrupted) if interrupted.checkpoint.is_some() => {
            let line = resuming(&places.network);
            anyhow!("{interrupted}. To go on:\n    {line}")
        }
        _ => error,
    })
}

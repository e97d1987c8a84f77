//! The command line: what the programs can be asked, and which code answers.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::base::interruption::interruption;
use crate::base::terminal;
use crate::commands::Answer;
use crate::commands::bench::{BenchArgs, bench};
#[cfg(feature = "camera")]
use crate::commands::cameras::{CamerasArgs, cameras};
#[cfg(feature = "window")]
use crate::commands::collect::{CollectArgs, collect};
use crate::commands::eval::{EvalArgs, eval};
#[cfg(all(feature = "camera", feature = "window"))]
use crate::commands::latency::{LatencyArgs, latency};
use crate::commands::predict::{PredictArgs, predict};
#[cfg(feature = "record")]
use crate::commands::render::{RenderArgs, render};
use crate::commands::watch::{WatchArgs, watch};

/// Names the American Sign Language fingerspelling letters that somebody signs before a camera.
///
/// Without a command it opens the first camera that works and shows its picture with the letter
/// on it. Press h in the window for the keys, q or Esc to quit.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of watching live.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to watch live.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Everything but watching live.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List cameras with their formats, and which would be chosen.
    #[cfg(feature = "camera")]
    Cameras(CamerasArgs),
    /// Print every letter's probability for pictures.
    Predict(PredictArgs),
    /// Measure how many letters of a labelled folder are read right, signer by signer.
    Eval(EvalArgs),
    /// Put the letters on an existing video, every frame, as fast as it goes.
    #[cfg(feature = "record")]
    Render(RenderArgs),
    /// Measure what each stage takes: percentiles, rates and losses, without a window.
    Bench(BenchArgs),
    /// Take labelled pictures of your own signs, for training: hold a hand up and a key down.
    #[cfg(feature = "window")]
    Collect(CollectArgs),
    /// Measure from glass to glass: the window blinks, and the camera watches it.
    #[cfg(all(feature = "camera", feature = "window"))]
    Latency(LatencyArgs),
}

impl Cli {
    /// Does what was asked for. Logs go to stderr, as `SIGNCAM_LOG` says (`warn` without it).
    ///
    /// # Errors
    /// What went wrong, with what was tried and what to do next.
    pub fn run(self) -> Result<()> {
        start_logging();
        match self.command {
            #[cfg(feature = "camera")]
            Some(Command::Cameras(args)) => print(&cameras(&args)?),
            Some(Command::Predict(args)) => answer(&predict(&args)?),
            Some(Command::Eval(args)) => answer(&eval(&args)?),
            #[cfg(feature = "record")]
            Some(Command::Render(args)) => render(&args, &*interruption()?),
            Some(Command::Bench(args)) => print(&bench(&args, interruption()?)?),
            #[cfg(feature = "window")]
            Some(Command::Collect(args)) => collect(&args, interruption()?),
            #[cfg(all(feature = "camera", feature = "window"))]
            Some(Command::Latency(args)) => print(&latency(&args, &*interruption()?)?),
            None => watch(&self.watch),
        }
    }
}

/// Prints an answer; one that lacks something is a failure all the same.
fn answer(answer: &Answer) -> Result<()> {
    print(&answer.text)?;
    ensure!(
        answer.failed == 0,
        "{} of {} pictures cannot be read",
        answer.failed,
        answer.all
    );
    Ok(())
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to the standard output"),
    }
}

/// Starts logging to stderr, as `SIGNCAM_LOG` says: a level for everything, or levels for modules,
/// as in `warn,signcam::source=debug`. Without it, warnings and errors.
pub fn start_logging() {
    let wanted = std::env::var("SIGNCAM_LOG").ok();
    let filter: Option<Targets> = wanted.as_deref().and_then(|wanted| wanted.parse().ok());
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(terminal::takes_sequences() && !plain);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN)))
        .init();
}

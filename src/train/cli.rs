//! The trainer's command line.

use clap::{Parser, Subcommand};

use super::run::hand::HandArgs;
use super::run::options::TrainArgs;
use super::run::sequence::SequenceArgs;

/// Trains a network that names the letter a hand signs, or the class of any picture.
#[derive(Debug, Parser)]
#[command(
    name = "train",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// What to train instead of a letter network.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to train a letter network.
    #[command(flatten)]
    pub args: Option<TrainArgs>,
}

/// Everything but training a letter network.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the network that finds the hand in a whole frame.
    Hand(HandArgs),
    /// Train the network that reads sequences: letters that are held, passed or drawn.
    Sequence(SequenceArgs),
}

//! Writes what packages bring beside the programs: completions for shells, and manual pages, made
//! from the command line itself.
//!
//!     cargo run --release --features train --example shell-files -- DIR
//!
//! makes `DIR/completions` and `DIR/man`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory, Parser};
use clap_complete::{Shell, generate_to};

/// Writes completions for shells, and manual pages.
#[derive(Parser)]
struct Options {
    /// The folder to write to; what is there under the same names is replaced.
    out: PathBuf,
}

fn main() -> Result<()> {
    let Options { out } = Options::parse();
    write(signcam::cli::Cli::command(), &out)?;
    write(signcam::train::cli::Cli::command(), &out)
}

fn write(command: Command, out: &Path) -> Result<()> {
    let (completions, manual) = (out.join("completions"), out.join("man"));
    let name = command.get_name().to_owned();
    for folder in [&completions, &manual] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    for shell in [Shell::Bash, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        generate_to(shell, &mut command.clone(), &name, &completions)
            .with_context(|| format!("cannot write {shell}'s completions of {name}"))?;
    }
    clap_mangen::generate_to(command, &manual)
        .with_context(|| format!("cannot write the manual pages of {name}"))
}

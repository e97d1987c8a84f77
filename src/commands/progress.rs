//! Tells on stderr how far a command is.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::base::terminal;

/// How often the progress is told: on a terminal, and in a file.
const TOLD_EVERY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];

/// Parts of the bar that a terminal shows.
const BAR: u64 = 24;

/// How far a command is, and how fast it goes.
#[derive(Debug)]
pub struct Progress {
    total: Option<u64>,
    /// What is counted, in the plural.
    what: &'static str,
    done: u64,
    began: Instant,
    told: Option<Instant>,
    /// On a terminal one line is written over and over.
    terminal: bool,
}

impl Progress {
    /// Counts to `total`, where that is known; `what` is counted, in the plural.
    pub fn new(total: Option<u64>, what: &'static str) -> Progress {
        Progress {
            total,
            what,
            done: 0,
            began: Instant::now(),
            told: None,
            terminal: terminal::takes_sequences(),
        }
    }

    /// One more is done; `detail` says something of it, where it is time to tell.
    pub fn tell(&mut self, detail: impl FnOnce() -> String) {
        self.done += 1;
        let every = TOLD_EVERY[usize::from(!self.terminal)];
        if self.told.unwrap_or(self.began).elapsed() < every {
            return;
        }
        self.told = Some(Instant::now());
        let line = self.line(&detail());
        let mut stderr = std::io::stderr().lock();
        // Nobody is told where stderr is closed, and the work goes on.
        let _ = match self.terminal {
            true => write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush()),
            false => writeln!(stderr, "{line}"),
        };
    }

    fn line(&self, detail: &str) -> String {
        let (done, what) = (self.done, self.what);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        let rate = match rate < 10.0 {
            true => format!("{rate:.1}"),
            false => format!("{rate:.0}"),
        };
        match self.total {
            Some(total) => {
                let full = (done * BAR / total.max(1)).min(BAR) as usize;
                let bar = "█".repeat(full) + &"░".repeat(BAR as usize - full);
                format!("{bar} {done} of {total} {what}, {rate} a second, {detail}")
            }
            None => format!("{done} {what}, {rate} a second, {detail}"),
        }
    }

    /// Leaves the line behind.
    pub fn end(&self) {
        if self.terminal && self.told.is_some() {
            eprintln!();
        }
    }
}

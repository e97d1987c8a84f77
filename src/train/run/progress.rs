//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::fit::{Epoch, Progress};

/// Without a terminal, a line is written this often.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Shows progress on stderr.
#[derive(Debug)]
pub struct Steps {
    shown: Shown,
    started: Instant,
    /// Steps that were done before this run went on from them.
    before: Option<usize>,
    /// What is learned from.
    examples: &'static str,
    /// How many so far.
    seen: usize,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Steps {
    /// A bar if stderr is a terminal, else lines; `examples` names what is learned from.
    pub fn new(examples: &'static str) -> Steps {
        let now = Instant::now();
        Steps {
            shown: if std::io::stderr().is_terminal() {
                Shown::Bar(bar())
            } else {
                Shown::Lines { last: now }
            },
            started: now,
            before: None,
            examples,
            seen: 0,
        }
    }

    fn show(&mut self, done: usize, steps: usize, figures: &str) {
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_length(steps as u64);
                bar.set_position(done as u64);
                bar.set_message(figures.to_string());
            }
            Shown::Lines { last } => {
                if last.elapsed() >= LINE_EVERY || done == steps {
                    *last = Instant::now();
                    say(&format!("step {done}/{steps}, {figures}"));
                }
            }
        }
    }
}

impl Progress for Steps {
    fn step(&mut self, done: usize, steps: usize, images: usize, loss: f64) {
        let before = *self.before.get_or_insert(done.saturating_sub(1));
        self.seen += images;
        let seen = (self.seen, self.examples);
        let elapsed = self.started.elapsed();
        let figures = figures(done - before, steps - before, seen, elapsed, loss);
        self.show(done, steps, &figures);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let line = epoch_line(epoch);
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| say(&line)),
            Shown::Lines { .. } => say(&line),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// A bar without colours, which some terminals and `NO_COLOR` have no use for.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(0).with_style(style)
}

/// Speed, loss and time left after `done` of `steps` steps and so many examples in `elapsed`.
fn figures(
    done: usize,
    steps: usize,
    (seen, examples): (usize, &str),
    elapsed: Duration,
    loss: f64,
) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let left = seconds / done.max(1) as f64 * steps.saturating_sub(done) as f64;
    let left = Duration::from_secs_f64(left.min(1e9));
    format!(
        "{:.1} {examples}/s, loss {loss:.3}, {} left",
        seen as f64 / seconds,
        HumanDuration(left)
    )
}

fn epoch_line(epoch: &Epoch) -> String {
    let mut line = format!(
        "epoch {}: loss {:.3}, accuracy {:.1} %",
        epoch.epoch,
        epoch.train_loss,
        epoch.train_accuracy * 100.0
    );
    if let Some(val) = &epoch.val {
        line += &format!(
            "; validation loss {:.3}, accuracy {:.1} %",
            val.loss,
            val.accuracy * 100.0
        );
    }
    line + &format!("; {:.1} images/s", epoch.images_per_second)
}

/// Writes a line to stderr; nobody being there to read it is no reason to stop training.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::run::fit::Validation;

    #[test]
    fn time_left_is_what_the_remaining_steps_take_at_this_speed() {
        let line = figures(100, 400, (3200, "images"), Duration::from_secs(60), 1.5);
        assert_eq!(line, "53.3 images/s, loss 1.500, 3 minutes left");
    }

    #[test]
    fn an_epochs_line_has_validation_only_where_there_was_one() {
        let mut epoch = Epoch {
            epoch: 2,
            train_loss: 1.0,
            train_accuracy: 0.625,
            val: None,
            images_per_second: 40.0,
        };
        assert_eq!(
            epoch_line(&epoch),
            "epoch 2: loss 1.000, accuracy 62.5 %; 40.0 images/s"
        );
        epoch.val = Some(Validation {
            loss: 0.5,
            accuracy: 0.9,
        });
        assert!(epoch_line(&epoch).contains("validation loss 0.500, accuracy 90.0 %"));
    }
}

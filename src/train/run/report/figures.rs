//! How well pictures are read: by signer, by class, and what is taken for what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::model::is_letter;
use crate::overlay::Mistaken;

/// One picture, what it shows and what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Who signs, where that is known.
    pub signer: Option<Arc<str>>,
    /// The class it shows.
    pub class: usize,
    /// The most probable class.
    pub read: usize,
}

/// Accuracies of a set of pictures, as shares in 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The classes, in order.
    pub labels: Vec<String>,
    /// Pictures.
    pub pictures: usize,
    /// Share of pictures read right.
    pub accuracy: f64,
    /// Mean over signers of the 24 letters that are held still; `None` where the labels are no
    /// letters.
    pub static24_mean: Option<f64>,
    /// The signer who is read worst of those.
    pub static24_worst: Option<f64>,
    /// Mean over signers of all 26 letters.
    pub all26_mean: Option<f64>,
    /// The signer who is read worst of those.
    pub all26_worst: Option<f64>,
    /// Each signer on their own; empty where no signer is known.
    pub signers: BTreeMap<String, SignerFigures>,
    /// Share of each class's pictures read right, by label; classes without pictures are left out.
    pub classes: BTreeMap<String, f64>,
    /// `confusion[shown][read]`: pictures.
    pub confusion: Vec<Vec<usize>>,
}

/// Accuracies of one signer's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SignerFigures {
    /// Pictures.
    pub pictures: usize,
    /// Share of pictures read right, those of no letter included.
    pub accuracy: f64,
    /// Of the 24 letters that are held still.
    pub static24: Option<f64>,
    /// Of all 26 letters.
    pub all26: Option<f64>,
}

/// Right readings of some pictures.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    right: usize,
    all: usize,
}

impl Tally {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }

    fn share(self) -> Option<f64> {
        (self.all > 0).then(|| self.right as f64 / self.all as f64)
    }
}

/// One signer's tallies.
#[derive(Debug, Clone, Copy, Default)]
struct OfSigner {
    all: Tally,
    static24: Tally,
    all26: Tally,
}

impl Figures {
    /// Counts `readings`. Those of several runs, as of folds, are counted together by chaining
    /// them. A reading with a class that `labels` does not have is left out.
    pub fn of(labels: &[String], readings: impl IntoIterator<Item = Reading>) -> Figures {
        let mut confusion = vec![vec![0; labels.len()]; labels.len()];
        let mut signers: BTreeMap<Option<Arc<str>>, OfSigner> = BTreeMap::new();
        let mut total = Tally::default();
        for Reading {
            signer,
            class,
            read,
        } in readings
        {
            let cell = confusion.get_mut(class).and_then(|row| row.get_mut(read));
            let (Some(cell), Some(label)) = (cell, labels.get(class)) else {
                continue;
            };
            *cell += 1;
            let right = class == read;
            total.add(right);
            let of_signer = signers.entry(signer).or_default();
            of_signer.all.add(right);
            if is_letter(label) {
                of_signer.all26.add(right);
                if !is_movement(label) {
                    of_signer.static24.add(right);
                }
            }
        }
        let [static24, all26] = [|of: &OfSigner| of.static24, |of: &OfSigner| of.all26]
            .map(|tally| MeanAndWorst::of(signers.values().filter_map(|of| tally(of).share())));
        Figures {
            labels: labels.to_vec(),
            pictures: total.all,
            accuracy: total.share().unwrap_or(0.0),
            static24_mean: static24.map(|both| both.mean),
            static24_worst: static24.map(|both| both.worst),
            all26_mean: all26.map(|both| both.mean),
            all26_worst: all26.map(|both| both.worst),
            signers: signers
                .into_iter()
                .filter_map(|(signer, of)| Some((signer?.to_string(), of.figures())))
                .collect(),
            classes: labels
                .iter()
                .zip(&confusion)
                .enumerate()
                .filter_map(|(class, (label, row))| {
                    let tally = Tally {
                        right: row[class],
                        all: row.iter().sum(),
                    };
                    Some((label.clone(), tally.share()?))
                })
                .collect(),
            confusion,
        }
    }

    /// The pairs of classes that are taken for each other, those of most pictures first.
    pub fn confusions(&self) -> Vec<Mistaken<'_>> {
        let mut pairs = Vec::new();
        for (shown, row) in self.labels.iter().zip(&self.confusion) {
            let of = row.iter().sum();
            for (read, &count) in self.labels.iter().zip(row) {
                if shown != read && count > 0 {
                    pairs.push(Mistaken {
                        shown,
                        read,
                        count,
                        of,
                    });
                }
            }
        }
        pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.count), pair.shown, pair.read));
        pairs
    }
}

impl OfSigner {
    fn figures(self) -> SignerFigures {
        SignerFigures {
            pictures: self.all.all,
            accuracy: self.all.share().unwrap_or(0.0),
            static24: self.static24.share(),
            all26: self.all26.share(),
        }
    }
}

/// Of signers.
#[derive(Debug, Clone, Copy)]
struct MeanAndWorst {
    mean: f64,
    worst: f64,
}

impl MeanAndWorst {
    /// `None` of no signers.
    fn of(shares: impl Iterator<Item = f64>) -> Option<MeanAndWorst> {
        let (mut sum, mut count, mut worst) = (0.0, 0.0, f64::INFINITY);
        for share in shares {
            sum += share;
            count += 1.0;
            worst = worst.min(share);
        }
        (count > 0.0).then(|| MeanAndWorst {
            mean: sum / count,
            worst,
        })
    }
}

/// Whether a letter is signed by moving, so that a still picture does not show it.
fn is_movement(label: &str) -> bool {
    matches!(label, "J" | "Z")
}

/// A table of the signers, worst first, with their mean.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = self.static24_mean.is_some();
        let percent = |share: Option<f64>| match share {
            Some(share) => format!("{:.1}", share * 100.0),
            None => "-".to_string(),
        };
        if !self.signers.is_empty() {
            let name_width = self.signers.keys().map(|name| name.chars().count()).max();
            let width = name_width.unwrap_or(0).max("signer".len());
            write!(f, "{:width$}  pictures  accuracy", "signer")?;
            if letters {
                write!(f, "  24 letters  26 letters")?;
            }
            writeln!(f)?;
            let mut signers: Vec<_> = self.signers.iter().collect();
            signers.sort_by(|(_, a), (_, b)| {
                let key = |of: &SignerFigures| of.static24.unwrap_or(of.accuracy);
                key(a).total_cmp(&key(b))
            });
            for (name, of) in signers {
                write!(
                    f,
                    "{name:width$}  {:>8}  {:>8}",
                    of.pictures,
                    percent(Some(of.accuracy))
                )?;
                if letters {
                    write!(
                        f,
                        "  {:>10}  {:>10}",
                        percent(of.static24),
                        percent(of.all26)
                    )?;
                }
                writeln!(f)?;
            }
        }
        writeln!(
            f,
            "{} pictures, accuracy {} %",
            self.pictures,
            percent(Some(self.accuracy))
        )?;
        if letters {
            writeln!(
                f,
                "24 letters: mean over signers {} %, worst {} %; 26 letters: mean {} %, worst {} %",
                percent(self.static24_mean),
                percent(self.static24_worst),
                percent(self.all26_mean),
                percent(self.all26_worst)
            )?;
        }
        let confusions = self.confusions();
        if !confusions.is_empty() {
            let most: Vec<String> = confusions
                .iter()
                .take(8)
                .map(|pair| format!("{} as {} ({})", pair.shown, pair.read, pair.count))
                .collect();
            writeln!(f, "most often misread: {}", most.join(", "))?;
        }
        Ok(())
    }
}

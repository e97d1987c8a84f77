//! Leave-signers-out evaluation: each signer is judged by a network that never saw them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::parts::{Dataset, Sample, Scene, Split};

impl Dataset {
    /// Deals the signers of the training split into `count` folds of like size and gives, for each
    /// fold, a dataset that validates on that fold's signers and trains on all others. The
    /// validation split's own signers are in none of them.
    ///
    /// # Errors
    /// When there are fewer than two folds, fewer signers than folds, or a picture without a
    /// signer.
    pub fn folds(&self, count: usize) -> Result<Vec<Dataset>> {
        ensure!(count >= 2, "leaving signers out takes at least two folds");
        let mut sizes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for sample in self.samples.iter().filter(|s| s.split == Split::Train) {
            let Some(signer) = &sample.signer else {
                anyhow::bail!(
                    "{} names no signer: folds by signer need a CSV that does",
                    sample.path.display()
                );
            };
            *sizes.entry(Arc::clone(signer)).or_default() += 1;
        }
        ensure!(
            sizes.len() >= count,
            "{count} folds need as many signers, and there are {}",
            sizes.len()
        );

        // The largest first, each to the fold that is smallest so far.
        let mut signers: Vec<(Arc<str>, usize)> = sizes.into_iter().collect();
        signers.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut filled = vec![0; count];
        let mut fold_of: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for (signer, pictures) in signers {
            let smallest = (0..count).min_by_key(|&fold| filled[fold]).unwrap_or(0);
            filled[smallest] += pictures;
            fold_of.insert(signer, smallest);
        }
        Ok((0..count)
            .map(|fold| self.leave_out(&fold_of, fold))
            .collect())
    }

    fn leave_out(&self, fold_of: &BTreeMap<Arc<str>, usize>, fold: usize) -> Dataset {
        let split_of = |signer: &Option<Arc<str>>| {
            let held = signer.as_ref().and_then(|signer| fold_of.get(signer));
            if held == Some(&fold) {
                Split::Val
            } else {
                Split::Train
            }
        };
        let samples = self.samples.iter().filter(|s| s.split == Split::Train);
        let scenes = self.scenes.iter().filter(|s| s.split == Split::Train);
        Dataset {
            labels: self.labels.clone(),
            samples: samples
                .map(|sample| Sample {
                    split: split_of(&sample.signer),
                    ..sample.clone()
                })
                .collect(),
            scenes: scenes
                .map(|scene| Scene {
                    split: split_of(&scene.signer),
                    ..scene.clone()
                })
                .collect(),
            held_back: false,
        }
    }
}

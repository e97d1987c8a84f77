//! Which picture comes when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::train::data::dataset::{Dataset, Split};

/// How often each signer's pictures are seen. Pictures of one signer are near-copies: a signer
/// counts, not a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// Every picture once an epoch, in random order.
    Pictures,
    /// A signer as often as the square root of their pictures' number; each of a signer's classes
    /// equally often.
    Root,
    /// Every signer equally often; each of a signer's classes equally often.
    Signers,
}

/// How many of the training crops show no letter, beside the pictures of that class that the
/// balance brings; only where the data has such a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NothingShares {
    /// Share of crops that are surroundings of hands, or drawn rooms.
    pub surroundings: f32,
    /// Share of the other crops that are hands which sign nothing. Few signers have such pictures:
    /// left to the balance, they would hardly be seen.
    pub gestures: f32,
}

/// What to make a crop of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// A sample, by its index.
    Sample(usize),
    /// The surroundings of the hand in a scene, by its index; the second is the class.
    Scene(usize, usize),
    /// A drawn room; with its class.
    Room(usize),
}

/// Of the surroundings, this share is drawn and the rest cut from frames.
const DRAWN: f32 = 0.2;

/// Where a crop gets a new background, this share of those is drawn.
const DRAWN_BACKDROP: f32 = 0.35;

/// Decides which picture crop number `at` of a run shows.
#[derive(Debug)]
pub(super) struct Sampler {
    seed: u64,
    /// Training samples.
    train: Vec<usize>,
    /// Training scenes.
    scenes: Vec<usize>,
    /// Share of crops that are surroundings, and their class.
    surroundings: Option<(f32, usize)>,
    /// Share of crops that are hands which sign nothing, and those samples.
    gestures: Option<(f32, Vec<usize>)>,
    /// Signers with a running sum of their weights, or `None` for every picture once an epoch.
    signers: Option<Vec<Signer>>,
    /// The order of the epoch last asked for.
    epoch: Mutex<Option<(u64, Arc<Vec<usize>>)>>,
}

#[derive(Debug)]
struct Signer {
    /// The sum of the weights up to and including this signer's.
    up_to: f64,
    /// The signer's samples by class.
    classes: Vec<Vec<usize>>,
}

impl Sampler {
    pub fn new(
        dataset: &Dataset,
        balance: Balance,
        shares: NothingShares,
        seed: u64,
    ) -> Result<Sampler> {
        let NothingShares {
            surroundings,
            gestures,
        } = shares;
        ensure!(
            surroundings >= 0.0 && gestures >= 0.0 && surroundings + gestures < 1.0,
            "the shares of surroundings and gestures must leave some for letters, not be \
             {surroundings} and {gestures}"
        );
        let train = dataset.of_split(Split::Train);
        ensure!(!train.is_empty(), "there is no training picture");
        let scenes = (0..dataset.scenes.len())
            .filter(|&at| dataset.scenes[at].split == Split::Train)
            .collect();
        let signers = match balance {
            Balance::Pictures => None,
            Balance::Root => Some(signers(dataset, &train, |pictures| pictures.sqrt())),
            Balance::Signers => Some(signers(dataset, &train, |_| 1.0)),
        };
        let surroundings = dataset
            .nothing()
            .filter(|_| surroundings > 0.0)
            .map(|class| (surroundings, class));
        let signing_nothing = |&at: &usize| Some(dataset.samples[at].class) == dataset.nothing();
        let gestures = Some((
            gestures,
            train.iter().copied().filter(signing_nothing).collect(),
        ))
        .filter(|(share, samples): &(f32, Vec<usize>)| *share > 0.0 && !samples.is_empty());
        Ok(Sampler {
            seed,
            train,
            scenes,
            surroundings,
            gestures,
            signers,
            epoch: Mutex::new(None),
        })
    }

    /// Training pictures.
    pub fn len(&self) -> usize {
        self.train.len()
    }

    /// What crop `at` of the run shows, counted from 0 over all epochs.
    pub fn pick(&self, at: u64) -> Pick {
        let mut rng = self.seeded(at, *b"which of signers");
        if let Some((share, nothing)) = self.surroundings
            && rng.random::<f32>() < share
        {
            return match self.scenes.is_empty() || rng.random::<f32>() < DRAWN {
                true => Pick::Room(nothing),
                false => Pick::Scene(self.scenes[rng.random_range(0..self.scenes.len())], nothing),
            };
        }
        if let Some((share, samples)) = &self.gestures
            && rng.random::<f32>() < *share
        {
            return Pick::Sample(samples[rng.random_range(0..samples.len())]);
        }
        Pick::Sample(match &self.signers {
            Some(signers) => pick_balanced(signers, &mut rng).unwrap_or(self.train[0]),
            None => {
                let count = self.train.len() as u64;
                self.order(at / count)[(at % count) as usize]
            }
        })
    }

    /// A training scene to put behind a hand; `None` for a drawn room.
    pub fn backdrop(&self, rng: &mut StdRng) -> Option<usize> {
        let drawn = rng.random::<f32>() < DRAWN_BACKDROP;
        (!drawn && !self.scenes.is_empty())
            .then(|| self.scenes[rng.random_range(0..self.scenes.len())])
    }

    /// The training samples in one random order.
    pub fn fixed_order(&self) -> Arc<Vec<usize>> {
        self.order(0)
    }

    /// The training samples in the order of `epoch`.
    fn order(&self, epoch: u64) -> Arc<Vec<usize>> {
        let mut kept = self.epoch.lock().unwrap_or_else(|held| held.into_inner());
        if let Some((of, order)) = kept.as_ref()
            && *of == epoch
        {
            return Arc::clone(order);
        }
        let mut order = self.train.clone();
        order.shuffle(&mut self.seeded(epoch, *b"order in epochs "));
        let order = Arc::new(order);
        *kept = Some((epoch, Arc::clone(&order)));
        order
    }

    fn seeded(&self, at: u64, purpose: [u8; 16]) -> StdRng {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&at.to_le_bytes());
        bytes[16..].copy_from_slice(&purpose);
        StdRng::from_seed(bytes)
    }
}

fn signers(dataset: &Dataset, train: &[usize], weight: impl Fn(f64) -> f64) -> Vec<Signer> {
    let mut by_signer: BTreeMap<Option<&str>, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    for &at in train {
        let sample = &dataset.samples[at];
        let classes = by_signer.entry(sample.signer.as_deref()).or_default();
        classes.entry(sample.class).or_default().push(at);
    }
    let mut up_to = 0.0;
    by_signer
        .into_values()
        .map(|classes| {
            let pictures: usize = classes.values().map(Vec::len).sum();
            up_to += weight(pictures as f64);
            Signer {
                up_to,
                classes: classes.into_values().collect(),
            }
        })
        .collect()
}

/// A signer by weight, a class of theirs, a picture of that class.
fn pick_balanced(signers: &[Signer], rng: &mut StdRng) -> Option<usize> {
    let total = signers.last()?.up_to;
    let drawn = rng.random::<f64>() * total;
    let at = signers.partition_point(|signer| signer.up_to <= drawn);
    let signer = signers.get(at).or(signers.last())?;
    let class = signer
        .classes
        .get(rng.random_range(0..signer.classes.len()))?;
    class.get(rng.random_range(0..class.len())).copied()
}

//! Batches of crops, made ahead by threads; a step's batch depends on the seed and the step only,
//! so that a resumed run sees the very batches that an unbroken one would have seen.

pub(super) mod negatives;
mod sampler;

use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::augment::{Augmenter, Backdrop, CropPoints, Recipe, Subject};
use super::batches::Batches;
use super::dataset::{Dataset, Split};
use super::store::{Kept, PictureFile, PictureStore};
use crate::base::frame::{Rect, Square};
use crate::model::Reads;

pub use sampler::{Balance, NothingShares};
use sampler::{Pick, Sampler};

/// How crops are made of samples and put into batches.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Crops in a batch.
    pub batch: usize,
    /// The crops' side, in pixels.
    pub size: usize,
    /// What of a picture is read.
    pub reads: Reads,
    /// The crop's side as a multiple of the hand box's larger side.
    pub crop_scale: f32,
    /// How training crops are varied.
    pub recipe: Recipe,
    /// How often each signer's pictures are seen.
    pub balance: Balance,
    /// Decides every random choice.
    pub seed: u64,
    /// How many of the training crops show no letter.
    pub nothing: NothingShares,
    /// Threads that make crops, apart from those that train.
    pub threads: usize,
}

/// Crops with what they show.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The step it is for; for validation, its number.
    pub step: u64,
    /// Crops in it.
    pub len: usize,
    /// The crops' side, in pixels.
    pub size: usize,
    /// `[len, size, size, 3]` bytes: R, G, B.
    pub images: Vec<u8>,
    /// Each crop's class.
    pub targets: Vec<i32>,
    /// Each crop's sample, as an index into [`Dataset::samples`]; `None` for surroundings and what is
    /// drawn.
    pub samples: Vec<Option<usize>>,
    /// Each crop's joints, where they are known.
    pub points: Vec<Option<CropPoints>>,
}

/// Makes batches of a dataset.
#[derive(Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    pictures: Arc<PictureStore>,
    options: LoaderOptions,
    sampler: Sampler,
    val: Vec<usize>,
    threads: ThreadPool,
    /// Those that vary and are not at work, with their buffers.
    idle: Mutex<Vec<Augmenters>>,
}

/// How a batch's crops are varied.
#[derive(Debug, Clone, Copy)]
enum Varied {
    /// Training: by the recipe.
    Yes,
    /// Validation: as live.
    No,
}

/// Those that make crops, with their buffers.
#[derive(Debug)]
struct Augmenters {
    samples: Augmenter,
    surroundings: Augmenter,
}

impl Loader {
    /// A loader of `dataset`, whose pictures `pictures` holds (see [`store`]).
    ///
    /// # Errors
    /// When the options make no batch: an empty batch, a crop without pixels, a store of other
    /// pictures.
    pub fn new(
        dataset: Arc<Dataset>,
        pictures: Arc<PictureStore>,
        options: LoaderOptions,
    ) -> Result<Loader> {
        ensure!(options.batch > 0, "a batch needs at least one picture");
        ensure!(options.size > 0, "a crop needs at least one pixel");
        ensure!(
            pictures.len() == dataset.samples.len() + dataset.scenes.len(),
            "the pictures in memory are not those of the dataset"
        );
        let sampler = Sampler::new(&dataset, options.balance, options.nothing, options.seed)?;
        let val = dataset.of_split(Split::Val);
        let threads = ThreadPoolBuilder::new()
            .num_threads(options.threads.max(1))
            .thread_name(|at| format!("crops-{at}"))
            .build()
            .context("cannot start the threads that make crops")?;
        Ok(Loader {
            dataset,
            pictures,
            options,
            sampler,
            val,
            threads,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Steps that see as many crops as there are training pictures, the last step full too.
    pub fn steps_per_epoch(&self) -> u64 {
        let train = self.sampler.len() as u64;
        train.div_ceil(self.options.batch as u64)
    }

    /// The options it was made with.
    pub fn options(&self) -> &LoaderOptions {
        &self.options
    }

    /// The training batch of `step`, counted from 0 over all epochs.
    ///
    /// # Errors
    /// When a picture cannot be decoded or cropped; the error names it.
    pub fn batch(&self, step: u64) -> Result<Batch> {
        let first = step * self.options.batch as u64;
        let picks: Vec<(u64, Pick)> = (first..first + self.options.batch as u64)
            .map(|at| (at, self.sampler.pick(at)))
            .collect();
        self.make(step, &picks, Varied::Yes)
    }

    /// Validation pictures.
    pub fn val_len(&self) -> usize {
        self.val.len()
    }

    /// Validation batches, the last one being what is left.
    pub fn val_batches(&self) -> u64 {
        self.val.len().div_ceil(self.options.batch) as u64
    }

    /// Validation batch `number`, from 0: always the same pictures in the dataset's order, without
    /// variation.
    ///
    /// # Errors
    /// When there is no such batch, or a picture cannot be decoded or cropped.
    pub fn val_batch(&self, number: u64) -> Result<Batch> {
        let of_val = self.val.chunks(self.options.batch).nth(number as usize);
        let picks: Vec<(u64, Pick)> = of_val
            .with_context(|| format!("there is no validation batch {number}"))?
            .iter()
            .map(|&sample| (0, Pick::Sample(sample)))
            .collect();
        self.make(number, &picks, Varied::No)
    }

    /// The training samples as they are seen live, without variation: batch `number` of them,
    /// from 0, in a fixed shuffled order; for calibration and frozen features. `None` beyond the
    /// last.
    ///
    /// # Errors
    /// When a picture cannot be decoded or cropped.
    pub fn plain_batch(&self, number: u64) -> Result<Option<Batch>> {
        let order = self.sampler.fixed_order();
        let Some(part) = order.chunks(self.options.batch).nth(number as usize) else {
            return Ok(None);
        };
        let picks: Vec<(u64, Pick)> = part
            .iter()
            .map(|&sample| (0, Pick::Sample(sample)))
            .collect();
        self.make(number, &picks, Varied::No).map(Some)
    }

    /// Makes the batches of the steps `from..to` on a thread of its own, at most `ahead` of them
    /// before they are asked for.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn stream(self: &Arc<Self>, from: u64, to: u64, ahead: usize) -> Result<Batches<Batch>> {
        let loader = Arc::clone(self);
        Batches::start(from, to, ahead, move |step| loader.batch(step))
    }

    /// Makes the validation batches on a thread of its own, at most `ahead` of them before they
    /// are asked for.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn stream_val(self: &Arc<Self>, ahead: usize) -> Result<Batches<Batch>> {
        let loader = Arc::clone(self);
        Batches::start(0, self.val_batches(), ahead, move |at| loader.val_batch(at))
    }

    fn make(&self, step: u64, picks: &[(u64, Pick)], varied: Varied) -> Result<Batch> {
        let size = self.options.size;
        let bytes = size * size * 3;
        let mut images = vec![0; picks.len() * bytes];
        let made: Vec<Result<Made>> = self.threads.install(|| {
            images
                .par_chunks_exact_mut(bytes)
                .zip(picks)
                .map(|(image, &(at, pick))| {
                    let mut augmenters = self.augmenters(varied);
                    let mut rng = seeded(self.options.seed, at);
                    let made = self.make_one(pick, &mut augmenters, &mut rng, image);
                    if let Varied::Yes = varied {
                        self.idle().push(augmenters);
                    }
                    made
                })
                .collect()
        });
        let mut batch = Batch {
            step,
            len: picks.len(),
            size,
            images,
            targets: Vec::with_capacity(picks.len()),
            samples: Vec::with_capacity(picks.len()),
            points: Vec::with_capacity(picks.len()),
        };
        for made in made {
            let made = made?;
            batch.targets.push(made.target);
            batch.samples.push(made.sample);
            batch.points.push(made.points);
        }
        Ok(batch)
    }

    fn augmenters(&self, varied: Varied) -> Augmenters {
        let size = self.options.size;
        let fresh = |recipe: &Recipe| Augmenters {
            samples: Augmenter::new(recipe.clone(), size),
            surroundings: Augmenter::new(recipe.for_surroundings(), size),
        };
        match varied {
            Varied::No => fresh(&Recipe::NONE),
            Varied::Yes => {
                let idle = self.idle().pop();
                idle.unwrap_or_else(|| fresh(&self.options.recipe))
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Augmenters>> {
        self.idle.lock().unwrap_or_else(|held| held.into_inner())
    }

    fn make_one(
        &self,
        pick: Pick,
        augmenters: &mut Augmenters,
        rng: &mut StdRng,
        image: &mut [u8],
    ) -> Result<Made> {
        let Augmenters {
            samples,
            surroundings,
        } = augmenters;
        let made = |class: usize, sample, points| Made {
            target: class as i32,
            sample,
            points,
        };
        match pick {
            Pick::Room(nothing) => {
                surroundings.draw_room(rng, image)?;
                Ok(made(nothing, None, None))
            }
            Pick::Scene(scene, nothing) => {
                let kept = self.scene(scene)?;
                let picture = &kept.picture;
                let hand = self.dataset.scenes[scene].hand;
                let square = negatives::away_from(hand, picture, self.options.crop_scale, rng);
                let Some(square) = square else {
                    // The hand fills the frame.
                    surroundings.draw_room(rng, image)?;
                    return Ok(made(nothing, None, None));
                };
                let subject = Subject {
                    picture,
                    square,
                    points: None,
                    cut_out: false,
                };
                surroundings
                    .crop(&subject, None, rng, image)
                    .with_context(|| {
                        format!("cannot crop {}", self.dataset.scenes[scene].path.display())
                    })?;
                Ok(made(nothing, None, None))
            }
            Pick::Sample(index) => {
                let sample = &self.dataset.samples[index];
                let kept = self.pictures.get(index)?;
                let points = sample
                    .points
                    .map(|points| points.map(|point| kept.place_point(point)));
                let subject = Subject {
                    picture: &kept.picture,
                    square: self.square(sample.hand, &kept),
                    points: points.as_ref(),
                    cut_out: kept.cut_out,
                };
                let points = self
                    .crop_sample(&subject, samples, rng, image)
                    .with_context(|| format!("cannot crop {}", sample.path.display()))?;
                Ok(made(sample.class, Some(index), points))
            }
        }
    }

    fn crop_sample(
        &self,
        subject: &Subject,
        augmenter: &mut Augmenter,
        rng: &mut StdRng,
        image: &mut [u8],
    ) -> Result<Option<CropPoints>> {
        if !augmenter.wants_backdrop(subject, rng) {
            return augmenter.crop(subject, None, rng, image);
        }
        let scene = self.sampler.backdrop(rng);
        let room = match scene {
            Some(scene) => {
                let picture = self.scene(scene)?;
                let hand = self.dataset.scenes[scene].hand;
                let scale = self.options.crop_scale * 1.5;
                negatives::away_from(hand, &picture.picture, scale, rng)
                    .map(|square| (picture, square))
            }
            None => None,
        };
        let backdrop = match &room {
            Some((picture, square)) => Backdrop::Scene {
                picture: &picture.picture,
                square: *square,
            },
            None => Backdrop::Drawn,
        };
        augmenter.crop(subject, Some(backdrop), rng, image)
    }

    /// The crop without variation: around the hand, or of the whole picture where no hand is known.
    fn square(&self, hand: Option<Rect>, kept: &Kept) -> Square {
        let (subject, scale) = subject_of(hand, self.options.crop_scale);
        let (width, height) = (kept.picture.width, kept.picture.height);
        let place = kept.place(subject);
        let region = (self.options.reads).region(place, scale, width, height);
        // What is squeezed is kept as a square.
        Square {
            left: region.left,
            top: region.top,
            side: region.width,
        }
    }

    fn scene(&self, scene: usize) -> Result<Arc<Kept>> {
        self.pictures.get(self.dataset.samples.len() + scene)
    }
}

/// One crop's labels.
#[derive(Debug)]
struct Made {
    target: i32,
    sample: Option<usize>,
    points: Option<CropPoints>,
}

/// As [`store_of`], of hands.
pub fn store(dataset: &Dataset, size: usize, crop_scale: f32, budget: usize) -> PictureStore {
    store_of(dataset, size, Reads::Hand, crop_scale, budget)
}

/// The pictures of `dataset` in the order that [`Loader::new`] expects: those of the samples, then
/// those of the scenes. None is kept finer than twice what crops of `size` pixels need, at
/// `crop_scale` where hands are read, and at most `budget` bytes of them are kept.
pub fn store_of(
    dataset: &Dataset,
    size: usize,
    reads: Reads,
    crop_scale: f32,
    budget: usize,
) -> PictureStore {
    let samples = dataset.samples.iter().map(|sample| {
        let (subject, scale) = subject_of(sample.hand, crop_scale);
        PictureFile {
            path: sample.path.clone(),
            reads,
            subject,
            scale,
            trim: sample.hand.is_some(),
        }
    });
    let scenes = dataset.scenes.iter().map(|scene| PictureFile {
        path: scene.path.clone(),
        reads: Reads::Hand,
        subject: scene.hand,
        scale: crop_scale,
        trim: false,
    });
    PictureStore::new(samples.chain(scenes).collect(), size * 2, budget)
}

/// What to crop, and the crop's side as a multiple of its larger side: a hand with some of its
/// surroundings, or the whole picture.
fn subject_of(hand: Option<Rect>, crop_scale: f32) -> (Rect, f32) {
    match hand {
        Some(hand) => (hand, crop_scale),
        None => (Rect::FULL, 1.0),
    }
}

/// The random numbers of crop `at` of a run: unlike those of its neighbours.
pub(in crate::train) fn seeded(seed: u64, at: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&at.to_le_bytes());
    bytes[16..].copy_from_slice(b"crops of a batch");
    StdRng::from_seed(bytes)
}

#[cfg(test)]
mod tests;

//! What the finder learns from: windows on frames with hands of any size, close hands, and pictures without.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use rand::rngs::StdRng;

use super::augment::{Augmenter, Backdrop, Border, Recipe, Subject};
use super::batches::Batches;
use super::clips::ClipFrame;
use super::dataset::{Dataset, HandPoints, Split};
use super::loader::negatives::widened;
use super::loader::{seeded, store};
use super::store::{PictureFile, PictureStore};
use super::windows::{Shot, Viewer, hide};
use crate::base::frame::Rect;
use crate::base::picture::Picture;
use crate::model::Reads;
use crate::recognize::finder::whole;

/// What a picture shows, boxes in fractions of the network's input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// Hands to find; their centres lie inside.
    pub hands: Vec<Rect>,
    /// Hands that rest while another signs: to be found if at all after that one.
    pub resting: Vec<Rect>,
    /// Where the network may say what it likes: second hands, a hand cut off by the edge.
    pub unclear: Vec<Rect>,
}

/// Shares of training pictures that are four windows side by side, one window with its hand, and close hands; of the
/// rest most are windows beside hands, some have the hand hidden, some are drawn.
const FOUR: f32 = 0.3;
const ONE: f32 = 0.42;
const CLOSE: f32 = 0.1;
const BESIDE: f32 = 0.1;
const HIDDEN: f32 = 0.05;

/// Of windows, this share is of clips and the rest of stills, where there are clips.
const CLIPS: f32 = 0.5;

/// Of four windows side by side, this share is without a hand.
const EMPTY: f32 = 0.12;

/// The hand's larger side as a share of the window that has the picture for itself, and of one of four.
const ZOOM: std::ops::Range<f32> = 0.04..0.95;
const ZOOM_OF_FOUR: std::ops::Range<f32> = 0.09..0.9;

/// A hand of which less than this is in the picture is unclear.
const LEAST_VISIBLE: f32 = 0.7;

/// A second hand rests if its centre is lower than the signing one's by more than this share of the latter's larger
/// side.
const RESTING: f32 = 0.8;

/// Hands smaller than this share of the picture would be lost in blur or few pixels.
const SMALL: f32 = 0.15;

/// Times that a picture is made anew where its hand left it.
const TRIES: usize = 4;

/// Bytes of decoded stills that are kept in memory, and of clips' frames.
const STILLS_MEMORY: usize = 1536 << 20;
const CLIPS_MEMORY: usize = 1536 << 20;

/// How windows are varied, once their place is chosen.
const WINDOW_RECIPE: Recipe = Recipe {
    skin: 0.0,
    erase: 0.0,
    low_light: 0.15,
    ..Recipe::ROOMS
};

/// The same where hands are small.
const SMALL_RECIPE: Recipe = Recipe {
    focus_blur: 0.0,
    motion_blur: 0.0,
    low_resolution: 0.0,
    ..WINDOW_RECIPE
};

/// How crops of hands are varied.
const HAND_RECIPE: Recipe = Recipe {
    box_scale: (0.6, 1.7),
    shift: 0.16,
    rotation_deg: 8.0,
    shear_deg: 4.0,
    perspective: 0.05,
    borders: &[Border::Outside, Border::Outside, Border::Edge],
    background: 0.35,
    skin: 0.2,
    ..WINDOW_RECIPE
};

/// Pictures with what they show.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[len, size, size, 3]` bytes: R, G, B.
    pub images: Vec<u8>,
    /// What each picture shows.
    pub targets: Vec<Target>,
}

/// Pictures of each signer, picked as often as the square root of their number.
#[derive(Debug)]
struct Signers {
    /// The running sum of weights up to and including each signer's, and the pictures.
    all: Vec<(f64, Vec<usize>)>,
}

impl Signers {
    fn new(pictures: impl Iterator<Item = (Arc<str>, usize)>) -> Self {
        let mut by_signer: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        for (signer, at) in pictures {
            by_signer.entry(signer).or_default().push(at);
        }
        let mut sum = 0.0;
        let all = by_signer.into_values().map(|pictures| {
            sum += (pictures.len() as f64).sqrt();
            (sum, pictures)
        });
        Signers { all: all.collect() }
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn pick(&self, rng: &mut StdRng) -> Option<usize> {
        let total = self.all.last()?.0;
        let place = rng.random_range(0.0..total);
        let (_, pictures) = self.all.iter().find(|(up_to, _)| place < *up_to)?;
        Some(pictures[rng.random_range(0..pictures.len())])
    }
}

/// Makes the finder's training pictures.
#[derive(Debug)]
pub struct Pictures {
    dataset: Arc<Dataset>,
    clips: Vec<ClipFrame>,
    /// Pictures of the dataset's samples, then of its scenes.
    stills: PictureStore,
    /// Pictures of the clips' frames.
    frames: PictureStore,
    size: usize,
    seed: u64,
    scenes: Signers,
    moving: Signers,
    close: Signers,
}

/// Those that make pictures, with their buffers.
struct Makers {
    viewer: Viewer,
    windows: Augmenter,
    small: Augmenter,
    hands: Augmenter,
    /// One of four windows.
    part: Vec<u8>,
}

impl Pictures {
    /// Pictures of `size` x `size` pixels from a dataset, and from frames of clips to learn from if there are any.
    ///
    /// # Errors
    /// When the dataset holds no frames or hands to learn from.
    pub fn new(
        dataset: Arc<Dataset>,
        clips: Vec<ClipFrame>,
        size: usize,
        seed: u64,
    ) -> Result<Self> {
        let unknown: Arc<str> = "".into();
        let named = |signer: &Option<Arc<str>>| signer.clone().unwrap_or(unknown.clone());
        let scenes = (dataset.scenes.iter().enumerate())
            .filter(|(_, scene)| scene.split == Split::Train)
            .map(|(at, scene)| (named(&scene.signer), at));
        let close = (dataset.samples.iter().enumerate())
            .filter(|(_, sample)| sample.split == Split::Train && sample.points.is_some())
            .map(|(at, sample)| (named(&sample.signer), at));
        let moving = (clips.iter().enumerate()).map(|(at, frame)| (Arc::clone(&frame.signer), at));
        let (scenes, close, moving) = (
            Signers::new(scenes),
            Signers::new(close),
            Signers::new(moving),
        );
        ensure!(
            !scenes.is_empty() && !close.is_empty(),
            "a finder learns from whole frames with hand boxes (frames.csv) and from hands with \
             their joints (hands.csv); one of them names none to train with"
        );
        let files = clips.iter().map(|frame| PictureFile {
            path: frame.path.clone(),
            reads: Reads::Hand,
            subject: frame.hands.first().copied().unwrap_or(Rect::FULL),
            scale: 1.0,
            trim: false,
        });
        Ok(Pictures {
            stills: store(&dataset, size, 1.35, STILLS_MEMORY),
            frames: PictureStore::new(files.collect(), size, CLIPS_MEMORY),
            dataset,
            clips,
            size,
            seed,
            scenes,
            moving,
            close,
        })
    }

    /// The clips' frames.
    pub fn clips(&self) -> &[ClipFrame] {
        &self.clips
    }

    /// The batches of the steps `from..to`, made ahead on a thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn stream(self: &Arc<Self>, from: u64, to: u64, batch: usize) -> Result<Batches<Batch>> {
        let pictures = Arc::clone(self);
        Batches::start(from, to, 3, move |step| pictures.batch(step, batch))
    }

    /// The batch of a step: the same one whenever it is asked for.
    ///
    /// # Errors
    /// When a picture cannot be decoded or cropped.
    pub fn batch(&self, step: u64, len: usize) -> Result<Batch> {
        let bytes = self.size * self.size * 3;
        let mut batch = Batch {
            images: vec![0; len * bytes],
            targets: Vec::with_capacity(len),
        };
        let mut makers = Makers {
            viewer: Viewer::default(),
            windows: Augmenter::new(WINDOW_RECIPE, self.size),
            small: Augmenter::new(SMALL_RECIPE, self.size),
            hands: Augmenter::new(HAND_RECIPE, self.size),
            part: Vec::new(),
        };
        for (index, image) in batch.images.chunks_exact_mut(bytes).enumerate() {
            let mut rng = seeded(self.seed, step * len as u64 + index as u64);
            batch.targets.push(self.make(&mut makers, &mut rng, image)?);
        }
        Ok(batch)
    }

    fn make(&self, makers: &mut Makers, rng: &mut StdRng, image: &mut [u8]) -> Result<Target> {
        let mut kind = rng.random::<f32>();
        if kind < FOUR {
            return self.four(makers, rng, image);
        }
        kind -= FOUR;
        if kind < ONE {
            let target = self.with_hand(makers, ZOOM, self.size, rng, image)?;
            return vary(makers, target, rng, image);
        }
        kind -= ONE;
        if kind < CLOSE {
            return self.close_hand(makers, rng, image);
        }
        kind -= CLOSE;
        if kind < BESIDE {
            if self.without_hands(makers, self.size, rng, image)? {
                return vary(makers, Target::default(), rng, image);
            }
        } else if kind < BESIDE + HIDDEN {
            let target = self.with_hand(makers, ZOOM, self.size, rng, image)?;
            // A second hand would be the one to find.
            let alone = target.resting.is_empty() && target.unclear.is_empty();
            if let [hand] = target.hands[..]
                && alone
                && hide(image, self.size, hand, rng)
            {
                return vary(makers, Target::default(), rng, image);
            }
        }
        makers.windows.draw_room(rng, image)?;
        Ok(Target::default())
    }

    /// Four windows side by side: their neighbours are cloth, faces and arms.
    fn four(&self, makers: &mut Makers, rng: &mut StdRng, image: &mut [u8]) -> Result<Target> {
        let half = self.size / 2;
        let mut all = Target::default();
        let mut part = std::mem::take(&mut makers.part);
        part.resize(half * half * 3, 0);
        for (column, row) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let empty = rng.random::<f32>() < EMPTY;
            let target = if empty && self.without_hands(makers, half, rng, &mut part)? {
                Target::default()
            } else {
                self.with_hand(makers, ZOOM_OF_FOUR, half, rng, &mut part)?
            };
            for (y, line) in part.chunks_exact(half * 3).enumerate() {
                let at = ((row * half + y) * self.size + column * half) * 3;
                image[at..at + half * 3].copy_from_slice(line);
            }
            let (column, row) = (column as f32, row as f32);
            let placed = |hand: &Rect| Rect {
                x0: (hand.x0 + column) / 2.0,
                y0: (hand.y0 + row) / 2.0,
                x1: (hand.x1 + column) / 2.0,
                y1: (hand.y1 + row) / 2.0,
            };
            all.hands.extend(target.hands.iter().map(placed));
            // A second hand counts as far as it lies in its own window.
            let clipped = |hand: &Rect| placed(&within(*hand));
            all.resting.extend(target.resting.iter().map(clipped));
            all.unclear.extend(target.unclear.iter().map(clipped));
        }
        makers.part = part;
        vary(makers, all, rng, image)
    }

    /// Calls `work` with a frame of a clip or a still.
    fn with_shot<T>(
        &self,
        rng: &mut StdRng,
        work: impl FnOnce(&Shot, &mut StdRng) -> T,
    ) -> Result<T> {
        if !self.moving.is_empty() && rng.random::<f32>() < CLIPS {
            let at = self.moving.pick(rng).context("there are no clips")?;
            let kept = self.frames.get(at)?;
            let shot = Shot {
                picture: &kept.picture,
                hands: &self.clips[at].hands,
            };
            return Ok(work(&shot, rng));
        }
        let at = self.scenes.pick(rng).context("there are no frames")?;
        let kept = self.stills.get(self.dataset.samples.len() + at)?;
        let shot = Shot {
            picture: &kept.picture,
            hands: &[kept.place(self.dataset.scenes[at].hand)],
        };
        Ok(work(&shot, rng))
    }

    /// A window with a hand.
    fn with_hand(
        &self,
        makers: &mut Makers,
        zoom: std::ops::Range<f32>,
        size: usize,
        rng: &mut StdRng,
        image: &mut [u8],
    ) -> Result<Target> {
        let hands = self.with_shot(rng, |shot, rng| {
            let window = shot.with_hand(zoom, rng);
            makers.viewer.show(shot, window, size, rng, image)
        })??;
        Ok(target_of(&hands))
    }

    /// A window without one, where there is a place for it.
    fn without_hands(
        &self,
        makers: &mut Makers,
        size: usize,
        rng: &mut StdRng,
        image: &mut [u8],
    ) -> Result<bool> {
        self.with_shot(rng, |shot, rng| {
            let Some(window) = shot.without_hands(rng) else {
                return Ok(false);
            };
            makers.viewer.show(shot, window, size, rng, image)?;
            Ok(true)
        })?
    }

    /// A close hand, in front of its own background or another.
    fn close_hand(
        &self,
        makers: &mut Makers,
        rng: &mut StdRng,
        image: &mut [u8],
    ) -> Result<Target> {
        let at = self.close.pick(rng).context("there are no hands")?;
        let kept = self.stills.get(at)?;
        let points = self.dataset.samples[at].points;
        let points = points.context("a hand without joints was picked")?;
        let points = points.map(|point| kept.place_point(point));
        let subject = Subject {
            picture: &kept.picture,
            square: whole(kept.picture.width, kept.picture.height),
            points: Some(&points),
            cut_out: kept.cut_out,
        };
        for _ in 0..TRIES {
            let backdrop = makers.hands.wants_backdrop(&subject, rng);
            let backdrop = backdrop.then_some(Backdrop::Drawn);
            let placed = makers.hands.crop(&subject, backdrop, rng, image)?;
            let hand = hull(&placed.context("a hand without points")?.points);
            if hand_is_clear(hand) {
                return Ok(Target {
                    hands: vec![hand],
                    ..Target::default()
                });
            }
        }
        Ok(Target {
            unclear: vec![Rect::FULL],
            ..Target::default()
        })
    }

    /// Training frames as the finder sees them live, at most `count` of them, for the int8 scales: whole, and as a
    /// second look sees them.
    ///
    /// # Errors
    /// When a picture cannot be read.
    pub fn plain(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        let mut pictures = Vec::with_capacity(count);
        let mut rng = seeded(self.seed, u64::MAX);
        let mut cropper = crate::recognize::crop::Cropper::new();
        for at in 0..count {
            pictures.push(self.with_shot(&mut rng, |shot, _| {
                let Picture {
                    width,
                    height,
                    ref pixels,
                } = *shot.picture;
                let square = match at % 2 {
                    0 => whole(width, height),
                    _ => shot
                        .hands
                        .first()
                        .copied()
                        .unwrap_or(Rect::FULL)
                        .square(4.0, width, height),
                };
                let mut input = vec![0; self.size * self.size * 3];
                cropper.crop(pixels, width, height, square, self.size, &mut input)?;
                anyhow::Ok(input)
            })??);
        }
        Ok(pictures)
    }
}

/// Varies the pixels of a picture of windows.
fn vary(makers: &mut Makers, target: Target, rng: &mut StdRng, image: &mut [u8]) -> Result<Target> {
    let small = target
        .hands
        .iter()
        .any(|hand| hand.width().max(hand.height()) < SMALL);
    let augmenter = if small {
        &mut makers.small
    } else {
        &mut makers.windows
    };
    augmenter.vary(rng, image)?;
    Ok(target)
}

/// What a window shows whose first hand signs.
fn target_of(hands: &[Rect]) -> Target {
    let Some((first, others)) = hands.split_first() else {
        return Target::default();
    };
    let mut target = Target {
        hands: vec![*first],
        ..Target::default()
    };
    let height = |hand: &Rect| (hand.y0 + hand.y1) / 2.0;
    let side = first.width().max(first.height());
    for other in others {
        if height(other) - height(first) > RESTING * side {
            target.resting.push(*other);
        } else {
            target.unclear.push(*other);
        }
    }
    target
}

/// The part of a box that lies in the picture.
fn within(hand: Rect) -> Rect {
    let clamped = |value: f32| value.clamp(0.0, 1.0);
    Rect {
        x0: clamped(hand.x0),
        y0: clamped(hand.y0),
        x1: clamped(hand.x1),
        y1: clamped(hand.y1),
    }
}

/// Whether most of a hand and its centre are in the picture.
fn hand_is_clear(hand: Rect) -> bool {
    let inside = |value: f32| (0.0..1.0).contains(&value);
    let seen = within(hand);
    let area = hand.width() * hand.height();
    inside((hand.x0 + hand.x1) / 2.0)
        && inside((hand.y0 + hand.y1) / 2.0)
        && area > 0.0
        && seen.width() * seen.height() >= LEAST_VISIBLE * area
}

fn hull(points: &HandPoints) -> Rect {
    let mut hull = Rect {
        x0: f32::INFINITY,
        y0: f32::INFINITY,
        x1: f32::NEG_INFINITY,
        y1: f32::NEG_INFINITY,
    };
    for [x, y] in points {
        hull.x0 = hull.x0.min(*x);
        hull.y0 = hull.y0.min(*y);
        hull.x1 = hull.x1.max(*x);
        hull.y1 = hull.y1.max(*y);
    }
    hull
}

/// A frame with its hand cut away or covered, for judging; `None` where there is no way to leave it out.
pub(in crate::train) fn without_hand(
    picture: &Picture,
    hand: Rect,
    rng: &mut StdRng,
) -> Option<Picture> {
    let hand = widened(hand);
    part_beside(picture, hand, rng).or_else(|| covered(picture, hand, rng))
}

/// The part of a picture on one side of the hand, where there is a wide enough one.
fn part_beside(picture: &Picture, hand: Rect, rng: &mut StdRng) -> Option<Picture> {
    const LEAST: f32 = 0.25;
    let sides = [
        Rect {
            x1: hand.x0,
            ..Rect::FULL
        },
        Rect {
            x0: hand.x1,
            ..Rect::FULL
        },
        Rect {
            y1: hand.y0,
            ..Rect::FULL
        },
        Rect {
            y0: hand.y1,
            ..Rect::FULL
        },
    ];
    let wide: Vec<Rect> = sides
        .into_iter()
        .filter(|side| side.width() >= LEAST && side.height() >= LEAST)
        .collect();
    if wide.is_empty() {
        return None;
    }
    let side = wide[rng.random_range(0..wide.len())];
    Some(cut(picture, side).0)
}

/// A picture with its hand hidden behind a piece from elsewhere in it.
fn covered(picture: &Picture, hand: Rect, rng: &mut StdRng) -> Option<Picture> {
    let (width, height) = (picture.width, picture.height);
    let pixel = |share: f32, length: usize| (share.clamp(0.0, 1.0) * length as f32) as usize;
    let (x0, y0) = (pixel(hand.x0, width), pixel(hand.y0, height));
    let (x1, y1) = (pixel(hand.x1, width), pixel(hand.y1, height));
    let (w, h) = (x1.checked_sub(x0)?, y1.checked_sub(y0)?);
    for _ in 0..20 {
        let sx = rng.random_range(0..=width.checked_sub(w)?);
        let sy = rng.random_range(0..=height.checked_sub(h)?);
        if sx + w > x0 && sx < x1 && sy + h > y0 && sy < y1 {
            continue;
        }
        let mut pixels = picture.pixels.clone();
        for row in 0..h {
            let from = ((sy + row) * width + sx) * 3;
            let to = ((y0 + row) * width + x0) * 3;
            pixels[to..to + w * 3].copy_from_slice(&picture.pixels[from..from + w * 3]);
        }
        return Some(Picture {
            width,
            height,
            pixels,
        });
    }
    None
}

/// Cuts a part out of a picture, at whole pixels, and says which it was.
fn cut(picture: &Picture, part: Rect) -> (Picture, Rect) {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let x0 = ((part.x0.clamp(0.0, 1.0) * width) as usize).min(picture.width.saturating_sub(1));
    let y0 = ((part.y0.clamp(0.0, 1.0) * height) as usize).min(picture.height.saturating_sub(1));
    let x1 = ((part.x1.clamp(0.0, 1.0) * width) as usize).clamp(x0 + 1, picture.width);
    let y1 = ((part.y1.clamp(0.0, 1.0) * height) as usize).clamp(y0 + 1, picture.height);
    let mut pixels = Vec::with_capacity((x1 - x0) * (y1 - y0) * 3);
    for y in y0..y1 {
        let row = (y * picture.width + x0) * 3;
        pixels.extend_from_slice(&picture.pixels[row..row + (x1 - x0) * 3]);
    }
    let cut = Picture {
        width: x1 - x0,
        height: y1 - y0,
        pixels,
    };
    let part = Rect {
        x0: x0 as f32 / width,
        y0: y0 as f32 / height,
        x1: x1 as f32 / width,
        y1: y1 as f32 / height,
    };
    (cut, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::dataset::DataSource;
    use crate::train::data::drawn::{Drawn, write_frames, write_hands};

    fn rect(x0: f32, y0: f32, side: f32) -> Rect {
        Rect {
            x0,
            y0,
            x1: x0 + side,
            y1: y0 + side,
        }
    }

    #[test]
    fn of_two_hands_one_that_hangs_far_below_rests_and_one_beside_is_unclear() {
        let signs = rect(0.5, 0.2, 0.1);
        let target = target_of(&[signs, rect(0.2, 0.7, 0.1), rect(0.3, 0.22, 0.1)]);
        assert_eq!(target.hands, [signs]);
        assert_eq!(target.resting, [rect(0.2, 0.7, 0.1)]);
        assert_eq!(target.unclear, [rect(0.3, 0.22, 0.1)]);
        // A hand that hangs while no other is raised is the one to find.
        assert_eq!(target_of(&[rect(0.2, 0.7, 0.1)]).hands.len(), 1);
    }

    #[test]
    fn a_step_gives_the_same_pictures_again_with_hands_of_all_sizes_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let drawn = Drawn {
            labels: vec!["A".to_owned(), "B".to_owned()],
            train_signers: vec![("ann".to_owned(), 3), ("bea".to_owned(), 3)],
            val_signers: vec![("eve".to_owned(), 1)],
            size: 96,
            seed: 3,
        };
        write_hands(folder.path(), &drawn).unwrap();
        write_frames(folder.path(), &drawn).unwrap();
        let source = DataSource {
            path: folder.path().to_owned(),
            ..DataSource::default()
        };
        let dataset = Arc::new(Dataset::open(&source).unwrap());
        let clips = vec![ClipFrame {
            path: dataset.scenes[0].path.clone(),
            signer: "fay".into(),
            hands: vec![dataset.scenes[0].hand],
        }];
        let pictures = Pictures::new(dataset, clips, 64, 7).unwrap();
        let batch = pictures.batch(3, 64).unwrap();
        assert_eq!(batch, pictures.batch(3, 64).unwrap());
        assert_ne!(batch.images, pictures.batch(4, 64).unwrap().images);
        let hands: Vec<&Rect> = batch.targets.iter().flat_map(|t| &t.hands).collect();
        let side = |hand: &&Rect| hand.width().max(hand.height());
        assert!(hands.iter().any(|hand| side(hand) < 0.12));
        assert!(hands.iter().any(|hand| side(hand) > 0.5));
        let count = |count: usize| {
            let targets = batch.targets.iter();
            targets.filter(|target| target.hands.len() == count).count()
        };
        assert!(count(0) > 2 && count(1) > 10 && count(4) > 2);
    }
}

//! What the finder learns from: whole frames with their hands, close hands, and frames without.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use rand::rngs::StdRng;

use super::augment::{Augmenter, Backdrop, Border, Recipe, Subject};
use super::batches::Batches;
use super::dataset::{Dataset, HandPoints, Split};
use super::loader::negatives::widened;
use super::loader::seeded;
use super::store::PictureStore;
use crate::base::frame::Rect;
use crate::base::picture::Picture;
use crate::recognize::finder::whole;

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A hand in this box, in fractions of the network's input; its centre lies inside.
    Hand(Rect),
    /// No hand.
    Nothing,
    /// Nothing that can be learned from, such as a hand cut off by the edge.
    Unclear,
}

/// Shares of training pictures that are whole frames and close hands; of the rest most are parts
/// of frames beside the hand, some have the hand covered, some are drawn.
const FRAMES: f32 = 0.45;
const HANDS: f32 = 0.22;
const BESIDE: f32 = 0.18;
const COVERED: f32 = 0.1;

/// Chance that of a frame only a part around the hand is used, so that frames of any proportions
/// are seen.
const PARTS: f32 = 0.4;

/// A hand of which less than this is in the picture is unclear.
const LEAST_VISIBLE: f32 = 0.7;

/// Times that a picture is made anew where its hand left it.
const TRIES: usize = 4;

/// How whole frames are varied.
const FRAME_RECIPE: Recipe = Recipe {
    box_scale: (0.74, 1.7),
    shift: 0.16,
    rotation_deg: 8.0,
    shear_deg: 4.0,
    perspective: 0.05,
    mirror: 0.5,
    borders: &[Border::Outside, Border::Outside, Border::Edge],
    background: 0.0,
    skin: 0.0,
    erase: 0.0,
    low_light: 0.15,
    ..Recipe::ROOMS
};

/// How crops of hands are varied.
const HAND_RECIPE: Recipe = Recipe {
    box_scale: (0.6, 1.7),
    background: 0.35,
    skin: 0.2,
    ..FRAME_RECIPE
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
    store: Arc<PictureStore>,
    size: usize,
    seed: u64,
    frames: Signers,
    hands: Signers,
}

/// Those that make pictures, with their buffers.
struct Makers {
    frames: Augmenter,
    hands: Augmenter,
}

impl Pictures {
    /// Pictures of `size` x `size` pixels from a dataset, whose picture files `store` holds (see
    /// [`crate::train::data::loader::store`]).
    ///
    /// # Errors
    /// When the dataset holds no frames or hands to learn from.
    pub fn new(
        dataset: Arc<Dataset>,
        store: Arc<PictureStore>,
        size: usize,
        seed: u64,
    ) -> Result<Self> {
        let unknown: Arc<str> = "".into();
        let named = |signer: &Option<Arc<str>>| signer.clone().unwrap_or(unknown.clone());
        let frames = (dataset.scenes.iter().enumerate())
            .filter(|(_, scene)| scene.split == Split::Train)
            .map(|(at, scene)| (named(&scene.signer), at));
        let hands = (dataset.samples.iter().enumerate())
            .filter(|(_, sample)| sample.split == Split::Train && sample.points.is_some())
            .map(|(at, sample)| (named(&sample.signer), at));
        let (frames, hands) = (Signers::new(frames), Signers::new(hands));
        ensure!(
            !frames.all.is_empty() && !hands.all.is_empty(),
            "a finder learns from whole frames with hand boxes (frames.csv) and from hands with \
             their joints (hands.csv); one of them names none to train with"
        );
        Ok(Pictures {
            dataset,
            store,
            size,
            seed,
            frames,
            hands,
        })
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
            frames: Augmenter::new(FRAME_RECIPE, self.size),
            hands: Augmenter::new(HAND_RECIPE, self.size),
        };
        for (index, image) in batch.images.chunks_exact_mut(bytes).enumerate() {
            let mut rng = seeded(self.seed, step * len as u64 + index as u64);
            batch.targets.push(self.make(&mut makers, &mut rng, image)?);
        }
        Ok(batch)
    }

    fn make(&self, makers: &mut Makers, rng: &mut StdRng, image: &mut [u8]) -> Result<Target> {
        let mut kind = rng.random::<f32>();
        if kind < FRAMES {
            return self.frame(makers, rng, image);
        }
        kind -= FRAMES;
        if kind < HANDS {
            return self.hand(makers, rng, image);
        }
        kind -= HANDS;
        if kind < BESIDE + COVERED
            && let Some(target) = self.without_hand(kind < BESIDE, makers, rng, image)?
        {
            return Ok(target);
        }
        makers.frames.draw_room(rng, image)?;
        Ok(Target::Nothing)
    }

    /// A whole frame, or a part of it, with its hand.
    fn frame(&self, makers: &mut Makers, rng: &mut StdRng, image: &mut [u8]) -> Result<Target> {
        let at = self.frames.pick(rng).context("there are no frames")?;
        let kept = self.store.get(self.dataset.samples.len() + at)?;
        let hand = kept.place(self.dataset.scenes[at].hand);
        if rng.random::<f32>() < PARTS {
            let (picture, hand) = part_with(&kept.picture, hand, rng);
            return place(
                &picture,
                &midpoints(hand),
                None,
                &mut makers.frames,
                rng,
                image,
            );
        }
        place(
            &kept.picture,
            &midpoints(hand),
            None,
            &mut makers.frames,
            rng,
            image,
        )
    }

    /// A close hand, in front of its own background or another.
    fn hand(&self, makers: &mut Makers, rng: &mut StdRng, image: &mut [u8]) -> Result<Target> {
        let at = self.hands.pick(rng).context("there are no hands")?;
        let kept = self.store.get(at)?;
        let points = self.dataset.samples[at].points;
        let points = points.context("a hand without joints was picked")?;
        let points = points.map(|point| kept.place_point(point));
        place(
            &kept.picture,
            &points,
            Some(kept.cut_out),
            &mut makers.hands,
            rng,
            image,
        )
    }

    /// A frame's part beside the hand, or a frame with its hand covered.
    fn without_hand(
        &self,
        beside: bool,
        makers: &mut Makers,
        rng: &mut StdRng,
        image: &mut [u8],
    ) -> Result<Option<Target>> {
        let at = self.frames.pick(rng).context("there are no frames")?;
        let kept = self.store.get(self.dataset.samples.len() + at)?;
        let hand = widened(kept.place(self.dataset.scenes[at].hand));
        let picture = if beside {
            part_beside(&kept.picture, hand, rng)
        } else {
            covered(&kept.picture, hand, rng)
        };
        let Some(picture) = picture else {
            return Ok(None);
        };
        let subject = Subject {
            picture: &picture,
            square: whole(picture.width, picture.height),
            points: None,
            cut_out: false,
        };
        makers.frames.crop(&subject, None, rng, image)?;
        Ok(Some(Target::Nothing))
    }
}

/// Makes an input of a picture whose hand's box is the hull of `points`. `cut_out` says of a
/// crop of a hand whether it was cut out on black.
fn place(
    picture: &Picture,
    points: &HandPoints,
    cut_out: Option<bool>,
    augmenter: &mut Augmenter,
    rng: &mut StdRng,
    image: &mut [u8],
) -> Result<Target> {
    let subject = Subject {
        picture,
        square: whole(picture.width, picture.height),
        points: Some(points),
        cut_out: cut_out.unwrap_or(false),
    };
    for _ in 0..TRIES {
        let backdrop = (cut_out.is_some() && augmenter.wants_backdrop(&subject, rng))
            .then_some(Backdrop::Drawn);
        let placed = augmenter.crop(&subject, backdrop, rng, image)?;
        let hand = hull(&placed.context("a hand without points")?.points);
        if hand_is_clear(hand) {
            return Ok(Target::Hand(hand));
        }
    }
    Ok(Target::Unclear)
}

/// Whether most of a hand and its centre are in the picture.
fn hand_is_clear(hand: Rect) -> bool {
    let inside = |value: f32| (0.0..1.0).contains(&value);
    let width = hand.x1.min(1.0) - hand.x0.max(0.0);
    let height = hand.y1.min(1.0) - hand.y0.max(0.0);
    let area = hand.width() * hand.height();
    inside((hand.x0 + hand.x1) / 2.0)
        && inside((hand.y0 + hand.y1) / 2.0)
        && area > 0.0
        && width.max(0.0) * height.max(0.0) >= LEAST_VISIBLE * area
}

/// A box as the midpoints of its edges: turned by a little, their hull is still the box that the
/// hand would get, where the corners' would have grown.
fn midpoints(hand: Rect) -> HandPoints {
    let middle = [(hand.x0 + hand.x1) / 2.0, (hand.y0 + hand.y1) / 2.0];
    let mut points = [middle; 21];
    points[0] = [middle[0], hand.y1];
    points[1] = [hand.x0, middle[1]];
    points[2] = [middle[0], hand.y0];
    points[3] = [hand.x1, middle[1]];
    points
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

/// A part of a picture that holds the whole hand, and the hand's box in it.
fn part_with(picture: &Picture, hand: Rect, rng: &mut StdRng) -> (Picture, Rect) {
    let keep = widened(hand);
    let mut before = |limit: f32| rng.random_range(0.0..=1.0_f32) * limit.clamp(0.0, 1.0);
    let (x0, y0) = (before(keep.x0), before(keep.y0));
    let (x1, y1) = (1.0 - before(1.0 - keep.x1), 1.0 - before(1.0 - keep.y1));
    let (picture, part) = cut(picture, Rect { x0, y0, x1, y1 });
    let moved = Rect {
        x0: (hand.x0 - part.x0) / part.width(),
        y0: (hand.y0 - part.y0) / part.height(),
        x1: (hand.x1 - part.x0) / part.width(),
        y1: (hand.y1 - part.y0) / part.height(),
    };
    (picture, moved)
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

/// A whole frame as the finder sees it live, for calibration and judging; without its hand, where
/// `hand` is given and there is a way to leave it out.
///
/// # Errors
/// When the picture cannot be cropped.
pub fn plain(
    picture: &Picture,
    without: Option<(Rect, &mut StdRng)>,
    size: usize,
) -> Result<Option<Vec<u8>>> {
    let picture = match without {
        None => picture.clone(),
        Some((hand, rng)) => {
            let hand = widened(hand);
            let made = part_beside(picture, hand, rng);
            let Some(made) = made.or_else(|| covered(picture, hand, rng)) else {
                return Ok(None);
            };
            made
        }
    };
    let mut input = vec![0; size * size * 3];
    crate::recognize::crop::Cropper::new().crop(
        &picture.pixels,
        picture.width,
        picture.height,
        whole(picture.width, picture.height),
        size,
        &mut input,
    )?;
    Ok(Some(input))
}

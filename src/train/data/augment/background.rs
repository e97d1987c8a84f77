//! New surroundings for hands: pieces of other frames, or drawn rooms.

use anyhow::Result;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{InnerPixel, U8x2, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use rand::RngExt;
use rand::rngs::StdRng;

use super::colour::{SkinColour, draw_colour};
use super::recipe::{between, chance, within};
use super::subject::Subject;
use crate::base::frame::Square;
use crate::base::picture::Picture;
use crate::recognize::crop::Cropper;
use crate::train::data::dataset::HandPoints;

/// What to put behind a hand.
#[derive(Debug, Clone, Copy)]
pub enum Backdrop<'a> {
    /// A piece of another picture, without a hand in it.
    Scene {
        /// The picture.
        picture: &'a Picture,
        /// The piece, in its pixels.
        square: Square,
    },
    /// A drawn room.
    Drawn,
}

/// Pixels this dark in every channel are the black that a hand was cut out on.
const BLACK: u8 = 16;

/// Pixels of the picture to one of the matte's coarse grid, along each axis.
const GRID: usize = 4;

/// The hand's bones as pairs of joints, with the thickness of the flesh around each: half of it,
/// as a multiple of the hand's scale.
const BONES: [(usize, usize, f32); 21] = [
    (0, 1, 0.26),
    (1, 2, 0.22),
    (2, 3, 0.16),
    (3, 4, 0.14),
    (0, 5, 0.22),
    (5, 6, 0.15),
    (6, 7, 0.13),
    (7, 8, 0.12),
    (0, 9, 0.22),
    (9, 10, 0.15),
    (10, 11, 0.13),
    (11, 12, 0.12),
    (0, 13, 0.22),
    (13, 14, 0.15),
    (14, 15, 0.13),
    (15, 16, 0.12),
    (0, 17, 0.22),
    (17, 18, 0.14),
    (18, 19, 0.12),
    (19, 20, 0.11),
    (5, 17, 0.2),
];

/// Half the forearm's thickness, as a multiple of the hand's scale.
const FOREARM: f32 = 0.36;

/// Puts hands in front of backdrops, in buffers that it keeps.
#[derive(Debug)]
pub(super) struct Composer {
    resizer: Resizer,
    cropper: Cropper,
    coarse: Vec<u8>,
    matte: Vec<u8>,
    room: Vec<u8>,
    piece: Vec<u8>,
    out: Vec<u8>,
}

impl Default for Composer {
    fn default() -> Self {
        Composer {
            resizer: Resizer::new(),
            cropper: Cropper::new(),
            coarse: Vec::new(),
            matte: Vec::new(),
            room: Vec::new(),
            piece: Vec::new(),
            out: Vec::new(),
        }
    }
}

impl Composer {
    /// The subject's picture with `backdrop` behind its hand, as pixels of the same size. The hand is what
    /// lies around its joints and, a little further out, what has its colour; in a picture that
    /// was cut out on black, it is what is not black.
    pub fn compose(
        &mut self,
        subject: &Subject,
        backdrop: Backdrop,
        rng: &mut StdRng,
    ) -> Result<&[u8]> {
        let Subject {
            picture, points, ..
        } = *subject;
        let (width, height) = (picture.width, picture.height);
        self.render(backdrop, width, height, rng)?;
        self.out.clear();
        self.out.extend_from_slice(&picture.pixels);
        let skin = SkinColour::of(&picture.pixels, width, height, points);
        match (points, skin) {
            (Some(points), Some(skin)) if !subject.cut_out => {
                self.make_matte(points, width, height)?;
                let matte = self.matte.as_chunks::<2>().0;
                let pairs = self.out.as_chunks_mut::<3>().0.iter_mut().zip(matte);
                for ((pixel, &[sure, likely]), behind) in pairs.zip(self.room.as_chunks::<3>().0) {
                    let by_colour = (i32::from(likely) * skin.weight(*pixel)) >> 8;
                    mix(pixel, behind, i32::from(sure).max(by_colour));
                }
            }
            _ => {
                let table = black_matte();
                let room = self.room.as_chunks::<3>().0;
                for (pixel, behind) in self.out.as_chunks_mut::<3>().0.iter_mut().zip(room) {
                    let brightest = pixel[0].max(pixel[1]).max(pixel[2]);
                    mix(pixel, behind, i32::from(table[usize::from(brightest)]));
                }
            }
        }
        Ok(&self.out)
    }

    /// Renders the backdrop into `room`, more or less out of focus.
    fn render(
        &mut self,
        backdrop: Backdrop,
        width: usize,
        height: usize,
        rng: &mut StdRng,
    ) -> Result<()> {
        let Backdrop::Scene { picture, square } = backdrop else {
            self.room = draw_room(width, height, rng)?;
            return Ok(());
        };
        let side = between(rng, (24.0, 160.0)) as usize;
        self.piece.resize(side * side * 3, 0);
        self.cropper.crop(
            &picture.pixels,
            picture.width,
            picture.height,
            square,
            side,
            &mut self.piece,
        )?;
        self.room.resize(width * height * 3, 0);
        resize::<U8x3>(
            &mut self.resizer,
            &self.piece,
            [side, side],
            &mut self.room,
            [width, height],
        )
    }

    /// Writes two bytes a pixel to `matte`: how surely it is the hand, and how surely if it has
    /// the hand's colour.
    fn make_matte(&mut self, points: &HandPoints, width: usize, height: usize) -> Result<()> {
        let joints = points.map(|[x, y]| [x * width as f32, y * height as f32]);
        let [columns, rows] = [width, height].map(|side| side.div_ceil(GRID));
        let limbs = limbs(&joints);
        self.coarse.resize(columns * rows * 2, 0);
        let step = [width as f32 / columns as f32, height as f32 / rows as f32];
        for (at, cell) in self.coarse.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let place = [
                (at % columns) as f32 * step[0] + step[0] / 2.0,
                (at / columns) as f32 * step[1] + step[1] / 2.0,
            ];
            let distance = limbs
                .iter()
                .map(|limb| limb.distance_squared(place))
                .fold(f32::INFINITY, f32::min)
                .sqrt();
            let level = |from: f32, to: f32| {
                (((to - distance) / (to - from)).clamp(0.0, 1.0) * 255.0) as u8
            };
            *cell = [level(0.75, 1.2), level(1.5, 2.1)];
        }
        self.matte.resize(width * height * 2, 0);
        resize::<U8x2>(
            &mut self.resizer,
            &self.coarse,
            [columns, rows],
            &mut self.matte,
            [width, height],
        )
    }
}

/// A bone with flesh around it.
#[derive(Debug)]
struct Limb {
    start: [f32; 2],
    along: [f32; 2],
    /// 1 / length².
    inverse: f32,
    /// 1 / thickness².
    thinness: f32,
}

impl Limb {
    fn new(start: [f32; 2], end: [f32; 2], thickness: f32) -> Limb {
        let along = [end[0] - start[0], end[1] - start[1]];
        Limb {
            start,
            along,
            inverse: 1.0 / (along[0] * along[0] + along[1] * along[1]).max(1e-6),
            thinness: 1.0 / (thickness * thickness).max(1e-6),
        }
    }

    /// The square of a place's distance, in multiples of the limb's thickness.
    fn distance_squared(&self, place: [f32; 2]) -> f32 {
        let to = [place[0] - self.start[0], place[1] - self.start[1]];
        let share = (to[0] * self.along[0] + to[1] * self.along[1]) * self.inverse;
        let share = share.clamp(0.0, 1.0);
        let off = [to[0] - share * self.along[0], to[1] - share * self.along[1]];
        (off[0] * off[0] + off[1] * off[1]) * self.thinness
    }
}

/// The hand's limbs and the forearm, in pixels.
fn limbs(joints: &[[f32; 2]; 21]) -> Vec<Limb> {
    let length =
        |a: usize, b: usize| (joints[a][0] - joints[b][0]).hypot(joints[a][1] - joints[b][1]);
    // Seen end-on some of these are short; the longest says how large the hand is. The factors
    // bring them to the length from the wrist to the middle finger's knuckle.
    let scale = [
        length(0, 9),
        length(0, 5),
        length(0, 17) * 1.1,
        length(5, 17) * 1.4,
        (length(5, 6) + length(6, 7)) * 1.3,
    ]
    .into_iter()
    .fold(1.0, f32::max);
    let mut limbs: Vec<Limb> = BONES
        .iter()
        .map(|&(a, b, thickness)| Limb::new(joints[a], joints[b], thickness * scale))
        .collect();
    let wrist = joints[0];
    let knuckles = [0, 1].map(|axis| (joints[5][axis] + joints[9][axis] + joints[17][axis]) / 3.0);
    let (dx, dy) = (wrist[0] - knuckles[0], wrist[1] - knuckles[1]);
    let reach = 3.0 * scale / dx.hypot(dy).max(1.0);
    let elbow = [wrist[0] + dx * reach, wrist[1] + dy * reach];
    limbs.push(Limb::new(wrist, elbow, FOREARM * scale));
    limbs
}

/// How surely a pixel is not the black behind a cut-out, by its brightest channel. The dark rim
/// that JPEG leaves around a cut-out counts as black.
fn black_matte() -> [u8; 256] {
    const RIM: f32 = 44.0;
    let mut table = [255; 256];
    for (value, alpha) in table.iter_mut().enumerate() {
        let above = (value as f32 - f32::from(BLACK)) / (RIM - f32::from(BLACK));
        *alpha = (above.clamp(0.0, 1.0) * 255.0) as u8;
    }
    table
}

/// Lets `behind` through where `alpha`, 0 to 255, is low.
#[inline(always)]
fn mix(pixel: &mut [u8; 3], behind: &[u8; 3], alpha: i32) {
    for (value, &other) in pixel.iter_mut().zip(behind) {
        let (front, back) = (i32::from(*value), i32::from(other));
        *value = (back + (((front - back) * alpha * 257 + (1 << 15)) >> 16)) as u8;
    }
}

/// Draws a room that nobody is in: light falling off across a wall, furniture, clutter, more or
/// less out of focus. `height * width` pixels, three bytes each.
pub(super) fn draw_room(width: usize, height: usize, rng: &mut StdRng) -> Result<Vec<u8>> {
    let mut resizer = Resizer::new();
    // Drawn at a resolution of its own: enlarging it is being out of focus.
    let side = between(rng, (16.0, 128.0)) as usize;
    let mut room = vec![0; side * side * 3];
    let cells = rng.random_range(2..=4_usize);
    let wall = draw_colour(rng);
    let fall_off = between(rng, (5.0, 70.0));
    let light: Vec<u8> = (0..cells * cells)
        .flat_map(|_| {
            let change = within(rng, fall_off);
            wall.map(|value| (f32::from(value) + change).clamp(0.0, 255.0) as u8)
        })
        .collect();
    resize::<U8x3>(
        &mut resizer,
        &light,
        [cells, cells],
        &mut room,
        [side, side],
    )?;
    for _ in 0..rng.random_range(0..=9) {
        let colour = draw_colour(rng);
        let shape = Shape::draw(side as f32, rng);
        for (at, pixel) in room.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            if shape.contains((at % side) as f32, (at / side) as f32) {
                *pixel = colour;
            }
        }
    }
    let mut out = vec![0; width * height * 3];
    resize::<U8x3>(&mut resizer, &room, [side, side], &mut out, [width, height])?;
    Ok(out)
}

/// A thing in a drawn room: a rectangle at an angle, or an ellipse.
#[derive(Debug)]
struct Shape {
    centre: [f32; 2],
    half: [f32; 2],
    sin_cos: (f32, f32),
    round: bool,
}

impl Shape {
    fn draw(side: f32, rng: &mut StdRng) -> Shape {
        let mut extent = || between(rng, (0.02, 0.8)).powi(2) * side;
        let half = [extent() + 0.5, extent() + 0.5];
        let upright = chance(rng, 0.6);
        Shape {
            centre: [between(rng, (0.0, side)), between(rng, (0.0, side))],
            half,
            sin_cos: if upright {
                (0.0, 1.0)
            } else {
                within(rng, std::f32::consts::PI).sin_cos()
            },
            round: chance(rng, 0.35),
        }
    }

    fn contains(&self, x: f32, y: f32) -> bool {
        let (sin, cos) = self.sin_cos;
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let across = (cos * dx + sin * dy) / self.half[0];
        let down = (cos * dy - sin * dx) / self.half[1];
        if self.round {
            across * across + down * down <= 1.0
        } else {
            across.abs() <= 1.0 && down.abs() <= 1.0
        }
    }
}

/// Scales bytes of pixels of type `P` from one `[width, height]` to another, bilinearly.
fn resize<P: PixelTrait + InnerPixel>(
    resizer: &mut Resizer,
    from: &[u8],
    from_size: [usize; 2],
    to: &mut [u8],
    to_size: [usize; 2],
) -> Result<()> {
    let source = TypedImageRef::<P>::from_buffer(from_size[0] as u32, from_size[1] as u32, from)?;
    let mut target = TypedImage::<P>::from_buffer(to_size[0] as u32, to_size[1] as u32, to)?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false);
    resizer.resize_typed(&source, &mut target, &options)?;
    Ok(())
}

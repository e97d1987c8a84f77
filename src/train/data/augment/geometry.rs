//! The warp of a crop's neighbourhood: rotation, shear, perspective and mirroring in one
//! resampling at the picture's own resolution.

use rand::rngs::StdRng;

use super::recipe::{Border, Recipe, between, chance, within};
use super::subject::CropPoints;
use crate::base::frame::Square;
use crate::recognize::crop::OUTSIDE;
use crate::train::data::dataset::HandPoints;

/// The warped neighbourhood has at most this many pixels a side. Larger ones are rendered coarser
/// than the picture; the crop made of them is smaller still.
const MAX_CANVAS: f32 = 1024.0;

/// Pixels around the crop's square in the warped neighbourhood, for the crop's filter to reach.
const MARGIN: f32 = 2.0;

/// In a row of the canvas, the place in the picture is computed exactly every so many pixels and
/// linear between them. At the recipes' perspectives the error stays below a hundredth of a pixel.
const SPAN: usize = 16;

/// A picture's pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub width: usize,
    pub height: usize,
    /// Three bytes a pixel, row by row.
    pub rgb: &'a [u8],
}

/// How a crop sees the picture: a square of `side` pixels around `centre`, after its content was
/// turned by `matrix` and `perspective`.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    centre: [f32; 2],
    side: f32,
    /// From an offset in the crop to one in the picture, both in pixels of the picture.
    matrix: [[f32; 2]; 2],
    /// The change of scale from the crop's centre to one side's distance from it.
    perspective: [f32; 2],
}

impl View {
    /// Draws a view of `square` by `recipe`.
    pub fn draw(recipe: &Recipe, square: Square, rng: &mut StdRng) -> View {
        let side = square.side * between(rng, recipe.box_scale) / between(rng, recipe.zoom);
        let mut place =
            |start: f32| start + square.side / 2.0 + within(rng, recipe.shift) * square.side;
        let centre = [place(square.left), place(square.top)];
        let (sin, cos) = within(rng, recipe.rotation_deg).to_radians().sin_cos();
        let shear = [(); 2].map(|()| within(rng, recipe.shear_deg).to_radians().tan());
        let mirror = if chance(rng, recipe.mirror) {
            -1.0
        } else {
            1.0
        };
        // Rotation after shear after mirroring.
        let sheared = [[mirror, shear[0]], [shear[1] * mirror, 1.0]];
        let matrix = [
            [
                cos * sheared[0][0] - sin * sheared[1][0],
                cos * sheared[0][1] - sin * sheared[1][1],
            ],
            [
                sin * sheared[0][0] + cos * sheared[1][0],
                sin * sheared[0][1] + cos * sheared[1][1],
            ],
        ];
        let perspective = [(); 2].map(|()| 2.0 * within(rng, recipe.perspective));
        View {
            centre,
            side,
            matrix,
            perspective,
        }
    }

    /// The square in the picture, where no warp is needed.
    pub fn square(&self) -> Square {
        Square {
            left: self.centre[0] - self.side / 2.0,
            top: self.centre[1] - self.side / 2.0,
            side: self.side,
        }
    }

    /// The warp before the crop; `None` where the content is upright and unmirrored as it is.
    pub fn warp(&self) -> Option<Warp<'_>> {
        let upright = self.matrix == [[1.0, 0.0], [0.0, 1.0]] && self.perspective == [0.0, 0.0];
        (!upright).then_some(Warp { view: self })
    }

    /// Where the crop's offset `(x, y)` from its centre lies in the picture, in pixels.
    fn source(&self, x: f32, y: f32) -> [f32; 2] {
        let [[a, b], [c, d]] = self.matrix;
        let [g, h] = self.perspective;
        let scale = 1.0 / (1.0 + (g * x + h * y) / self.side);
        [
            self.centre[0] + (a * x + b * y) * scale,
            self.centre[1] + (c * x + d * y) * scale,
        ]
    }

    /// Moves joints from fractions of the picture to fractions of the crop.
    pub fn place(&self, points: &HandPoints, width: usize, height: usize) -> CropPoints {
        let [[a, b], [c, d]] = self.matrix;
        let [g, h] = self.perspective;
        let determinant = a * d - b * c;
        let mut placed = CropPoints {
            points: *points,
            visible: [false; 21],
        };
        let inside = |value: f32| (0.0..=1.0).contains(&value);
        for (point, visible) in placed.points.iter_mut().zip(&mut placed.visible) {
            let in_picture = inside(point[0]) && inside(point[1]);
            let x = point[0] * width as f32 - self.centre[0];
            let y = point[1] * height as f32 - self.centre[1];
            // Undo the matrix: that is the offset divided by the perspective's scale, so the
            // scale is 1 - (g u + h v) / side.
            let (u, v) = ((d * x - b * y) / determinant, (a * y - c * x) / determinant);
            let scale = 1.0 - (g * u + h * v) / self.side;
            *point = [0.5 + u / scale / self.side, 0.5 + v / scale / self.side];
            *visible = in_picture && scale > 0.0 && inside(point[0]) && inside(point[1]);
        }
        placed
    }
}

/// A warped neighbourhood and the square in it to crop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Canvas {
    /// Pixels a side.
    pub side: usize,
    /// What to crop, in pixels of the canvas.
    pub square: Square,
}

/// Renders a view's neighbourhood.
#[derive(Debug)]
pub(super) struct Warp<'a> {
    view: &'a View,
}

impl Warp<'_> {
    /// Renders the neighbourhood into `out`, bilinearly, three bytes a pixel.
    pub fn render(&self, source: &Pixels, border: Border, out: &mut Vec<u8>) -> Canvas {
        let view = self.view;
        let pitch = (view.side / MAX_CANVAS).max(1.0);
        let square_side = view.side / pitch;
        let side = (square_side + 2.0 * MARGIN).ceil().max(1.0) as usize;
        out.resize(side * side * 3, 0);
        let middle = side as f32 / 2.0;
        // Fixed point with 16 bits of fraction; half a pixel off, since pixels are sampled at
        // their centres.
        let fixed = |value: f32| ((value - 0.5).clamp(-16_000.0, 32_000.0) * 65536.0) as i32;
        for (row, line) in out.chunks_exact_mut(side * 3).enumerate() {
            let y = (row as f32 + 0.5 - middle) * pitch;
            let at = |column: usize| view.source((column as f32 + 0.5 - middle) * pitch, y);
            let mut start = at(0);
            for (span, pixels) in line.chunks_mut(SPAN * 3).enumerate() {
                let end = at((span + 1) * SPAN);
                let step =
                    [0, 1].map(|axis| ((end[axis] - start[axis]) * (65536.0 / SPAN as f32)) as i32);
                let mut place = start.map(fixed);
                for pixel in pixels.as_chunks_mut::<3>().0 {
                    *pixel = sample(source, place, border);
                    place[0] += step[0];
                    place[1] += step[1];
                }
                start = end;
            }
        }
        Canvas {
            side,
            square: Square {
                left: middle - square_side / 2.0,
                top: middle - square_side / 2.0,
                side: square_side,
            },
        }
    }
}

/// The picture at a place in fixed point, between its four nearest pixels.
#[inline(always)]
fn sample(source: &Pixels, [x, y]: [i32; 2], border: Border) -> [u8; 3] {
    let (column, row) = (x >> 16, y >> 16);
    let (fx, fy) = (((x >> 8) & 255) as u32, ((y >> 8) & 255) as u32);
    let (width, height) = (source.width, source.height);
    let inside = (column as u32 as usize) + 1 < width && (row as u32 as usize) + 1 < height;
    let stride = width * 3;
    if inside {
        let at = row as usize * stride + column as usize * 3;
        if let (Some(top), Some(bottom)) = (
            source.rgb.get(at..at + 6),
            source.rgb.get(at + stride..at + stride + 6),
        ) {
            return blend(
                [[top[0], top[1], top[2]], [top[3], top[4], top[5]]],
                [
                    [bottom[0], bottom[1], bottom[2]],
                    [bottom[3], bottom[4], bottom[5]],
                ],
                fx,
                fy,
            );
        }
    }
    let pixel = |column: i32, row: i32| beyond(source, column, row, border);
    blend(
        [pixel(column, row), pixel(column + 1, row)],
        [pixel(column, row + 1), pixel(column + 1, row + 1)],
        fx,
        fy,
    )
}

/// The bilinear mean of four pixels; `fx` and `fy` of 256 of the way to the right and down.
#[inline(always)]
fn blend(top: [[u8; 3]; 2], bottom: [[u8; 3]; 2], fx: u32, fy: u32) -> [u8; 3] {
    let mut out = [0; 3];
    for (c, value) in out.iter_mut().enumerate() {
        let upper = u32::from(top[0][c]) * (256 - fx) + u32::from(top[1][c]) * fx;
        let lower = u32::from(bottom[0][c]) * (256 - fx) + u32::from(bottom[1][c]) * fx;
        *value = ((upper * (256 - fy) + lower * fy + (1 << 15)) >> 16) as u8;
    }
    out
}

/// A pixel that may lie beyond the picture.
#[cold]
fn beyond(source: &Pixels, column: i32, row: i32, border: Border) -> [u8; 3] {
    let fold = |at: i32, len: usize| -> Option<usize> {
        let last = len as i32 - 1;
        if (0..=last).contains(&at) {
            return Some(at as usize);
        }
        match border {
            Border::Outside => None,
            Border::Edge => Some(at.clamp(0, last.max(0)) as usize),
            Border::Reflect => {
                let period = (2 * last).max(1);
                let folded = at.rem_euclid(period);
                Some(folded.min(period - folded).clamp(0, last.max(0)) as usize)
            }
        }
    };
    let place = fold(column, source.width).zip(fold(row, source.height));
    place
        .and_then(|(x, y)| {
            let at = (y * source.width + x) * 3;
            source.rgb.get(at..at + 3)
        })
        .map_or([OUTSIDE; 3], |pixel| [pixel[0], pixel[1], pixel[2]])
}

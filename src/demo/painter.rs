//! Draws a posed hand over a picture.

use super::light::{Light3, Lighting, Skin, Surface, byte};
use super::mesh::{Look, Mesh, skin, smooth};
use super::pose::Pose;
use super::raster::{Corner, Layer, NONE, shares};
use super::skeleton::{WRIST, posed};
use super::vector::{Vec3, vec3};
use crate::base::frame::Rect;

/// Samples along a pixel's side.
const FINE: usize = 2;

/// The side of the picture from the light, in samples.
const SHADOW_SIDE: usize = 176;

/// What lies so far behind what the light sees is in its shadow, in metres.
const SHADOW_DEPTH: f32 = 0.004;

/// The reach of the light's picture around the hand, in metres.
const SHADOW_REACH: f32 = 0.17;

/// Surfaces of one pixel that lie so close are one surface, in metres.
const ONE_SURFACE: f32 = 0.004;

/// Nothing nearer to the camera is drawn, in metres.
const NEAREST: f32 = 0.08;

/// The camera: at the origin, it looks against the z axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lens {
    /// The distance at which one metre is as high as the picture, in metres.
    pub reach: f32,
}

impl Lens {
    /// As most webcams: some 45 degrees from top to bottom.
    pub const WEBCAM: Lens = Lens { reach: 1.2 };

    /// Where a place is seen, in pixels of a picture of this size.
    fn project(self, place: Vec3, width: usize, height: usize) -> [f32; 2] {
        let scale = self.reach * height as f32 / -place.z;
        [
            width as f32 / 2.0 + place.x * scale,
            height as f32 / 2.0 - place.y * scale,
        ]
    }
}

/// Whose hand it is and how it is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appearance {
    /// Colours of the skin.
    pub skin: Skin,
    /// The sleeve's colour.
    pub sleeve: Light3,
    /// How much thicker the hand is than it was modelled, in metres.
    pub plump: f32,
    /// Whether it is a left hand.
    pub left: bool,
    /// The light.
    pub light: Lighting,
    /// The camera.
    pub lens: Lens,
}

/// Where a drawn hand is seen, in fractions of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The box around the hand's skin, from the wrist on.
    pub hand: Rect,
    /// The hand's 21 points in MediaPipe's order: the wrist, then four each of thumb, index,
    /// middle, ring and little finger, from base to tip. Those behind others count as well.
    pub points: [[f32; 2]; 21],
}

/// Draws hands; keeps its buffers from one picture to the next.
#[derive(Debug, Default)]
pub struct Painter {
    /// Places and normals of the skin before the camera.
    places: Vec<(Vec3, Vec3)>,
    /// The same on the picture, in samples, with their nearness.
    corners: Vec<Corner>,
    /// The same in the light's picture.
    lit: Vec<Corner>,
    layer: Layer,
    shadow: Layer,
    hollows: Hollows,
}

impl Painter {
    /// A painter with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws a hand in this pose, its wrist at `wrist` (metres before the camera: x to the right,
    /// y up, z against the way it looks), over a picture of `width` x `height` RGB pixels.
    pub fn paint(
        &mut self,
        hand: &Appearance,
        pose: &Pose,
        wrist: Vec3,
        width: usize,
        height: usize,
        pixels: &mut [u8],
    ) -> Seen {
        let mesh = Mesh::hand();
        let seen = self.place(mesh, hand, pose, wrist, width, height);
        self.cast_shadow(mesh, hand, wrist);
        let Some((x0, y0, x1, y1)) = self.draw(mesh, hand, width, height) else {
            return seen;
        };
        let pixel = hand.lens.reach * height as f32 / -wrist.z;
        self.hollows.find(&self.layer, (0.011 * pixel) as usize);
        for y in y0..y1 {
            let row = &mut pixels[(y * width + x0) * 3..(y * width + x1) * 3];
            for (x, pixel) in (x0..x1).zip(row.chunks_exact_mut(3)) {
                self.blend(mesh, hand, (width, height), (x, y), pixel);
            }
        }
        seen
    }

    /// Where a hand would be seen, without drawing it; the rest as [`Painter::paint`].
    pub fn look(
        &mut self,
        hand: &Appearance,
        pose: &Pose,
        wrist: Vec3,
        width: usize,
        height: usize,
    ) -> Seen {
        self.place(Mesh::hand(), hand, pose, wrist, width, height)
    }

    /// Puts the skin before the camera.
    fn place(
        &mut self,
        mesh: &Mesh,
        hand: &Appearance,
        pose: &Pose,
        wrist: Vec3,
        width: usize,
        height: usize,
    ) -> Seen {
        let posed = posed(&mesh.joints, pose);
        skin(mesh, &posed.motions, hand.plump, &mut self.places);
        let side = if hand.left { -1.0 } else { 1.0 };
        let from = mesh.joints[WRIST].place;
        let mirror = |v: Vec3| vec3(v.x * side, v.y, v.z);
        let before = |place: Vec3| mirror(place - from) + wrist;
        self.corners.clear();
        let mut hull = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for (vertex, (place, normal)) in mesh.vertices.iter().zip(&mut self.places) {
            *place = before(*place);
            *normal = mirror(*normal);
            let near = -place.z.min(-NEAREST / 2.0);
            let [x, y] = hand
                .lens
                .project(vec3(place.x, place.y, -near), width, height);
            self.corners
                .push([x * FINE as f32, y * FINE as f32, 1.0 / near]);
            if vertex.look.hand && vertex.place.y > from.y {
                hull = [
                    hull[0].min(x),
                    hull[1].min(y),
                    hull[2].max(x),
                    hull[3].max(y),
                ];
            }
        }
        let (w, h) = (width as f32, height as f32);
        Seen {
            hand: Rect {
                x0: hull[0] / w,
                y0: hull[1] / h,
                x1: hull[2] / w,
                y1: hull[3] / h,
            },
            points: posed.points().map(|point| {
                let [x, y] = hand.lens.project(before(point), width, height);
                [x / w, y / h]
            }),
        }
    }

    /// Draws what the light sees.
    fn cast_shadow(&mut self, mesh: &Mesh, hand: &Appearance, wrist: Vec3) {
        let back = hand.light.from;
        let right = vec3(0.0, 1.0, 0.01).cross(back).unit();
        let up = back.cross(right);
        let scale = SHADOW_SIDE as f32 / (2.0 * SHADOW_REACH);
        self.lit.clear();
        self.lit.extend(self.places.iter().map(|(place, _)| {
            let from = *place - wrist;
            let middle = SHADOW_SIDE as f32 / 2.0;
            [
                middle + from.dot(right) * scale,
                middle - from.dot(up) * scale,
                // Kept above 0, which is where nothing is.
                1.0 + from.dot(back),
            ]
        }));
        self.shadow.clear(0, 0, SHADOW_SIDE, SHADOW_SIDE);
        fill(mesh, &self.lit, hand.left, &mut self.shadow);
    }

    /// Draws which triangle is where, and returns the part of the picture that they touch, in
    /// pixels.
    fn draw(
        &mut self,
        mesh: &Mesh,
        hand: &Appearance,
        width: usize,
        height: usize,
    ) -> Option<(usize, usize, usize, usize)> {
        let mut hull = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for [x, y, _] in &self.corners {
            hull = [
                hull[0].min(*x),
                hull[1].min(*y),
                hull[2].max(*x),
                hull[3].max(*y),
            ];
        }
        let pixel = |at: f32, most: usize| ((at / FINE as f32).max(0.0) as usize).min(most);
        let (x0, y0) = (pixel(hull[0], width), pixel(hull[1], height));
        let x1 = pixel(hull[2] + FINE as f32, width);
        let y1 = pixel(hull[3] + FINE as f32, height);
        if x0 >= x1 || y0 >= y1 {
            return None;
        }
        self.layer
            .clear(x0 * FINE, y0 * FINE, (x1 - x0) * FINE, (y1 - y0) * FINE);
        fill(mesh, &self.corners, hand.left, &mut self.layer);
        Some((x0, y0, x1, y1))
    }

    /// Blends the hand into one pixel.
    fn blend(
        &self,
        mesh: &Mesh,
        hand: &Appearance,
        (width, height): (usize, usize),
        (x, y): (usize, usize),
        pixel: &mut [u8],
    ) {
        let layer = &self.layer;
        let (left, top) = (x * FINE - layer.left, y * FINE - layer.top);
        let mut sum = [0.0; 3];
        let mut covered = 0;
        let mut last: Option<(f32, [f32; 3])> = None;
        for at in 0..FINE * FINE {
            let sample = (top + at / FINE) * layer.width + left + at % FINE;
            let id = layer.triangles[sample];
            if id == NONE {
                continue;
            }
            covered += 1;
            let depth = 1.0 / layer.nearness[sample];
            let colour = match last {
                Some((before, colour)) if (before - depth).abs() < ONE_SURFACE => colour,
                _ => {
                    let place = [
                        (x * FINE + at % FINE) as f32 + 0.5,
                        (y * FINE + at / FINE) as f32 + 0.5,
                    ];
                    let open =
                        self.hollows
                            .open(x * FINE - layer.left, y * FINE - layer.top, depth);
                    self.shade(mesh, hand, (width, height), id, place, open)
                }
            };
            last = Some((depth, colour));
            for (sum, part) in sum.iter_mut().zip(colour) {
                *sum += part;
            }
        }
        if covered == 0 {
            return;
        }
        let share = covered as f32 / (FINE * FINE) as f32;
        for (byte, sum) in pixel.iter_mut().zip(sum) {
            let mean = sum / covered as f32;
            *byte = (f32::from(*byte) * (1.0 - share) + mean * share + 0.5) as u8;
        }
    }

    /// The colour at a sample, in bytes.
    fn shade(
        &self,
        mesh: &Mesh,
        hand: &Appearance,
        (width, height): (usize, usize),
        id: u32,
        [x, y]: [f32; 2],
        open: f32,
    ) -> [f32; 3] {
        let ends = corners_of(mesh, id, hand.left);
        let shares = shares(ends.map(|at| self.corners[at]), x, y);
        let mut normal = Vec3::default();
        let mut look = Look::default();
        let mut lit = [0.0; 3];
        for (at, share) in ends.into_iter().zip(shares) {
            normal += self.places[at].1 * share;
            let corner = &mesh.vertices[at].look;
            look.palm += corner.palm * share;
            look.nail += corner.nail * share;
            look.fold += corner.fold * share;
            look.cloth += corner.cloth * share;
            for (sum, part) in lit.iter_mut().zip(self.lit[at]) {
                *sum += part * share;
            }
        }
        let scale = hand.lens.reach * (height * FINE) as f32;
        let eye = vec3(
            ((width * FINE) as f32 / 2.0 - x) / scale,
            (y - (height * FINE) as f32 / 2.0) / scale,
            1.0,
        );
        let surface = Surface {
            normal: normal.unit(),
            eye: eye.unit(),
            look,
            lit: self.lit(lit),
            open,
        };
        let light = hand.light.shade(&surface, &hand.skin, hand.sleeve);
        light.map(|part| f32::from(byte(part)))
    }

    /// How much of the light reaches a place in the light's picture.
    fn lit(&self, [x, y, near]: Corner) -> f32 {
        let layer = &self.shadow;
        let most = (SHADOW_SIDE - 2) as f32;
        let (x, y) = (x - 0.5, y - 0.5);
        if !(1.0..most - 1.0).contains(&x) || !(1.0..most - 1.0).contains(&y) {
            return 1.0;
        }
        let (column, row) = (x as usize, y as usize);
        let (right, down) = (x - column as f32, y - row as f32);
        // The mean over 3 x 3 samples around the place, those at the edges in part.
        let across = [1.0 - right, 1.0, 1.0, right];
        let along = [1.0 - down, 1.0, 1.0, down];
        let mut sum = 0.0;
        for (step_y, weight_y) in along.into_iter().enumerate() {
            let start = (row + step_y - 1) * SHADOW_SIDE + column - 1;
            let samples = &layer.nearness[start..start + 4];
            for (nearest, weight_x) in samples.iter().zip(across) {
                let clear = 1.0 - (nearest - near - SHADOW_DEPTH) / SHADOW_DEPTH;
                sum += clear.clamp(0.0, 1.0) * weight_x * weight_y;
            }
        }
        sum / 9.0
    }
}

/// A triangle's corners, so that those of a mirrored hand go the same way around.
fn corners_of(mesh: &Mesh, id: u32, left: bool) -> [usize; 3] {
    let [a, b, c] = mesh.triangles[id as usize].map(usize::from);
    if left { [a, c, b] } else { [a, b, c] }
}

fn fill(mesh: &Mesh, corners: &[Corner], left: bool, layer: &mut Layer) {
    for id in 0..mesh.triangles.len() as u32 {
        let ends = corners_of(mesh, id, left).map(|at| corners[at]);
        let too_near = ends.iter().any(|corner| corner[2] > 1.0 / NEAREST);
        if !too_near {
            layer.fill(ends, id);
        }
    }
}

/// Where the hand is hollow: places that lie behind what is around them get less light from the
/// room (Luft, Colditz and Deussen, "Image enhancement by unsharp masking the depth buffer", 2006).
#[derive(Debug, Default)]
struct Hollows {
    width: usize,
    height: usize,
    /// Sums of depths around a pixel, and of how many there are.
    sums: Vec<[f32; 2]>,
    rows: Vec<[f32; 2]>,
}

impl Hollows {
    /// Takes the mean depth around each pixel of `layer`, `radius` pixels to each side.
    fn find(&mut self, layer: &Layer, radius: usize) {
        (self.width, self.height) = (layer.width / FINE, layer.height / FINE);
        let (width, height) = (self.width, self.height);
        self.rows.clear();
        for y in 0..height {
            let row = &layer.nearness[y * FINE * layer.width..][..layer.width];
            let near = row.iter().step_by(FINE);
            self.rows.extend(near.map(|&near| match near > 0.0 {
                true => [1.0 / near, 1.0],
                false => [0.0, 0.0],
            }));
        }
        self.sums.clear();
        self.sums.resize(width * height, [0.0; 2]);
        let radius = radius.max(1);
        // A running sum along each row, then along each column of these.
        for y in 0..height {
            let row = &self.rows[y * width..][..width];
            let mut sum = [0.0_f32; 2];
            for x in 0..width + radius {
                if let Some(enter) = row.get(x) {
                    sum = [sum[0] + enter[0], sum[1] + enter[1]];
                }
                if let Some(leave) = x.checked_sub(2 * radius + 1).and_then(|at| row.get(at)) {
                    sum = [sum[0] - leave[0], sum[1] - leave[1]];
                }
                if let Some(middle) = x.checked_sub(radius) {
                    self.sums[y * width + middle] = sum;
                }
            }
        }
        std::mem::swap(&mut self.rows, &mut self.sums);
        let mut sums = vec![[0.0_f32; 2]; width];
        for y in 0..height + radius {
            for (x, sum) in sums.iter_mut().enumerate() {
                if y < height {
                    let enter = self.rows[y * width + x];
                    *sum = [sum[0] + enter[0], sum[1] + enter[1]];
                }
                if y > 2 * radius && y - 2 * radius - 1 < height {
                    let leave = self.rows[(y - 2 * radius - 1) * width + x];
                    *sum = [sum[0] - leave[0], sum[1] - leave[1]];
                }
                if y >= radius {
                    self.sums[(y - radius) * width + x] = *sum;
                }
            }
        }
    }

    /// How open a place of this depth is, seen at this sample.
    fn open(&self, x: usize, y: usize, depth: f32) -> f32 {
        let at = (y / FINE) * self.width + x / FINE;
        let [sum, count] = self.sums.get(at).copied().unwrap_or_default();
        if count < 0.5 {
            return 1.0;
        }
        let behind = depth - sum / count;
        1.0 - 0.75 * smooth(0.0, 0.02, behind)
    }
}

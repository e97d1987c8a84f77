//! The skin of the hand at rest, with the arm that it ends in.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::skeleton::{FOREARM, JOINTS, Joint, Rest, THUMB, WRIST, finger};
use super::vector::{Motion, Vec3, vec3};

/// The hand as `scripts/bake-hand` writes it.
const HAND: &[u8] = include_bytes!("hand.bin");

/// Bones that move one place of the skin, at most.
const BONES: usize = 4;

/// The skin and the bones of a right hand at rest: fingers up, palm towards the camera.
#[derive(Debug)]
pub struct Mesh {
    /// Places of the skin. Those of the hand proper come first, then those of arm and sleeve.
    pub vertices: Vec<Vertex>,
    /// Three vertices each, counter-clockwise from outside.
    pub triangles: Vec<[u16; 3]>,
    /// The joints.
    pub joints: Rest,
}

/// A place of the skin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vertex {
    /// Where it is at rest, in metres.
    pub place: Vec3,
    /// The direction away from the body.
    pub normal: Vec3,
    /// Bones that it moves with, and their weights, which sum to 1.
    pub bones: [(u8, f32); BONES],
    /// What it looks like.
    pub look: Look,
}

/// What a place of the skin looks like: shares, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Look {
    /// Of the palm's lighter tone.
    pub palm: f32,
    /// Of a fingernail.
    pub nail: f32,
    /// Of a darker fold.
    pub fold: f32,
    /// Of a sleeve.
    pub cloth: f32,
    /// Whether it belongs to the hand, not to the arm.
    pub hand: bool,
}

impl Mesh {
    /// The hand, made ready on first use.
    pub fn hand() -> &'static Mesh {
        static HAND: LazyLock<Mesh> = LazyLock::new(|| {
            let Some(mut mesh) = read(self::HAND) else {
                unreachable!("the built-in hand is whole, as a test sees to");
            };
            let rim = mesh.rim();
            mesh.bend_wrist();
            mesh.add_arm(&rim);
            mesh.refine();
            mesh.colour();
            mesh
        });
        &HAND
    }

    /// The edge where the skin ends at the wrist, counter-clockwise seen from the fingertips.
    fn rim(&self) -> Vec<u16> {
        let mut next = HashMap::new();
        for &[a, b, c] in &self.triangles {
            for edge in [(a, b), (b, c), (c, a)] {
                next.insert(edge, ());
            }
        }
        // An edge that no neighbour runs along the other way is open.
        let open: HashMap<u16, u16> = next
            .keys()
            .filter(|&&(a, b)| !next.contains_key(&(b, a)))
            .copied()
            .collect();
        let Some(&start) = open.keys().min() else {
            return Vec::new();
        };
        let mut rim = vec![start];
        while let Some(&at) = rim.last().and_then(|last| open.get(last)) {
            if at == start || rim.len() > open.len() {
                break;
            }
            rim.push(at);
        }
        rim
    }

    /// Lets the skin below the wrist follow the forearm.
    fn bend_wrist(&mut self) {
        let wrist = self.joints[WRIST].place.y;
        for vertex in &mut self.vertices {
            let share = smooth(0.018, -0.026, vertex.place.y - wrist);
            follow(vertex, share);
        }
    }

    /// Adds a bare arm to the open edge, and a sleeve over it.
    fn add_arm(&mut self, rim: &[u16]) {
        let centre = self.joints[WRIST].place + vec3(-0.001, 0.0, -0.001);
        let angle = |vertex: &Vertex| {
            let from = vertex.place - centre;
            (from.z / 0.019).atan2(from.x / 0.026)
        };
        let angles: Vec<f32> = rim
            .iter()
            .map(|&at| angle(&self.vertices[usize::from(at)]))
            .collect();
        let mut last = rim.to_vec();
        // Below the wrist in metres, half the width, half the depth.
        for (below, wide, deep) in [
            (0.030, 0.0260, 0.0190),
            (0.050, 0.0265, 0.0200),
            (0.080, 0.0290, 0.0240),
            (0.120, 0.0345, 0.0310),
            (0.170, 0.0400, 0.0380),
        ] {
            let ring = self.add_ring(&angles, centre, below, wide, deep, 0.0);
            self.join(&last, &ring);
            last = ring;
        }
        let steps = 20;
        let angles: Vec<f32> = (0..steps)
            .map(|at| std::f32::consts::TAU * at as f32 / steps as f32)
            .collect();
        let mut last: Option<Vec<u16>> = None;
        for (below, wide, deep) in [
            (0.108, 0.0375, 0.0335),
            (0.109, 0.0415, 0.0375),
            (0.116, 0.0445, 0.0400),
            (0.135, 0.0470, 0.0420),
            (0.150, 0.044, 0.041),
            (0.180, 0.050, 0.046),
            (0.200, 0.047, 0.046),
            (0.240, 0.054, 0.052),
            (0.320, 0.056, 0.055),
            (0.480, 0.064, 0.062),
            (0.900, 0.074, 0.072),
        ] {
            let ring = self.add_ring(&angles, centre, below, wide, deep, 1.0);
            if let Some(last) = &last {
                self.join(last, &ring);
            }
            last = Some(ring);
        }
    }

    /// Adds an ellipse of vertices around the arm.
    fn add_ring(
        &mut self,
        angles: &[f32],
        centre: Vec3,
        below: f32,
        wide: f32,
        deep: f32,
        cloth: f32,
    ) -> Vec<u16> {
        let first = self.vertices.len();
        for angle in angles {
            let (sin, cos) = angle.sin_cos();
            let mut vertex = Vertex {
                place: centre + vec3(wide * cos, -below, deep * sin),
                normal: vec3(cos / wide, 0.0, sin / deep).unit(),
                bones: [(WRIST as u8, 1.0), (0, 0.0), (0, 0.0), (0, 0.0)],
                look: Look {
                    cloth,
                    ..Look::default()
                },
            };
            follow(&mut vertex, 1.0);
            self.vertices.push(vertex);
        }
        (first..self.vertices.len()).map(|at| at as u16).collect()
    }

    /// Spans triangles between two rings of the same number of vertices.
    fn join(&mut self, upper: &[u16], lower: &[u16]) {
        for (at, (&a, &c)) in upper.iter().zip(lower).enumerate() {
            let next = (at + 1) % upper.len();
            let (b, d) = (upper[next], lower[next]);
            self.triangles.extend([[a, c, b], [b, c, d]]);
        }
    }

    /// Divides each triangle into four that follow the surface's curve: Phong tessellation
    /// (Boubekeur and Alexa, 2008), once and for all.
    fn refine(&mut self) {
        let mut middles = HashMap::new();
        let mut triangles = Vec::with_capacity(self.triangles.len() * 4);
        for &[a, b, c] in &self.triangles {
            let mut middle = |a: u16, b: u16| {
                *middles.entry((a.min(b), a.max(b))).or_insert_with(|| {
                    let between = between(
                        &self.vertices[usize::from(a)],
                        &self.vertices[usize::from(b)],
                    );
                    self.vertices.push(between);
                    (self.vertices.len() - 1) as u16
                })
            };
            let (ab, bc, ca) = (middle(a, b), middle(b, c), middle(c, a));
            triangles.extend([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]);
        }
        self.triangles = triangles;
    }

    /// Gives the skin its palm, nails and folds.
    fn colour(&mut self) {
        let joints = &self.joints;
        for vertex in &mut self.vertices {
            let most = vertex.bones.iter().max_by(|a, b| a.1.total_cmp(&b.1));
            let bone = most.map_or(WRIST, |most| usize::from(most.0));
            let joint = &joints[bone.min(JOINTS - 1)];
            let back = if bone == FOREARM {
                vec3(0.0, 0.0, -1.0)
            } else {
                joint.back
            };
            let faces = vertex.normal.dot(back);
            vertex.look.palm = smooth(0.25, -0.55, faces);
            vertex.look.nail = nail(joints, vertex, faces);
            vertex.look.fold = fold(joints, vertex, faces);
        }
    }
}

/// Gives a share of what moves the vertex to the forearm.
fn follow(vertex: &mut Vertex, share: f32) {
    if share <= 0.0 {
        return;
    }
    for (_, weight) in &mut vertex.bones {
        *weight *= 1.0 - share;
    }
    let least = vertex.bones.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some(least) = least {
        // What the least bone had, which is next to nothing, goes to the forearm, too.
        *least = (FOREARM as u8, share + least.1);
    }
}

/// The vertex in the middle of an edge.
fn between(a: &Vertex, b: &Vertex) -> Vertex {
    let middle = a.place.towards(b.place, 0.5);
    let onto = |vertex: &Vertex| middle - vertex.normal * vertex.normal.dot(middle - vertex.place);
    let curved = onto(a).towards(onto(b), 0.5);
    let mut weights: Vec<(u8, f32)> = Vec::with_capacity(2 * BONES);
    for (bone, weight) in a.bones.iter().chain(&b.bones).copied() {
        match weights.iter_mut().find(|(known, _)| *known == bone) {
            Some(known) => known.1 += weight / 2.0,
            None => weights.push((bone, weight / 2.0)),
        }
    }
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    weights.truncate(BONES);
    let sum: f32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut bones = [(0, 0.0); BONES];
    for (bone, (at, weight)) in bones.iter_mut().zip(weights) {
        *bone = (at, weight / sum);
    }
    Vertex {
        place: middle.towards(curved, 0.7),
        normal: (a.normal + b.normal).unit(),
        bones,
        look: Look {
            cloth: a.look.cloth.max(b.look.cloth),
            hand: a.look.hand && b.look.hand,
            ..Look::default()
        },
    }
}

/// How much of a fingernail is at this vertex, whose normal faces the way of the finger's back to
/// the share `faces`.
fn nail(joints: &Rest, vertex: &Vertex, faces: f32) -> f32 {
    let mut most = 0.0_f32;
    for digit in 0..5 {
        let last = if digit == 0 {
            THUMB + 3
        } else {
            finger(digit - 1) + 4
        };
        let (tip, before) = (&joints[last], &joints[last - 1]);
        let along = (tip.place - before.place).unit();
        let from = vertex.place - tip.place;
        let (length, width) = if digit == 0 {
            (0.0085, 0.0085)
        } else {
            (0.0072, 0.0065)
        };
        let t = (from.dot(along) - 0.002) / length;
        let s = from.dot(tip.flex) / width;
        most = most.max(smooth(1.15, 0.75, t.hypot(s)) * smooth(0.25, 0.5, faces));
    }
    most
}

/// How deep in a fold of the skin this vertex lies: where fingers bend, on both sides.
fn fold(joints: &Rest, vertex: &Vertex, faces: f32) -> f32 {
    let mut most = 0.0_f32;
    let is_bending =
        |at: usize| at > THUMB && at != THUMB + 3 && (at < 5 || !matches!(at % 5, 0 | 4));
    for at in (0..JOINTS).filter(|&at| is_bending(at)) {
        let joint: &Joint = &joints[at];
        let along = (joints[at + 1].place - joint.place).unit();
        let from = vertex.place - joint.place;
        let near = smooth(0.019, 0.009, from.length());
        let line = smooth(0.0050, 0.0005, from.dot(along).abs());
        // A finger's first joint lies deeper in the palm than where the finger begins.
        let is_knuckle = at >= 5 && at % 5 == 1;
        let inside = if is_knuckle {
            0.0
        } else {
            smooth(-0.1, -0.6, faces) * line * 0.7
        };
        let knuckle = smooth(0.2, 0.7, faces) * smooth(0.008, 0.001, from.dot(along).abs()) * 0.5;
        most = most.max(inside.max(knuckle) * near);
    }
    most
}

/// From 0 at `from` to 1 at `to`, without corners; `to` may be less than `from`.
pub fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Moves the skin with the bones, made thicker by `plump` metres. `out` takes places and normals.
pub fn skin(mesh: &Mesh, motions: &[Motion], plump: f32, out: &mut Vec<(Vec3, Vec3)>) {
    out.clear();
    out.extend(mesh.vertices.iter().map(|vertex| {
        let parts = vertex.bones.iter().filter(|(_, weight)| *weight > 0.0);
        let motion =
            Motion::blend(parts.map(|&(bone, weight)| (motions[usize::from(bone)], weight)));
        let place = vertex.place + vertex.normal * plump;
        (motion.apply(place), motion.turn(vertex.normal).unit())
    }));
}

/// Reads the hand as `scripts/bake-hand` writes it; `None` where it is not whole.
fn read(bytes: &[u8]) -> Option<Mesh> {
    let mut reader = Bytes(bytes);
    let vertices = reader.u16()?;
    let triangles = reader.u16()?;
    if usize::from(reader.u16()?) != JOINTS {
        return None;
    }
    let mut joints = Vec::with_capacity(JOINTS);
    for _ in 0..JOINTS {
        let mut vector = || Some(vec3(reader.f32()?, reader.f32()?, reader.f32()?));
        joints.push(Joint {
            place: vector()?,
            flex: vector()?,
            back: vector()?,
        });
    }
    let mut read = Vec::with_capacity(vertices.into());
    for _ in 0..vertices {
        let mut part = || Some(f32::from(reader.u16()?.cast_signed()) / 1e5);
        let place = vec3(part()?, part()?, part()?);
        let mut part = || Some(f32::from(reader.u8()?.cast_signed()));
        let normal = vec3(part()?, part()?, part()?).unit();
        let bones = [reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?];
        let mut weight = || Some(f32::from(reader.u8()?));
        let weights = [weight()?, weight()?, weight()?, weight()?];
        let sum: f32 = weights.iter().sum();
        if sum == 0.0 || bones.iter().any(|&bone| usize::from(bone) >= JOINTS) {
            return None;
        }
        read.push(Vertex {
            place,
            normal,
            bones: std::array::from_fn(|at| (bones[at], weights[at] / sum)),
            look: Look {
                hand: true,
                ..Look::default()
            },
        });
    }
    let corner = |reader: &mut Bytes<'_>| reader.u16().filter(|&at| at < vertices);
    let mut spans = Vec::with_capacity(triangles.into());
    for _ in 0..triangles {
        spans.push([
            corner(&mut reader)?,
            corner(&mut reader)?,
            corner(&mut reader)?,
        ]);
    }
    Some(Mesh {
        vertices: read,
        triangles: spans,
        joints: joints.try_into().ok()?,
    })
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn f32(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_hand_is_whole_and_one_that_is_cut_short_is_refused() {
        let mesh = read(HAND).unwrap();
        assert!(mesh.triangles.len() > 2000);
        assert!(read(&HAND[..HAND.len() - 1]).is_none());
    }

    #[test]
    fn every_place_of_the_skin_moves_wholly_with_bones() {
        for vertex in &Mesh::hand().vertices {
            let sum: f32 = vertex.bones.iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{vertex:?}");
            assert!((vertex.normal.length() - 1.0).abs() < 1e-3, "{vertex:?}");
        }
    }

    #[test]
    fn the_arm_goes_on_where_the_hand_ends() {
        let mesh = read(HAND).unwrap();
        let rim = mesh.rim();
        assert!(rim.len() >= 12, "{rim:?}");
        let wrist = mesh.joints[WRIST].place.y;
        for at in rim {
            assert!(mesh.vertices[usize::from(at)].place.y < wrist);
        }
    }
}

//! Which triangle is nearest at each sample of a picture.

/// No triangle.
pub const NONE: u32 = u32::MAX;

/// A part of a picture, as samples row by row.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// Where the part begins, in samples.
    pub left: usize,
    /// Where the part begins, in samples.
    pub top: usize,
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How near the nearest triangle is; what nearness is, corners say.
    pub nearness: Vec<f32>,
    /// The nearest triangle, or [`NONE`].
    pub triangles: Vec<u32>,
}

/// A corner of a triangle: x and y in samples, and its nearness, which is greater than 0 and
/// changes evenly over the picture.
pub type Corner = [f32; 3];

impl Layer {
    /// Becomes an empty part of a picture.
    pub fn clear(&mut self, left: usize, top: usize, width: usize, height: usize) {
        (self.left, self.top, self.width, self.height) = (left, top, width, height);
        self.nearness.clear();
        self.nearness.resize(width * height, 0.0);
        self.triangles.clear();
        self.triangles.resize(width * height, NONE);
    }

    /// Draws a triangle, where it is nearer than what is there and counter-clockwise with y down.
    pub fn fill(&mut self, corners: [Corner; 3], triangle: u32) {
        let [a, b, c] = corners;
        let area = cross(a, b, c);
        if area <= 1e-6 {
            return;
        }
        let (left, top) = (self.left as f32, self.top as f32);
        let least = |part: usize| a[part].min(b[part]).min(c[part]);
        let most = |part: usize| a[part].max(b[part]).max(c[part]);
        // A sample lies in the middle of its square; one too many at either end does no harm.
        let from = |value: f32, start: f32| (value - start - 0.5).max(0.0) as usize;
        let to =
            |value: f32, start: f32, end: usize| ((value - start + 1.5).max(0.0) as usize).min(end);
        let (x0, x1) = (from(least(0), left), to(most(0), left, self.width));
        let (y0, y1) = (from(least(1), top), to(most(1), top, self.height));
        if x0 >= x1 {
            return;
        }
        let first = [x0 as f32 + left + 0.5, y0 as f32 + top + 0.5, 0.0];
        let mut edges = [(b, c), (c, a), (a, b)].map(|(from, to)| Edge::new(from, to, first));
        let near = |edges: &[Edge; 3], value: fn(&Edge) -> f32| {
            (value(&edges[0]) * a[2] + value(&edges[1]) * b[2] + value(&edges[2]) * c[2]) / area
        };
        let (right, down) = (
            near(&edges, |edge| edge.right),
            near(&edges, |edge| edge.down),
        );
        let mut row_near = near(&edges, |edge| edge.value);
        for y in y0..y1 {
            let row = y * self.width;
            let samples = row + x0..row + x1;
            let depths = self.nearness[samples.clone()].iter_mut();
            let ids = self.triangles[samples].iter_mut();
            let [mut u, mut v, mut w] = edges.map(|edge| edge.value);
            let mut depth = row_near;
            for (nearest, id) in depths.zip(ids) {
                if u >= 0.0 && v >= 0.0 && w >= 0.0 && depth > *nearest {
                    *nearest = depth;
                    *id = triangle;
                }
                u += edges[0].right;
                v += edges[1].right;
                w += edges[2].right;
                depth += right;
            }
            for edge in &mut edges {
                edge.value += edge.down;
            }
            row_near += down;
        }
    }
}

/// Twice the area of a triangle; positive where its corners go counter-clockwise with y up, which
/// is clockwise on a picture, with y down.
fn cross(a: Corner, b: Corner, c: Corner) -> f32 {
    (c[0] - a[0]) * (b[1] - a[1]) - (b[0] - a[0]) * (c[1] - a[1])
}

/// On which side of an edge a sample lies, and how that changes to the right and down.
#[derive(Debug, Clone, Copy)]
struct Edge {
    value: f32,
    right: f32,
    down: f32,
}

impl Edge {
    fn new(from: Corner, to: Corner, at: Corner) -> Edge {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        Edge {
            value: (at[0] - from[0]) * dy - (at[1] - from[1]) * dx,
            right: dy,
            down: -dx,
        }
    }
}

/// The shares of a triangle's corners at a place in it, each 0 to 1; outside, of the place in it
/// that is near.
pub fn shares(corners: [Corner; 3], x: f32, y: f32) -> [f32; 3] {
    let [a, b, c] = corners;
    let at = [x, y, 0.0];
    let area = cross(a, b, c).max(1e-6);
    let u = (cross(at, b, c) / area).clamp(0.0, 1.0);
    let v = (cross(a, at, c) / area).clamp(0.0, 1.0);
    let w = (1.0 - u - v).max(0.0);
    let sum = u + v + w;
    [u / sum, v / sum, w / sum]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> Layer {
        let mut layer = Layer::default();
        layer.clear(2, 1, 8, 6);
        layer
    }

    /// Covers the whole layer.
    fn all(nearness: f32) -> [Corner; 3] {
        [
            [-20.0, 30.0, nearness],
            [40.0, 30.0, nearness],
            [10.0, -40.0, nearness],
        ]
    }

    #[test]
    fn the_nearest_triangle_is_seen_whatever_the_order() {
        for order in [[1, 2], [2, 1]] {
            let mut layer = layer();
            for triangle in order {
                layer.fill(all(triangle as f32), triangle);
            }
            assert!(layer.triangles.iter().all(|&id| id == 2));
        }
    }

    #[test]
    fn what_faces_away_is_not_drawn() {
        let mut layer = layer();
        let [a, b, c] = all(1.0);
        layer.fill([a, c, b], 1);
        assert!(layer.triangles.iter().all(|&id| id == NONE));
    }

    #[test]
    fn triangles_with_a_common_edge_leave_no_gap() {
        let mut layer = layer();
        let (a, b) = ([1.3, 0.2, 1.0], [11.2, 0.4, 1.0]);
        let (c, d) = ([1.1, 8.7, 1.0], [11.9, 8.1, 1.0]);
        layer.fill([a, c, b], 1);
        layer.fill([b, c, d], 2);
        assert!(layer.triangles.iter().all(|&id| id != NONE));
    }

    #[test]
    fn shares_sum_to_one_and_name_the_corner() {
        let corners = all(1.0);
        let shares_at = |corner: Corner| shares(corners, corner[0], corner[1]);
        assert!(shares_at(corners[1])[1] > 0.999);
        let sum: f32 = shares(corners, 500.0, 3.0).iter().sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}

//! Square windows on frames: where they lie, and what a network sees in them.

use std::ops::Range;

use anyhow::{Context, Result};
use rand::RngExt;
use rand::rngs::StdRng;

use super::augment::draw_colour;
use crate::base::frame::{Rect, Square};
use crate::base::picture::Picture;
use crate::recognize::crop::{Cropper, OUTSIDE};

/// A window is at most this many times as large as the frame's larger side.
const WIDEST: f32 = 3.0;

/// A hand's centre keeps at least this share of the window from the window's edge, and …
const LEAST_MARGIN: f32 = 0.06;

/// … this share of the hand's larger side, so that most of a large hand is in the window.
const MARGIN: f32 = 0.3;

/// Boxes hug the joints; where there must be no hand, they are taken this much wider.
const CLEARANCE: f32 = 1.5;

/// Places tried for a window without a hand before a frame is given up.
const TRIES: usize = 24;

/// A picture with its hands in fractions of it, the one that signs first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shot<'a> {
    pub picture: &'a Picture,
    pub hands: &'a [Rect],
}

impl Shot<'_> {
    fn size(&self) -> [f32; 2] {
        [self.picture.width as f32, self.picture.height as f32]
    }

    /// A window in which the signing hand's larger side is a share of `zoom`, as often small as large (log-uniform),
    /// anywhere up to the edges; where the whole frame fits, half the time about in the window's middle.
    pub fn with_hand(&self, zoom: Range<f32>, rng: &mut StdRng) -> Square {
        let [width, height] = self.size();
        let hand = self.hands.first().copied().unwrap_or(Rect::FULL);
        let hand_side = (hand.width() * width).max(hand.height() * height);
        let share = rng.random_range(zoom.start.ln()..zoom.end.ln()).exp();
        let whole = width.max(height);
        let side = (hand_side / share).min(WIDEST * whole).max(8.0);
        let share = hand_side / side;
        let margin = LEAST_MARGIN.max(MARGIN * share).min(0.45);
        let stays = side > 0.8 * whole && rng.random::<bool>();
        let mut along = |centre: f32, length: f32| {
            let (first, last) = (centre - (1.0 - margin) * side, centre - margin * side);
            if stays {
                let moved = rng.random_range(-0.1..0.1_f32) * side;
                ((length - side) / 2.0 + moved).clamp(first, last)
            } else {
                rng.random_range(first..=last)
            }
        };
        Square {
            left: along((hand.x0 + hand.x1) / 2.0 * width, width),
            top: along((hand.y0 + hand.y1) / 2.0 * height, height),
            side,
        }
    }

    /// A window without any of the known hands: from a hand's surroundings as a second look sees them to most of the
    /// frame. `None` where no place was found.
    pub fn without_hands(&self, rng: &mut StdRng) -> Option<Square> {
        let [width, height] = self.size();
        let smaller = width.min(height);
        for _ in 0..TRIES {
            let side = smaller * rng.random_range(0.12_f32.ln()..1.0_f32.ln()).exp();
            // Up to a quarter of the window may lie beyond the frame, as at its edge live.
            let mut place = |length: f32| rng.random_range(-side / 4.0..=length - 0.75 * side);
            let (left, top) = (place(width), place(height));
            let free = self.hands.iter().all(|hand| {
                let hand = scaled(*hand, CLEARANCE);
                hand.x1 * width < left
                    || hand.x0 * width > left + side
                    || hand.y1 * height < top
                    || hand.y0 * height > top + side
            });
            if free && side >= 24.0 {
                return Some(Square { left, top, side });
            }
        }
        None
    }
}

/// A box around the same centre, `by` times as wide and high.
fn scaled(hand: Rect, by: f32) -> Rect {
    let (x, y) = ((hand.x0 + hand.x1) / 2.0, (hand.y0 + hand.y1) / 2.0);
    let (w, h) = (hand.width() * by / 2.0, hand.height() * by / 2.0);
    Rect {
        x0: x - w,
        y0: y - h,
        x1: x + w,
        y1: y + h,
    }
}

/// What a window shows beyond the frame's edge.
#[derive(Debug, Clone, Copy)]
enum Beyond {
    /// The grey of live pictures.
    Grey,
    /// The frame's nearest pixel.
    Edge,
    /// Another colour.
    Colour([u8; 3]),
}

/// Makes windows' pictures. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    cropper: Cropper,
}

impl Viewer {
    /// Shows `window` of a shot in `out`, `size` x `size` pixels, mirrored half the time, and says where the hands
    /// are in it, in fractions of the window.
    pub fn show(
        &mut self,
        shot: &Shot,
        window: Square,
        size: usize,
        rng: &mut StdRng,
        out: &mut [u8],
    ) -> Result<Vec<Rect>> {
        let Picture {
            width,
            height,
            ref pixels,
        } = *shot.picture;
        self.cropper
            .crop(pixels, width, height, window, size, out)
            .context("cannot show a window of a frame")?;
        let beyond = match rng.random_range(0..3) {
            0 => Beyond::Grey,
            1 => Beyond::Edge,
            _ => Beyond::Colour(draw_colour(rng)),
        };
        let scale = size as f32 / window.side;
        let span = |start: f32, length: f32| {
            let first = (-start * scale).ceil().clamp(0.0, size as f32 - 1.0) as usize;
            let end = ((length - start) * scale).floor();
            first..(end.clamp(0.0, size as f32) as usize).max(first + 1)
        };
        fill_beyond(
            out,
            size,
            span(window.left, width as f32),
            span(window.top, height as f32),
            beyond,
        );
        let mirrored = rng.random::<bool>();
        if mirrored {
            for row in out.chunks_exact_mut(size * 3) {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
        let [w, h] = shot.size();
        let hands = shot.hands.iter().map(|hand| {
            let along = |at: f32, length: f32, start: f32| (at * length - start) / window.side;
            let (x0, x1) = (
                along(hand.x0, w, window.left),
                along(hand.x1, w, window.left),
            );
            let (x0, x1) = if mirrored {
                (1.0 - x1, 1.0 - x0)
            } else {
                (x0, x1)
            };
            Rect {
                x0,
                y0: along(hand.y0, h, window.top),
                x1,
                y1: along(hand.y1, h, window.top),
            }
        });
        Ok(hands.collect())
    }
}

/// Fills what lies beyond the frame, which covers `columns` and `rows` of the picture.
fn fill_beyond(
    out: &mut [u8],
    size: usize,
    columns: Range<usize>,
    rows: Range<usize>,
    beyond: Beyond,
) {
    let colour = match beyond {
        Beyond::Grey => [OUTSIDE; 3],
        Beyond::Colour(colour) => colour,
        Beyond::Edge => {
            for row in out.chunks_exact_mut(size * 3) {
                let (pixels, _) = row.as_chunks_mut::<3>();
                let (left, right) = (pixels[columns.start], pixels[columns.end - 1]);
                pixels[..columns.start].fill(left);
                pixels[columns.end..].fill(right);
            }
            let stride = size * 3;
            for y in 0..rows.start {
                out.copy_within(rows.start * stride..(rows.start + 1) * stride, y * stride);
            }
            for y in rows.end..size {
                out.copy_within((rows.end - 1) * stride..rows.end * stride, y * stride);
            }
            return;
        }
    };
    for (y, row) in out.chunks_exact_mut(size * 3).enumerate() {
        let (pixels, _) = row.as_chunks_mut::<3>();
        if rows.contains(&y) {
            pixels[..columns.start].fill(colour);
            pixels[columns.end..].fill(colour);
        } else {
            pixels.fill(colour);
        }
    }
}

/// Hides a hand, its box in fractions of a picture of `size` x `size` pixels: behind a piece from elsewhere in the
/// picture, or behind what lies around it, drawn across. Whether there was a way to.
pub(super) fn hide(image: &mut [u8], size: usize, hand: Rect, rng: &mut StdRng) -> bool {
    let hand = scaled(hand, CLEARANCE);
    let pixel = |share: f32| (share.clamp(0.0, 1.0) * size as f32) as usize;
    let (x0, y0, x1, y1) = (
        pixel(hand.x0),
        pixel(hand.y0),
        pixel(hand.x1),
        pixel(hand.y1),
    );
    let (w, h) = (x1 - x0, y1 - y0);
    if w < 3 || h < 3 || w > size / 2 || h > size / 2 {
        return false;
    }
    let before = image.to_vec();
    let at = |x: usize, y: usize, c: usize| {
        f32::from(before[(y.min(size - 1) * size + x.min(size - 1)) * 3 + c])
    };
    let elsewhere = rng.random::<bool>().then(|| {
        // A piece that does not touch the hand's.
        let mut place = || {
            (
                rng.random_range(0..=size - w),
                rng.random_range(0..=size - h),
            )
        };
        (0..TRIES)
            .map(|_| place())
            .find(|&(x, y)| x >= x1 || x + w <= x0 || y >= y1 || y + h <= y0)
    });
    let soft = (w.min(h) as f32 * 0.15).max(1.5);
    for y in y0..y1 {
        for x in x0..x1 {
            // Nothing shines through where the picture itself ends.
            let inside = |start: usize, at: usize, end: usize| {
                let before = if start == 0 { size } else { at - start + 1 };
                let behind = if end == size { size } else { end - at };
                before.min(behind) as f32
            };
            let cover = (inside(x0, x, x1).min(inside(y0, y, y1)) / soft).min(1.0);
            let share = |start: usize, at: usize, end: usize| match (start, end) {
                (0, _) => 1.0,
                (_, end) if end == size => 0.0,
                _ => (at - start) as f32 / (end - start) as f32,
            };
            let (tx, ty) = (share(x0, x, x1), share(y0, y, y1));
            for c in 0..3 {
                let drawn = match elsewhere.flatten() {
                    Some((px, py)) => at(px + x - x0, py + y - y0, c),
                    None => {
                        let across = at(x0, y, c) * (1.0 - tx) + at(x1, y, c) * tx;
                        let down = at(x, y0, c) * (1.0 - ty) + at(x, y1, c) * ty;
                        (across + down) / 2.0
                    }
                };
                let value = at(x, y, c) * (1.0 - cover) + drawn * cover;
                image[(y * size + x) * 3 + c] = value.round() as u8;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// A grey wall with a red hand and a blue second one.
    fn room() -> (Picture, [Rect; 2]) {
        let (width, height) = (320, 240);
        let hands = [
            Rect {
                x0: 0.6,
                y0: 0.2,
                x1: 0.75,
                y1: 0.5,
            },
            Rect {
                x0: 0.1,
                y0: 0.8,
                x1: 0.2,
                y1: 0.95,
            },
        ];
        let mut pixels = [90; 3].repeat(width * height);
        for (hand, colour) in hands.iter().zip([[220, 30, 30], [30, 30, 220]]) {
            for (at, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let (x, y) = (at % width, at / width);
                let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
                if (hand.x0..hand.x1).contains(&x) && (hand.y0..hand.y1).contains(&y) {
                    *pixel = colour;
                }
            }
        }
        let picture = Picture {
            width,
            height,
            pixels,
        };
        (picture, hands)
    }

    const SIZE: usize = 96;

    fn colour_at(out: &[u8], [x, y]: [f32; 2]) -> Option<[u8; 3]> {
        let inside = |share: f32| (0.0..1.0).contains(&share);
        (inside(x) && inside(y)).then(|| {
            let at = (y * SIZE as f32) as usize * SIZE + (x * SIZE as f32) as usize;
            out.as_chunks::<3>().0[at]
        })
    }

    #[test]
    fn the_hand_lies_in_its_window_where_it_is_said_to_and_in_the_size_asked_for() {
        let (picture, hands) = room();
        let shot = Shot {
            picture: &picture,
            hands: &hands,
        };
        let mut rng = StdRng::seed_from_u64(1);
        let mut viewer = Viewer::default();
        let mut out = vec![0; SIZE * SIZE * 3];
        for _ in 0..200 {
            let window = shot.with_hand(0.1..0.9, &mut rng);
            let seen = viewer
                .show(&shot, window, SIZE, &mut rng, &mut out)
                .unwrap();
            let hand = seen[0];
            let middle = [(hand.x0 + hand.x1) / 2.0, (hand.y0 + hand.y1) / 2.0];
            let [red, green, _] = colour_at(&out, middle).expect("its middle is in the window");
            assert!(red > 150 && green < 90, "{hand:?}");
            // 72 pixels in a window of at most three frames' width.
            let side = hand.width().max(hand.height());
            assert!((0.07..0.91).contains(&side), "{side}");
        }
    }

    #[test]
    fn a_window_without_hands_shows_none_of_them() {
        let (picture, hands) = room();
        let shot = Shot {
            picture: &picture,
            hands: &hands,
        };
        let mut rng = StdRng::seed_from_u64(2);
        let mut viewer = Viewer::default();
        let mut out = vec![0; SIZE * SIZE * 3];
        let mut found = 0;
        for _ in 0..100 {
            let Some(window) = shot.without_hands(&mut rng) else {
                continue;
            };
            found += 1;
            viewer
                .show(&shot, window, SIZE, &mut rng, &mut out)
                .unwrap();
            // What lies beyond the frame may have any colour, but the wall's is the most.
            let hand = |pixel: &&[u8; 3]| **pixel == [220, 30, 30] || **pixel == [30, 30, 220];
            assert_eq!(out.as_chunks::<3>().0.iter().filter(hand).count(), 0);
        }
        assert!(found > 50, "{found}");
        let all = Shot {
            picture: &picture,
            hands: &[Rect::FULL],
        };
        assert_eq!(all.without_hands(&mut rng), None);
    }

    #[test]
    fn nothing_of_a_hidden_hand_is_left_and_one_that_fills_the_picture_cannot_be_hidden() {
        let (picture, hands) = room();
        let mut rng = StdRng::seed_from_u64(3);
        let mut viewer = Viewer::default();
        let mut out = vec![0; SIZE * SIZE * 3];
        let shot = Shot {
            picture: &picture,
            hands: &hands[..1],
        };
        for _ in 0..40 {
            let window = Square {
                left: 0.0,
                top: -40.0,
                side: 320.0,
            };
            let seen = viewer
                .show(&shot, window, SIZE, &mut rng, &mut out)
                .unwrap();
            assert!(hide(&mut out, SIZE, seen[0], &mut rng));
            let red = |pixel: &&[u8; 3]| pixel[0] > 180 && pixel[1] < 60;
            assert_eq!(out.as_chunks::<3>().0.iter().filter(red).count(), 0);
        }
        assert!(!hide(&mut out, SIZE, Rect::FULL, &mut rng));
    }

    #[test]
    fn what_lies_beyond_the_frame_is_filled_up_to_its_edges() {
        let mut out = [200; 3].repeat(8 * 8);
        fill_beyond(&mut out, 8, 2..6, 3..8, Beyond::Colour([1, 2, 3]));
        let count = |wanted: [u8; 3]| {
            let pixels = out.as_chunks::<3>().0;
            pixels.iter().filter(|pixel| **pixel == wanted).count()
        };
        assert_eq!((count([200; 3]), count([1, 2, 3])), (4 * 5, 64 - 20));
        out[(3 * 8 + 2) * 3..][..3].copy_from_slice(&[9, 9, 9]);
        fill_beyond(&mut out, 8, 2..6, 3..8, Beyond::Edge);
        assert_eq!(out[..3], [9, 9, 9]);
        assert_eq!(out[7 * 3..8 * 3], [200; 3]);
    }
}

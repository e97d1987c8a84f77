//! Black that a picture was filled or cut out with.

use crate::base::frame::Rect;
use crate::base::picture::Picture;

/// A pixel this dark in every channel is black.
const BLACK: u8 = 16;

/// A row or column belongs to a band where its brightest channels average at most this …
const BAND_MEAN: u32 = 8;
/// … and none exceeds this: a codec leaves some ringing in the black.
const BAND_MAX: u8 = 40;

/// Of what is left between the bands, a cut-out's outline touches the edges at few places: this
/// share of the edge is black. In photographs of dark rooms it stays well below.
const CUT_OUT_EDGE: f32 = 0.7;

/// Leaves away the black bands at the edges; says which part of the picture is left, and whether
/// it is something cut out on black. Of a cut-out nothing is left away.
pub(super) fn trim(picture: Picture) -> (Picture, Rect, bool) {
    let (width, height) = (picture.width, picture.height);
    let row = |y: usize| is_band((0..width).map(|x| brightest(&picture, x, y)));
    let column = |x: usize| is_band((0..height).map(|y| brightest(&picture, x, y)));
    let edges = [
        band((0..width).map(column)),
        band((0..height).map(row)),
        band((0..width).rev().map(column)),
        band((0..height).rev().map(row)),
    ];
    let inside = |[left, top, right, bottom]: [usize; 4]| {
        let (x1, y1) = (width.saturating_sub(right), height.saturating_sub(bottom));
        (left + 2 < x1 && top + 2 < y1).then_some([left, top, x1, y1])
    };
    if inside(edges).is_some_and(|inside| edge_is_black(&picture, inside)) {
        return (picture, Rect::FULL, true);
    }
    // The codec mixed one more line with the band.
    let edges = edges.map(|lines| if lines > 1 { lines + 1 } else { 0 });
    let Some([x0, y0, x1, y1]) = inside(edges).filter(|_| edges != [0; 4]) else {
        return (picture, Rect::FULL, false);
    };
    let part = Rect {
        x0: x0 as f32 / width as f32,
        y0: y0 as f32 / height as f32,
        x1: x1 as f32 / width as f32,
        y1: y1 as f32 / height as f32,
    };
    let mut pixels = Vec::with_capacity((x1 - x0) * (y1 - y0) * 3);
    for line in picture
        .pixels
        .chunks_exact(width * 3)
        .skip(y0)
        .take(y1 - y0)
    {
        pixels.extend_from_slice(&line[x0 * 3..x1 * 3]);
    }
    let trimmed = Picture {
        width: x1 - x0,
        height: y1 - y0,
        pixels,
    };
    (trimmed, part, false)
}

/// The brightest channel of a pixel.
fn brightest(picture: &Picture, x: usize, y: usize) -> u8 {
    let at = (y * picture.width + x) * 3;
    picture
        .pixels
        .get(at..at + 3)
        .map_or(0, |pixel| pixel[0].max(pixel[1]).max(pixel[2]))
}

fn is_band(pixels: impl ExactSizeIterator<Item = u8>) -> bool {
    let count = pixels.len() as u32;
    let mut sum = 0;
    for value in pixels {
        if value > BAND_MAX {
            return false;
        }
        sum += u32::from(value);
    }
    sum <= BAND_MEAN * count
}

/// The thickness of a band, in lines.
fn band(lines: impl Iterator<Item = bool>) -> usize {
    lines.take_while(|&is_band| is_band).count()
}

fn edge_is_black(picture: &Picture, [x0, y0, x1, y1]: [usize; 4]) -> bool {
    let across = (x0..x1).flat_map(|x| [(x, y0), (x, y1 - 1)]);
    let down = (y0..y1).flat_map(|y| [(x0, y), (x1 - 1, y)]);
    let (mut black, mut all) = (0, 0);
    for (x, y) in across.chain(down) {
        all += 1;
        black += usize::from(brightest(picture, x, y) <= BLACK);
    }
    black as f32 >= CUT_OUT_EDGE * all as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(lit: impl Fn(usize, usize) -> bool) -> Picture {
        let pixels = (0..60 * 50)
            .flat_map(|at| match lit(at % 60, at / 60) {
                true => [150, 120, (at % 60) as u8],
                false => [3, 2, 4],
            })
            .collect();
        Picture {
            width: 60,
            height: 50,
            pixels,
        }
    }

    #[test]
    fn a_black_band_is_left_away_and_the_rest_stays_in_place() {
        let (trimmed, part, cut_out) = trim(picture(|x, y| x < 48 && y >= 10));
        assert!(!cut_out);
        // A line more than the band on each side.
        assert_eq!((trimmed.width, trimmed.height), (47, 39));
        assert_eq!(
            part,
            Rect {
                x0: 0.0,
                y0: 11.0 / 50.0,
                x1: 47.0 / 60.0,
                y1: 1.0
            }
        );
        assert_eq!(trimmed.pixels[..3], [150, 120, 0]);
        assert_eq!(trimmed.pixels[trimmed.pixels.len() - 1], 46);
    }

    #[test]
    fn a_hand_cut_out_on_black_keeps_its_black() {
        let whole = picture(|x, y| x.abs_diff(30) + y.abs_diff(25) < 18);
        let (kept, part, cut_out) = trim(whole.clone());
        assert!(cut_out);
        assert_eq!(part, Rect::FULL);
        assert!(kept == whole);
    }

    #[test]
    fn pictures_without_bands_and_wholly_black_ones_stay_as_they_are() {
        for whole in [picture(|_, _| true), picture(|_, _| false)] {
            let (kept, part, cut_out) = trim(whole.clone());
            assert!(kept == whole && !cut_out);
            assert_eq!(part, Rect::FULL);
        }
    }
}

//! Where in a whole frame nothing is signed.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::base::frame::{Rect, Square};
use crate::base::picture::Picture;

/// Hand boxes hug the joints; the hand with its skin is this much wider.
const HAND_SCALE: f32 = 1.3;

/// Largest overlap (intersection over union) of a piece with the hand's widened box.
const MAX_IOU: f32 = 0.1;

/// Largest share of the hand's widened box that a piece may hold.
const MAX_HAND: f32 = 0.15;

/// Pieces tried before a frame is given up.
const TRIES: usize = 24;

/// Draws a square piece of `picture` away from its `hand`: about as large as a crop of the hand at
/// `crop_scale` would be. `None` where none was found.
pub(in crate::train) fn away_from(
    hand: Rect,
    picture: &Picture,
    crop_scale: f32,
    rng: &mut StdRng,
) -> Option<Square> {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let hand_side = hand.square(crop_scale, picture.width, picture.height).side;
    let hand = widened(hand);
    for _ in 0..TRIES {
        let side = (hand_side * rng.random_range(0.6..1.5_f32)).clamp(8.0, width.max(height));
        // Up to a quarter of the piece may lie beyond the frame, as crops at its edge do live.
        let mut place = |length: f32| {
            let slack = length - side / 2.0;
            let (low, high) = (-side / 4.0, slack.max(-side / 4.0 + 1.0));
            rng.random_range(low..high)
        };
        let (left, top) = (place(width), place(height));
        let piece = Rect {
            x0: left / width,
            y0: top / height,
            x1: (left + side) / width,
            y1: (top + side) / height,
        };
        if hand.iou(&piece) < MAX_IOU && share_of(&hand, &piece) < MAX_HAND {
            return Some(Square { left, top, side });
        }
    }
    None
}

/// The box around the whole hand, skin included.
pub(in crate::train) fn widened(hand: Rect) -> Rect {
    let (dx, dy) = (
        hand.width() * (HAND_SCALE - 1.0) / 2.0,
        hand.height() * (HAND_SCALE - 1.0) / 2.0,
    );
    Rect {
        x0: hand.x0 - dx,
        y0: hand.y0 - dy,
        x1: hand.x1 + dx,
        y1: hand.y1 + dy,
    }
}

/// The share of `hand` that `piece` holds, 0 to 1.
fn share_of(hand: &Rect, piece: &Rect) -> f32 {
    let width = (hand.x1.min(piece.x1) - hand.x0.max(piece.x0)).max(0.0);
    let height = (hand.y1.min(piece.y1) - hand.y0.max(piece.y0)).max(0.0);
    width * height / (hand.width() * hand.height()).max(f32::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn frame() -> Picture {
        Picture {
            width: 320,
            height: 240,
            pixels: vec![0; 320 * 240 * 3],
        }
    }

    #[test]
    fn pieces_of_a_frame_hold_hardly_any_of_the_hand() {
        let hand = Rect {
            x0: 0.55,
            y0: 0.3,
            x1: 0.8,
            y1: 0.7,
        };
        let mut rng = StdRng::seed_from_u64(1);
        let mut found = 0;
        for _ in 0..200 {
            let Some(square) = away_from(hand, &frame(), 1.35, &mut rng) else {
                continue;
            };
            found += 1;
            let piece = Rect {
                x0: square.left / 320.0,
                y0: square.top / 240.0,
                x1: (square.left + square.side) / 320.0,
                y1: (square.top + square.side) / 240.0,
            };
            assert!(share_of(&widened(hand), &piece) < MAX_HAND, "{square:?}");
            assert!(piece.x1 > 0.0 && piece.x0 < 1.0 && piece.y1 > 0.0 && piece.y0 < 1.0);
        }
        assert!(found > 150, "only {found} of 200 pieces were found");
    }

    #[test]
    fn a_frame_that_the_hand_fills_has_no_surroundings() {
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(away_from(Rect::FULL, &frame(), 1.35, &mut rng), None);
    }
}

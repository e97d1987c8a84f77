use rand::SeedableRng;

use super::*;
use crate::base::frame::Rect;
use crate::base::frame::Square;
use crate::base::picture::Picture;

const SIZE: usize = 64;

/// A hand-like drawing: a lit figure with a bright mark at its top left, on a darker room.
fn picture() -> Picture {
    let (width, height) = (120, 100);
    let pixels = (0..width * height)
        .flat_map(|at| {
            let (x, y) = (at % width, at / width);
            if (38..44).contains(&x) && (28..34).contains(&y) {
                [255, 255, 255]
            } else if (40..80).contains(&x) && (30..70).contains(&y) {
                [200, 140, 110]
            } else {
                [30 + (x / 4) as u8, 50 + (y / 4) as u8, 60]
            }
        })
        .collect();
    Picture {
        width,
        height,
        pixels,
    }
}

/// All joints on the mark's centre, so that pixels and joints can be compared.
fn joints() -> HandPoints {
    [[41.0 / 120.0, 31.0 / 100.0]; 21]
}

fn square(picture: &Picture) -> Square {
    let hand = Rect {
        x0: 0.3,
        y0: 0.25,
        x1: 0.7,
        y1: 0.75,
    };
    hand.square(1.35, picture.width, picture.height)
}

fn crop(recipe: Recipe, seed: u64) -> (Vec<u8>, CropPoints) {
    let picture = picture();
    let points = joints();
    let subject = Subject {
        picture: &picture,
        square: square(&picture),
        points: Some(&points),
        cut_out: false,
    };
    let mut augmenter = Augmenter::new(recipe, SIZE);
    let mut out = vec![0; augmenter.bytes()];
    let mut rng = StdRng::seed_from_u64(seed);
    let backdrop = augmenter
        .wants_backdrop(&subject, &mut rng)
        .then_some(Backdrop::Drawn);
    let placed = augmenter
        .crop(&subject, backdrop, &mut rng, &mut out)
        .unwrap();
    (out, placed.unwrap())
}

#[test]
fn without_variation_the_crop_is_the_live_one_bit_for_bit() {
    let picture = picture();
    let mut live = vec![0; SIZE * SIZE * 3];
    Cropper::new()
        .crop(
            &picture.pixels,
            picture.width,
            picture.height,
            square(&picture),
            SIZE,
            &mut live,
        )
        .unwrap();
    assert!(crop(Recipe::NONE, 1).0 == live);
}

#[test]
fn a_warp_that_turns_nothing_gives_the_live_crop_to_within_rounding() {
    // Too little to move a pixel, enough to go through the warp.
    let recipe = Recipe {
        rotation_deg: 1e-3,
        borders: &[Border::Outside],
        ..Recipe::NONE
    };
    let warped = crop(recipe, 1).0;
    let direct = crop(Recipe::NONE, 1).0;
    let mean = warped
        .iter()
        .zip(&direct)
        .map(|(&a, &b)| f64::from(a.abs_diff(b)))
        .sum::<f64>()
        / direct.len() as f64;
    assert!(mean < 3.0, "off by {mean} grey levels on average");
}

#[test]
fn joints_go_where_their_pixels_go() {
    let recipe = Recipe {
        rotation_deg: 25.0,
        shear_deg: 10.0,
        perspective: 0.15,
        mirror: 0.5,
        shift: 0.1,
        box_scale: (0.9, 1.2),
        ..Recipe::NONE
    };
    for seed in 0..40 {
        let (pixels, placed) = crop(recipe.clone(), seed);
        let [x, y] = placed.points[0];
        if !placed.visible[0] || !(0.1..0.9).contains(&x) || !(0.1..0.9).contains(&y) {
            continue;
        }
        // The centre of the white mark.
        let (mut sum, mut count) = ([0.0, 0.0], 0.0);
        for (at, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
            if pixel.iter().all(|&value| value > 225) {
                sum[0] += (at % SIZE) as f32 + 0.5;
                sum[1] += (at / SIZE) as f32 + 0.5;
                count += 1.0;
            }
        }
        assert!(count > 0.0, "the mark is gone at seed {seed}");
        let found = sum.map(|total| total / count / SIZE as f32);
        assert!(
            (found[0] - x).abs() < 0.02 && (found[1] - y).abs() < 0.02,
            "seed {seed}: the mark is at {found:?}, its joint at ({x}, {y})"
        );
    }
}

#[test]
fn mirroring_moves_the_mark_to_the_other_side() {
    let recipe = Recipe {
        mirror: 1.0,
        ..Recipe::NONE
    };
    let (_, straight) = crop(Recipe::NONE, 1);
    let (_, mirrored) = crop(recipe, 1);
    assert!((straight.points[0][0] + mirrored.points[0][0] - 1.0).abs() < 1e-4);
    assert!((straight.points[0][1] - mirrored.points[0][1]).abs() < 1e-4);
}

#[test]
fn a_joint_that_leaves_the_crop_is_not_visible() {
    let recipe = Recipe {
        box_scale: (0.3, 0.3),
        ..Recipe::NONE
    };
    let (_, placed) = crop(recipe, 1);
    assert_eq!(placed.visible, [false; 21]);
}

#[test]
fn the_same_seed_gives_the_same_crop_and_another_seed_another() {
    for recipe in [Recipe::NOTEBOOK, Recipe::ROOMS] {
        let first = crop(recipe.clone(), 7);
        assert!(first == crop(recipe.clone(), 7));
        assert!(first.0 != crop(recipe, 8).0);
    }
}

#[test]
fn a_seed_decides_whatever_the_buffers_held_before() {
    let picture = picture();
    let subject = Subject {
        picture: &picture,
        square: square(&picture),
        points: None,
        cut_out: false,
    };
    let mut used = Augmenter::new(Recipe::ROOMS, SIZE);
    let mut out = vec![0; used.bytes()];
    for seed in 0..30 {
        let crop = |augmenter: &mut Augmenter, out: &mut [u8]| {
            let mut rng = StdRng::seed_from_u64(seed);
            augmenter
                .crop(&subject, Some(Backdrop::Drawn), &mut rng, out)
                .unwrap();
        };
        crop(&mut used, &mut out);
        let mut fresh = vec![0; out.len()];
        crop(&mut Augmenter::new(Recipe::ROOMS, SIZE), &mut fresh);
        assert!(out == fresh, "seed {seed}");
    }
}

#[test]
fn a_new_background_leaves_the_hand_and_replaces_the_room() {
    let picture = picture();
    // Joints all over the lit figure: the figure is the hand.
    let mut points = joints();
    for (at, point) in points.iter_mut().enumerate() {
        *point = [
            (46.0 + (at % 5) as f32 * 7.0) / 120.0,
            (36.0 + (at / 5) as f32 * 7.0) / 100.0,
        ];
    }
    let scene = Picture {
        width: 50,
        height: 50,
        pixels: [10, 200, 20].repeat(2500),
    };
    let backdrop = Backdrop::Scene {
        picture: &scene,
        square: Square {
            left: 5.0,
            top: 5.0,
            side: 40.0,
        },
    };
    let subject = Subject {
        picture: &picture,
        square: square(&picture),
        points: Some(&points),
        cut_out: false,
    };
    let mut augmenter = Augmenter::new(Recipe::NONE, SIZE);
    let mut out = vec![0; augmenter.bytes()];
    let mut rng = StdRng::seed_from_u64(1);
    augmenter
        .crop(&subject, Some(backdrop), &mut rng, &mut out)
        .unwrap();
    let pixel = |x: usize, y: usize| &out[(y * SIZE + x) * 3..][..3];
    assert_eq!(pixel(32, 32), [200, 140, 110], "the palm changed");
    // Not at the top left: there the wrist is, and the forearm beyond it.
    assert_eq!(pixel(61, 61), [10, 200, 20], "the room is still there");
}

#[test]
fn a_hand_cut_out_on_black_loses_the_black() {
    let mut picture = picture();
    for pixel in picture.pixels.as_chunks_mut::<3>().0 {
        if pixel[0] < 100 {
            *pixel = [3, 3, 3];
        }
    }
    let scene = Picture {
        width: 50,
        height: 50,
        pixels: [10, 200, 20].repeat(2500),
    };
    let subject = Subject {
        picture: &picture,
        square: square(&picture),
        points: None,
        cut_out: true,
    };
    let backdrop = Backdrop::Scene {
        picture: &scene,
        square: Square {
            left: 0.0,
            top: 0.0,
            side: 50.0,
        },
    };
    let augmenter = Augmenter::new(Recipe::ROOMS, SIZE);
    let mut rng = StdRng::seed_from_u64(1);
    assert!(augmenter.wants_backdrop(&subject, &mut rng));
    let mut augmenter = Augmenter::new(Recipe::NONE, SIZE);
    let mut out = vec![0; augmenter.bytes()];
    augmenter
        .crop(&subject, Some(backdrop), &mut rng, &mut out)
        .unwrap();
    let pixel = |x: usize, y: usize| &out[(y * SIZE + x) * 3..][..3];
    assert_eq!(pixel(32, 32), [200, 140, 110], "the palm changed");
    assert_eq!(pixel(3, 3), [10, 200, 20], "the black is still there");
}

use super::alphabet::{GESTURES, LETTERS, pose};
use super::*;

fn labels() -> impl Iterator<Item = &'static str> {
    LETTERS.into_iter().chain(GESTURES)
}

#[test]
fn every_letter_and_gesture_has_a_pose_that_a_hand_can_take() {
    for label in labels() {
        let pose = pose(label).unwrap_or_else(|| panic!("{label} has no pose"));
        assert!(pose.is_possible(), "{label}: {pose:?}");
    }
    assert!(pose("letter").is_none());
}

#[test]
fn a_letter_that_is_moved_is_possible_all_the_way() {
    for letter in ["J", "Z"] {
        let movement = Movement::of(letter).unwrap();
        for step in 0..=20 {
            let (_, turn) = movement.at(step as f32 / 20.0);
            assert!(pose(letter).unwrap().turned(turn).is_possible(), "{letter}");
        }
    }
    assert!(Movement::of("I").is_none() && Movement::of("D").is_none());
}

#[test]
fn a_hand_that_is_held_a_little_otherwise_is_still_possible() {
    let mut chance = Chance::seeded(3);
    for label in labels() {
        let other = pose(label).unwrap().jittered(&mut chance, 8.0);
        assert!(other.is_possible(), "{label}: {other:?}");
    }
}

#[test]
fn the_same_chance_gives_the_same_scene_and_another_one_another() {
    let scene = |seed| random_scene(&mut Chance::seeded(seed), "W", (160, 120)).unwrap();
    assert_eq!(scene(1), scene(1));
    assert_ne!(scene(1).picture, scene(2).picture);
}

#[test]
fn what_is_neither_letter_nor_gesture_has_no_scene() {
    assert!(random_scene(&mut Chance::seeded(1), "?", (160, 120)).is_none());
}

#[test]
fn hands_of_random_scenes_are_in_the_picture_with_all_their_points() {
    let mut chance = Chance::seeded(11);
    for label in labels() {
        let drawn = random_scene(&mut chance, label, (320, 240)).unwrap();
        let hand = drawn.hand;
        let inside = |at: f32| (-0.02..=1.02).contains(&at);
        assert!(
            [hand.x0, hand.y0, hand.x1, hand.y1].into_iter().all(inside),
            "{label}: {hand:?}"
        );
        assert!(
            hand.height() > 0.1 && hand.width() > 0.05,
            "{label}: {hand:?}"
        );
        // The wrist's own point is the middle of where the box begins.
        for [x, y] in &drawn.points[1..] {
            let (w, h) = (hand.width() * 0.06, hand.height() * 0.06);
            assert!(
                *x > hand.x0 - w && *x < hand.x1 + w && *y > hand.y0 - h && *y < hand.y1 + h,
                "{label}: {x} {y} is not in {hand:?}"
            );
        }
    }
}

/// Rows and columns that a hand covers on an even wall.
fn covered(label: &str, left: bool) -> (Seen, Vec<(usize, usize)>) {
    let (width, height) = (240, 240);
    let mut scene = Scene::plain(width, height, 0x0000ff);
    scene.hand.left = left;
    let mut painter = Painter::new();
    let pose = pose(label).unwrap();
    let size = (width, height);
    let wrist = wrist_for(&mut painter, &scene.hand, &pose, size, [0.5, 0.45], 0.6);
    let mut pixels = vec![0; width * height * 3];
    let seen = scene.draw(&mut painter, &pose, wrist, 0, &mut pixels);
    let covered = (0..width * height)
        .filter(|at| pixels[at * 3..at * 3 + 3] != [0, 0, 255])
        .map(|at| (at % width, at / width))
        .collect();
    (seen, covered)
}

#[test]
fn the_box_hugs_the_hand_that_is_drawn() {
    for label in ["B", "L", "V", "Y"] {
        let (seen, covered) = covered(label, false);
        let [_, wrist] = seen.points[0];
        let hand: Vec<_> = covered
            .into_iter()
            .filter(|(_, y)| (*y as f32) < wrist * 240.0)
            .collect();
        let top = hand.iter().map(|(_, y)| *y).min().unwrap() as f32 / 240.0;
        let left = hand.iter().map(|(x, _)| *x).min().unwrap() as f32 / 240.0;
        let right = hand.iter().map(|(x, _)| *x + 1).max().unwrap() as f32 / 240.0;
        for (drawn, edge) in [
            (top, seen.hand.y0),
            (left, seen.hand.x0),
            (right, seen.hand.x1),
        ] {
            assert!(
                (drawn - edge).abs() < 0.015,
                "{label}: {drawn} {:?}",
                seen.hand
            );
        }
    }
}

#[test]
fn fingertips_lie_on_the_hand_and_a_left_hand_is_a_mirrored_right_one() {
    let (right, drawn) = covered("L", false);
    for tip in [4, 8] {
        let [x, y] = right.points[tip].map(|at| (at * 240.0) as usize);
        assert!(drawn.contains(&(x, y)), "{tip}");
    }
    let (left, _) = covered("L", true);
    // A right hand's thumb points to the picture's right.
    assert!(right.points[4][0] > right.points[8][0]);
    assert!(left.points[4][0] < left.points[8][0]);
}

#[test]
fn fingers_that_fold_come_before_the_palm() {
    // The index finger's tip of a fist is seen, and hides the palm: the skin faces the camera.
    let (seen, drawn) = covered("A", false);
    let [x, y] = seen.points[6].map(|at| (at * 240.0) as usize);
    assert!(drawn.contains(&(x, y)));
    assert!(
        seen.points[8][1] > seen.points[6][1],
        "the tip is below the joint"
    );
}

#[test]
fn letters_are_shown_for_learners_and_what_is_no_letter_is_not() {
    for letter in LETTERS {
        let shown = show_letter(letter, (60, 80), 0x101010, false).unwrap();
        let wall = [0x10; 3];
        let hand = shown.picture.pixels.chunks(3).filter(|at| *at != wall);
        assert!(hand.count() > 400, "{letter}");
        assert_eq!(shown.path.is_empty(), !["J", "Z"].contains(&letter));
    }
    assert!(show_letter("open", (60, 80), 0, false).is_none());
}

#[test]
fn the_path_of_a_j_goes_down_and_hooks_to_the_signers_left() {
    let path = |mirrored| show_letter("J", (200, 200), 0, mirrored).unwrap().path;
    for (mirrored, side) in [(false, 1.0), (true, -1.0)] {
        let path = path(mirrored);
        let (first, last) = (path[0], path[path.len() - 1]);
        let lowest = path.iter().map(|at| at[1]).fold(0.0, f32::max);
        assert!(lowest > first[1] + 0.15, "{path:?}");
        assert!(last[1] < lowest - 0.02, "the hook comes up: {path:?}");
        assert!((last[0] - first[0]) * side > 0.1, "{path:?}");
    }
}

#[test]
fn the_path_of_a_z_goes_to_the_signers_right_back_down_and_right_again() {
    let path = show_letter("Z", (200, 200), 0, false).unwrap().path;
    let at = |share: f32| path[((path.len() - 1) as f32 * share) as usize];
    let (a, b, c, d) = (at(0.0), at(0.334), at(0.667), at(1.0));
    assert!(b[0] < a[0] - 0.1 && (b[1] - a[1]).abs() < 0.08, "{path:?}");
    assert!(c[0] > b[0] + 0.1 && c[1] > b[1] + 0.1, "{path:?}");
    assert!(d[0] < c[0] - 0.1, "{path:?}");
}

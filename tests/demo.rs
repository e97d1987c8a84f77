//! The drawn hand before the models that signcam ships with.

mod common;

use common::signcam;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use signcam::demo::alphabet::LETTERS;
use signcam::demo::{Chance, Drawn, random_scene};
use signcam::frame::Rect;
use signcam::model::Model;
use signcam::recognize::finder::Finder;
use signcam::recognize::letter::LetterReader;

const SIZE: (usize, usize) = (640, 480);

/// Scenes of each letter.
const SCENES: u64 = 4;

/// The letters that are held still.
fn still() -> impl Iterator<Item = &'static str> {
    LETTERS
        .into_iter()
        .filter(|letter| !matches!(*letter, "J" | "Z"))
}

/// Pictures of every still letter: other people, rooms and lights each time.
fn scenes() -> impl Iterator<Item = (&'static str, Drawn)> {
    still().enumerate().flat_map(|(at, letter)| {
        (0..SCENES).map(move |scene| {
            let mut chance = Chance::seeded(at as u64 * 1000 + scene);
            (letter, random_scene(&mut chance, letter, SIZE).unwrap())
        })
    })
}

/// The box around a hand's points, which is how the models were taught where hands are.
fn around(points: &[[f32; 2]; 21]) -> Rect {
    let ends = |axis: usize| {
        let along = points.iter().map(|point| point[axis]);
        (along.clone().fold(1.0, f32::min), along.fold(0.0, f32::max))
    };
    let ((x0, x1), (y0, y1)) = (ends(0), ends(1));
    Rect { x0, y0, x1, y1 }
}

#[test]
fn drawn_letters_are_read_where_the_hands_place_is_known() {
    let mut reader = LetterReader::new(Model::embedded().unwrap());
    let (mut read, mut all) = (0, 0);
    for (letter, drawn) in scenes() {
        let hand = around(&drawn.points);
        let scores = reader
            .read(&drawn.picture.pixels, SIZE.0, SIZE.1, hand)
            .unwrap();
        all += 1;
        read += u32::from(&**scores.best().0 == letter);
    }
    assert!(read * 100 >= all * 80, "{read} of {all}");
}

#[test]
fn drawn_hands_are_found_and_their_letters_read() {
    let mut reader = LetterReader::new(Model::embedded().unwrap());
    let mut finder = Finder::embedded().unwrap();
    let (mut found, mut read, mut all) = (0, 0, 0);
    for (letter, drawn) in scenes() {
        all += 1;
        let pixels = &drawn.picture.pixels;
        let Some(hand) = finder.hand(pixels, SIZE.0, SIZE.1).unwrap() else {
            continue;
        };
        found += u32::from(hand.hand.iou(&around(&drawn.points)) >= 0.5);
        let scores = reader.read(pixels, SIZE.0, SIZE.1, hand.hand).unwrap();
        read += u32::from(&**scores.best().0 == letter);
    }
    assert!(found * 100 >= all * 75, "found {found} of {all}");
    assert!(read * 100 >= all * 70, "read {read} of {all}");
}

#[test]
fn text_for_anything_but_the_demo_and_what_it_cannot_spell_are_errors() {
    let run = |arguments: &[&str]| signcam().args(arguments).arg("--headless").assert();
    run(&["--source", "demo", "--text", "R2D2"])
        .code(2)
        .stderr(contains("letters from A to Z"));
    run(&["--text", "HELLO"]).code(2);
    run(&["--source", "cam:0", "--text", "HELLO"])
        .code(1)
        .stderr(contains("--source demo").and(contains("panicked").not()));
}

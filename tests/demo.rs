//! The drawn hand before the models that signcam ships with.

mod common;

use common::signcam;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use signcam::base::frame::{Frame, FramePool, Rect};
use signcam::commands::inputs::ReaderArgs;
use signcam::demo::alphabet::LETTERS;
use signcam::demo::{Chance, Drawn, random_scene};
use signcam::model::Model;
use signcam::recognize::finder::Finder;
use signcam::recognize::letter::LetterReader;
use signcam::recognize::speller::{Speller, Spelling};
use signcam::source::demo::Demo;
use signcam::source::{Event, Origin, Pace, Source};

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

/// The lines that signcam prints while the demo spells `text`, read as fast as they come.
fn lines(text: &str, arguments: &[&str]) -> Vec<Value> {
    let assert = signcam()
        .args(["--source", "demo", "--text", text])
        .args(["--headless", "--pace", "max"])
        .args(arguments)
        .assert()
        .success();
    let out = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What signcam reads of a text that the demo spells.
fn spelled(text: &str) -> String {
    let lines = lines(text, &[]);
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "text", "{last}");
    last["text"].as_str().unwrap().trim_end().to_owned()
}

#[test]
fn what_the_demo_spells_is_what_is_read_double_letters_too() {
    assert_eq!(spelled("hello"), "HELLO");
}

#[test]
fn letters_that_are_drawn_in_the_air_and_several_words_are_read() {
    assert_eq!(spelled("JAZZ ZOO"), "JAZZ ZOO");
}

/// What is read of a text that a right or a left hand spells, at so many frames a second.
fn read_at(text: &str, fps: f64, left: bool) -> String {
    let text = text.parse().unwrap();
    let demo = Demo::new(Some(&text), SIZE, Pace::Max).unwrap();
    let mut demo = demo.at_rate(fps);
    let mut recognizer = ReaderArgs::default().recognizer(&Origin::Demo).unwrap();
    let mut speller = Speller::new(Spelling::DEFAULT);
    let pool = FramePool::new();
    loop {
        let frame = match demo.next(&pool).unwrap() {
            Event::Frame { frame, .. } => frame,
            Event::Waiting(_) => continue,
            Event::End => return speller.text().trim_end().to_owned(),
        };
        let mut frame = Frame::clone(&frame);
        if left {
            for row in frame.pixels.chunks_exact_mut(SIZE.0 * 3) {
                let pixels: Vec<u8> = row.chunks_exact(3).rev().flatten().copied().collect();
                row.copy_from_slice(&pixels);
            }
        }
        speller.read(&recognizer.read(&frame).unwrap());
    }
}

#[test]
fn words_of_a_right_hand_are_read_at_15_frames_a_second() {
    for text in ["HELLO", "JAZZ"] {
        assert_eq!(read_at(text, 15.0, false), text);
    }
}

#[test]
fn words_of_a_left_hand_are_read_at_30_frames_a_second() {
    for text in ["HELLO", "JAZZ"] {
        assert_eq!(read_at(text, 30.0, true), text);
    }
}

#[test]
fn a_practice_asks_for_letters_and_confirms_them_as_they_are_signed() {
    let steps: Vec<String> = lines("HAI", &["--practice", "hi"])
        .into_iter()
        .filter(|line| !line["event"].is_null())
        .map(|line| format!("{} {}", line["event"], line["letter"]).replace('"', ""))
        .collect();
    let expected = [
        "ask H",
        "letter H",
        "signed H",
        "ask I",
        "letter A",
        "letter I",
        "signed I",
        "done null",
        "text null",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn pictures_that_do_not_follow_each_other_cannot_be_practised_with() {
    let folder = tempfile::tempdir().unwrap();
    common::paint(&folder.path().join("1.png"), common::RED, common::RED);
    let mut command = signcam();
    command.arg("--source").arg(folder.path());
    command.args(["--practice", "A", "--headless"]);
    let assert = command.assert().code(1);
    assert.stderr(contains("--practice"));
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

//! What a user would miss on the screen.

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::recognize::ReadingTimes;
use crate::recognize::motion::Movement;

const KEYS: [(&str, &str); 3] = [("h", "help"), ("m", "mirror"), ("q  Esc", "quit")];

fn grey(width: usize, height: usize, value: u8) -> Frame {
    let mut frame = Frame::empty();
    frame.resize(width, height);
    frame.pixels.fill(value);
    frame
}

fn reading(top: &[(&str, f32)], letter: Option<&str>, hand: Option<Rect>) -> Reading {
    Reading {
        seq: 0,
        captured: Instant::now(),
        time: Duration::ZERO,
        letter: letter.map(Arc::from),
        confidence: top.first().map_or(0.0, |(_, part)| *part),
        top: top
            .iter()
            .map(|(name, part)| ((*name).into(), *part))
            .collect(),
        hand,
        joints: None,
        movement: Movement::None,
        steps: None,
        times: ReadingTimes::default(),
    }
}

fn plain(frame: &Frame) -> Scene<'_> {
    Scene {
        frame,
        reading: None,
        guide: None,
        mirror: false,
        spelled: None,
        figures: None,
        stages: &[],
        keys: &KEYS,
        help: false,
        joints: false,
        chart: false,
        practice: None,
        hint: None,
        message: None,
        recording: None,
        tally: None,
    }
}

const STAGES: [(&str, Times); 2] = [("age_at_present", SLOW), ("decode", SLOW)];
const SLOW: Times = Times {
    p50_ms: 0.0,
    p95_ms: f64::NAN,
    p99_ms: 1e300,
    max_ms: 60_000.0,
    count: u64::MAX,
};

fn full<'a>(frame: &'a Frame, reading: &'a Reading) -> Scene<'a> {
    Scene {
        reading: Some(reading),
        guide: Some(Rect::FULL),
        mirror: true,
        figures: Some(Figures {
            camera_fps: 29.97,
            dropped: 123_456,
            frame_age: Duration::from_secs(3),
            ..Figures::default()
        }),
        stages: &STAGES,
        help: true,
        spelled: Some(Spelled {
            text: "SPELLED AT LENGTH, MORE THAN FITS",
            open: 0,
            pending: Some(("a class with a very long name", f32::NAN)),
            words: &[],
        }),
        hint: Some("h help"),
        message: Some("The camera was unplugged; plug it in again to go on signing letters."),
        recording: Some(Duration::from_secs(3601)),
        ..plain(frame)
    }
}

fn draw(scene: &Scene, width: usize, height: usize) -> Vec<u32> {
    let mut pixels = vec![0; width * height];
    let mut canvas = Canvas {
        width,
        height,
        pixels: &mut pixels,
    };
    Overlay::new().unwrap().draw(&mut canvas, scene);
    pixels
}

/// Columns and rows of the pixels that differ: left, top, right, bottom, all inclusive.
fn difference(a: &[u32], b: &[u32], width: usize) -> Option<(usize, usize, usize, usize)> {
    let differ = (0..a.len()).filter(|&at| a[at] != b[at]);
    differ.fold(None, |edges, at| {
        let (x, y) = (at % width, at / width);
        let (x0, y0, x1, y1) = edges.unwrap_or((x, y, x, y));
        Some((x0.min(x), y0.min(y), x1.max(x), y1.max(y)))
    })
}

/// Contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance and contrast ratio).
fn contrast(a: u32, b: u32) -> f64 {
    let luminance = |pixel: u32| {
        let linear = |shift: u32| {
            let part = f64::from(pixel >> shift & 0xff) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0) + 0.05
    };
    let (a, b) = (luminance(a), luminance(b));
    a.max(b) / a.min(b)
}

#[test]
fn the_box_lies_on_the_mirrored_hand() {
    // A hand on the left as the camera sees it, and on the right in the mirror.
    let hand = Rect {
        x0: 0.1,
        y0: 0.25,
        x1: 0.3,
        y1: 0.5,
    };
    let mut frame = grey(640, 480, 40);
    for y in 120..240 {
        for x in 64..192 {
            frame.pixels[(y * 640 + x) * 3] = 200;
        }
    }
    let reading = reading(&[("A", 0.9)], Some("A"), Some(hand));
    for (mirror, left, right) in [(false, 64, 191), (true, 448, 575)] {
        let bare = Scene {
            mirror,
            reading: Some(&reading),
            ..plain(&frame)
        };
        let with_box = draw(&bare, 640, 480);
        let without = super::tests::reading(&[("A", 0.9)], Some("A"), None);
        let without = Scene {
            reading: Some(&without),
            ..bare
        };
        let without = draw(&without, 640, 480);
        assert_eq!(without[180 * 640 + left] >> 16, 200);
        assert_eq!(without[180 * 640 + left - 1] >> 16, 40);
        assert_eq!(without[180 * 640 + right] >> 16, 200);
        // One pixel of halo around it.
        let edges = difference(&with_box, &without, 640);
        assert_eq!(edges, Some((left - 1, 119, right + 1, 240)));
    }
}

#[test]
fn without_a_hand_the_guide_is_shown_and_with_one_it_gives_way() {
    let frame = grey(640, 480, 90);
    let guide = Rect {
        x0: 0.6,
        y0: 0.2,
        x1: 0.9,
        y1: 0.6,
    };
    let none = reading(&[("nothing", 0.9)], None, None);
    let scene = Scene {
        reading: Some(&none),
        ..plain(&frame)
    };
    let bare = draw(&scene, 640, 480);
    let guided = Scene {
        guide: Some(guide),
        ..scene
    };
    assert_eq!(
        difference(&draw(&guided, 640, 480), &bare, 640),
        Some((383, 95, 576, 288))
    );
    let hand = reading(&[("A", 0.9)], Some("A"), Some(Rect { x0: 0.7, ..guide }));
    let found = Scene {
        reading: Some(&hand),
        ..guided
    };
    let pixel = 96 * 640 + 390;
    assert_ne!(draw(&guided, 640, 480)[pixel], bare[pixel]);
    assert_eq!(draw(&found, 640, 480)[pixel], bare[pixel]);
}

#[test]
fn the_picture_outside_of_panels_is_untouched() {
    let mut frame = grey(640, 480, 0);
    for (at, byte) in frame.pixels.iter_mut().enumerate() {
        *byte = (at * 7 % 251) as u8;
    }
    let reading = reading(&[("A", 0.9)], Some("A"), None);
    let scene = Scene {
        help: false,
        guide: None,
        ..full(&frame, &reading)
    };
    let drawn = draw(&scene, 640, 480);
    let bare = draw(
        &Scene {
            mirror: true,
            ..plain(&frame)
        },
        640,
        480,
    );
    // The middle, where a signer is, belongs to the picture alone.
    for y in 140..340 {
        assert_eq!(drawn[y * 640..(y + 1) * 640], bare[y * 640..(y + 1) * 640]);
    }
}

#[test]
fn every_size_is_drawn_with_a_letter_that_shows() {
    let reading = reading(
        &[("M", 0.62), ("N", 0.3), ("S", 0.05)],
        Some("M"),
        Some(Rect::FULL),
    );
    for (width, height) in [
        (160, 120),
        (161, 121),
        (320, 240),
        (480, 640),
        (640, 480),
        (1280, 720),
        (1920, 1080),
    ] {
        let frame = grey(width, height, 128);
        draw(&full(&frame, &reading), width, height);
        let scene = Scene {
            reading: Some(&reading),
            ..plain(&frame)
        };
        let pixels = draw(&scene, width, height);
        let white = pixels.iter().filter(|&&pixel| pixel == 0xf5_f7fa).count();
        let share = white as f64 / (width * height) as f64;
        assert!(share > 0.002, "{width}x{height}: {white} white pixels");
    }
}

#[test]
fn tiny_and_empty_canvases_and_strange_values_do_no_harm() {
    let strange = Rect {
        x0: f32::NAN,
        y0: -1e30,
        x1: f32::INFINITY,
        y1: 1e30,
    };
    let mut reading = reading(
        &[
            ("A", f32::NAN),
            ("", -3.0),
            ("a class with a very long name", 7.0),
        ],
        Some("a class with a very long name"),
        Some(strange),
    );
    reading.confidence = f32::NEG_INFINITY;
    let frame = grey(64, 48, 9);
    let mut scene = full(&frame, &reading);
    scene.figures = Some(Figures {
        camera_fps: f64::NAN,
        inference_fps: f64::INFINITY,
        display_fps: -1e300,
        infer: Duration::MAX,
        frame_age: Duration::MAX,
        dropped: u64::MAX,
    });
    for (width, height) in [
        (0, 0),
        (1, 1),
        (1, 300),
        (300, 1),
        (7, 5),
        (64, 48),
        (33, 77),
    ] {
        assert_eq!(draw(&scene, width, height).len(), width * height);
    }
    let nothing = Frame::empty();
    let pixels = draw(
        &Scene {
            frame: &nothing,
            ..scene
        },
        640,
        480,
    );
    assert_eq!(pixels.len(), 640 * 480);
}

#[test]
fn text_keeps_its_contrast_on_white_and_on_black() {
    let reading = reading(&[("H", 0.9), ("U", 0.06), ("R", 0.02)], Some("H"), None);
    for value in [0, 255] {
        let frame = grey(640, 480, value);
        let scene = Scene {
            reading: Some(&reading),
            figures: Some(Figures::default()),
            message: Some("A message"),
            ..plain(&frame)
        };
        let pixels = draw(&scene, 640, 480);
        let panels = [(20, 364), (20, 20), (622, 460)].map(|(x, y)| pixels[y * 640 + x]);
        for panel in panels {
            let ink = contrast(0xf5_f7fa, panel);
            let dim = contrast(0xb4_bcc8, panel);
            assert!(ink > 7.0 && dim > 4.5, "on {value}: {ink:.1} and {dim:.1}");
            assert!(pixels.contains(&0xf5_f7fa) && pixels.contains(&0xb4_bcc8));
        }
    }
}

#[test]
fn a_class_named_by_a_word_fits_where_a_letter_does() {
    let frame = grey(640, 480, 128);
    let short = reading(&[("W", 0.9)], Some("W"), None);
    let long = reading(&[("thumbs up", 0.9)], Some("thumbs up"), None);
    let with = |reading| Scene {
        reading: Some(reading),
        ..plain(&frame)
    };
    let edges = difference(
        &draw(&with(&short), 640, 480),
        &draw(&with(&long), 640, 480),
        640,
    );
    let (left, _, right, _) = edges.unwrap();
    assert!(left >= 20 && right <= 12 + 12 + 84 + 6, "{left} to {right}");
}

#[test]
fn no_letter_is_a_dash_and_not_a_word() {
    let frame = grey(640, 480, 128);
    let none = reading(&[("nothing", 0.98), ("A", 0.01)], None, None);
    let shown = reading(&[("nothing", 0.98), ("A", 0.01)], Some("nothing"), None);
    let draw = |reading| {
        let scene = Scene {
            reading: Some(reading),
            ..plain(&frame)
        };
        draw(&scene, 640, 480)
    };
    let pixels = draw(&none);
    assert_eq!(pixels, draw(&shown));
    let bright = |y: usize| {
        (24..108)
            .filter(|x| pixels[y * 640 + x] == 0xb4_bcc8)
            .count()
    };
    let rows: Vec<_> = (360..468).filter(|&y| bright(y) > 0).collect();
    assert!(
        (3..9).contains(&rows.len()),
        "a flat dash, not {} rows",
        rows.len()
    );
    assert!((411..=417).contains(&rows[rows.len() / 2]), "in the middle");
}

#[test]
fn a_message_is_wrapped_into_the_canvas_and_replaces_the_hint() {
    let frame = grey(640, 480, 128);
    let hint = Scene {
        hint: Some("h help"),
        ..plain(&frame)
    };
    let message = Scene {
        message: Some(
            "The camera was unplugged. Plug it in again to go on, or press q to quit the program \
             and look at the recording.",
        ),
        ..hint
    };
    let bare = draw(&plain(&frame), 640, 480);
    let (left, top, right, bottom) = difference(&draw(&message, 640, 480), &bare, 640).unwrap();
    assert!(
        left > 264 && right < 630 && bottom < 470,
        "{left} {right} {bottom}"
    );
    assert!(bottom - top > 50, "more than two lines");
    let (left, top, ..) = difference(&draw(&hint, 640, 480), &bare, 640).unwrap();
    assert!(left > 500 && bottom - top < 40, "{left} {top}");
}

#[test]
fn the_chart_shows_every_letter_in_place_of_the_picture() {
    let frame = grey(640, 480, 128);
    let mut overlay = Overlay::new().unwrap();
    let mut pixels = vec![0; 640 * 480];
    let mut draw = |scene: &Scene| {
        let mut canvas = Canvas {
            width: 640,
            height: 480,
            pixels: &mut pixels,
        };
        overlay.draw(&mut canvas, scene);
        pixels.clone()
    };
    let chart = Scene {
        chart: true,
        ..plain(&frame)
    };
    let drawn = draw(&chart);
    let mirrored = draw(&Scene {
        mirror: true,
        ..chart
    });
    assert_ne!(drawn, mirrored);
    // Each of 26 cells holds more than its wall and its name.
    for at in 0..26 {
        let (left, top) = (8 + at % 7 * 90, 8 + at / 7 * 112);
        let skin = |pixel: &&u32| (**pixel >> 16 & 0xff) > (**pixel & 0xff) + 30;
        let rows = (top..top + 100).flat_map(|y| &drawn[y * 640 + left..y * 640 + left + 80]);
        assert!(rows.filter(skin).count() > 300, "cell {at}");
    }
    assert_ne!(draw(&plain(&frame)), drawn);
}

#[test]
fn charts_of_any_size_are_drawn_without_panic() {
    let frame = grey(64, 48, 10);
    for (width, height) in [(1, 1), (60, 40), (200, 500), (1280, 720)] {
        let scene = Scene {
            chart: true,
            help: true,
            ..plain(&frame)
        };
        draw(&scene, width, height);
    }
}

/// A picture with a text on it.
fn spelled(frame: &Frame, text: &str, pending: Option<(&str, f32)>, words: &[String]) -> Vec<u32> {
    let scene = Scene {
        spelled: Some(Spelled {
            text,
            open: 0,
            pending,
            words,
        }),
        ..plain(frame)
    };
    draw(&scene, 640, 480)
}

#[test]
fn of_a_long_text_the_end_is_shown_in_its_strip() {
    let frame = grey(640, 480, 128);
    let bare = draw(&plain(&frame), 640, 480);
    let long = "ABCDEFGHIJ".repeat(20);
    let drawn = spelled(&frame, &long, None, &[]);
    let (left, top, right, bottom) = difference(&drawn, &bare, 640).unwrap();
    assert!(left >= 260 && right < 640 - 11 && top > 400 && bottom < 480 - 11);
    let other_start = format!("Z{}", &long[1..]);
    assert_eq!(spelled(&frame, &other_start, None, &[]), drawn);
    let other_end = format!("{}Z", &long[..long.len() - 1]);
    assert_ne!(spelled(&frame, &other_end, None, &[]), drawn);
}

#[test]
fn the_letter_being_held_follows_the_text_with_a_bar_that_grows() {
    let frame = grey(640, 480, 128);
    let bar = |pixels: &[u32]| pixels.iter().filter(|&&pixel| pixel == 0x5e_ead4).count();
    let [none, third, whole] = [0.0, 0.33, 1.0].map(|part| {
        let drawn = spelled(&frame, "HELL", Some(("O", part)), &[]);
        bar(&drawn)
    });
    assert!(none < third && third < whole, "{none} {third} {whole}");
    let typed = spelled(&frame, "HELLO", None, &[]);
    let held = spelled(&frame, "HELL", Some(("O", 0.5)), &[]);
    let (left, ..) = difference(&typed, &held, 640).unwrap();
    let (start, ..) = difference(&spelled(&frame, "I", None, &[]), &typed, 640).unwrap();
    assert!(
        left > start + 30,
        "the letters before stand where they were"
    );
}

#[test]
fn words_and_a_message_stand_above_the_text() {
    let frame = grey(640, 480, 128);
    let words = ["HELLO", "HELP", &"LONG".repeat(30)].map(String::from);
    let without = spelled(&frame, "HE", None, &[]);
    let with = spelled(&frame, "HE", None, &words);
    let (left, top, right, bottom) = difference(&with, &without, 640).unwrap();
    assert!(
        left >= 260 && right < 500 && top > 360 && bottom < 424,
        "{top} to {bottom}"
    );
    let scene = Scene {
        spelled: Some(Spelled {
            text: "HE",
            open: 0,
            pending: None,
            words: &words,
        }),
        message: Some("Copied"),
        ..plain(&frame)
    };
    let (_, _, _, bottom) = difference(&draw(&scene, 640, 480), &with, 640).unwrap();
    assert!(
        bottom < top,
        "the message ends at {bottom}, the words begin at {top}"
    );
}

#[test]
fn what_is_spelled_keeps_its_contrast_on_white_and_on_black() {
    for value in [0, 255] {
        let pixels = spelled(&grey(640, 480, value), "TEXT", Some(("S", 0.5)), &[]);
        let panel = pixels[430 * 640 + 600];
        for ink in [0xf5_f7fa, 0xb4_bcc8, 0x5e_ead4] {
            let contrast = contrast(ink, panel);
            assert!(contrast > 4.5, "{ink:x} on {value}: {contrast:.1}");
            assert!(pixels.contains(&ink), "{ink:x}");
        }
    }
}

#[test]
fn as_many_keys_as_there_are_fit_into_the_smallest_window() {
    let frame = grey(640, 480, 128);
    let keys = [("key", "what it does"); 15];
    let scene = Scene {
        keys: &keys,
        help: true,
        ..plain(&frame)
    };
    let bare = draw(&plain(&frame), 640, 480);
    let (_, top, _, bottom) = difference(&draw(&scene, 640, 480), &bare, 640).unwrap();
    assert!(top > 0 && bottom < 479, "{top} to {bottom}");
}

#[test]
fn a_practice_shows_the_hand_that_is_asked_for_and_how_far_the_word_is() {
    let frame = grey(640, 480, 90);
    let letters: Vec<Arc<str>> = ["H", "I"].map(Arc::from).into();
    let practise = |signed| Scene {
        practice: Some(Practised {
            letters: &letters,
            signed,
        }),
        ..plain(&frame)
    };
    let [first, second, done] = [0, 1, 2].map(|signed| draw(&practise(signed), 640, 480));
    let skin = |pixel: &&u32| (**pixel >> 16 & 0xff) > (**pixel & 0xff) + 30;
    assert!(first.iter().filter(skin).count() > 1500);
    assert_ne!(first, second);
    assert_eq!(done.iter().filter(skin).count(), 0);
    for (width, height) in [(1, 1), (40, 500), (1280, 720)] {
        draw(&practise(0), width, height);
    }
}

use std::time::Duration;

use serde_json::{Value, json};

use super::report::Report;
use super::{Found, Outcome};
use crate::base::frame::Rect;
use crate::source::clips::{Clip, Kind};

fn clip(signer: &str, kind: Kind, text: &str) -> Clip {
    Clip {
        name: format!("{signer}/{text}.mp4"),
        path: format!("{signer}/{text}.mp4").into(),
        signer: signer.into(),
        kind,
        text: text.into(),
    }
}

/// What the figures are of clips, each with its true text and the typed one, 30 s long.
fn figures(clips: &[(&str, Kind, &str, &str)]) -> Value {
    let outcomes: Vec<_> = clips
        .iter()
        .map(|(.., typed)| {
            Ok(Outcome {
                text: (*typed).into(),
                length: Duration::from_secs(30),
                ..Outcome::default()
            })
        })
        .collect();
    let clips: Vec<_> = (clips.iter())
        .map(|&(signer, kind, text, _)| clip(signer, kind, text))
        .collect();
    serde_json::to_value(Report::new(&clips, &outcomes, false)).unwrap()
}

#[test]
fn words_are_judged_by_their_letters_and_no_clip_counts_more_than_one() {
    let report = figures(&[
        ("ann", Kind::Spelled, "HELLO", "HELO"),
        ("ann", Kind::Spelled, "ANN", "ANN"),
        ("bob", Kind::Spelled, "AB", "XYXYXYXY"),
        ("bob", Kind::AmongSigns, "B?B", "BOB"),
        ("bob", Kind::Alphabet, "ABCD", ""),
    ]);
    assert_eq!(
        report["words"],
        json!({"ler": (0.2 + 0.0 + 1.0) / 3.0, "exact": 1, "clips": 3})
    );
    assert_eq!(
        report["names"],
        json!({"ler": 0.0, "exact": 1, "clips": 1}),
        "? is any letter"
    );
    assert_eq!(report["alphabet"]["ler"], 1.0);
    assert_eq!(report["signers"]["ann"]["words"]["ler"], 0.1);
}

#[test]
fn letters_are_judged_by_being_typed_and_by_what_else_is() {
    let report = figures(&[
        ("ann", Kind::Letter, "A", "A"),
        ("ann", Kind::Letter, "B", "BDB"),
        ("ann", Kind::Letter, "C", "OO"),
        ("ann", Kind::Letter, "J", "I"),
        ("ann", Kind::Mixed, "D", ""),
    ]);
    assert_eq!(
        report["letters"],
        json!({"typed": 2.0 / 3.0, "others": 1.0, "clips": 3}),
        "of kind letter, and none that is drawn"
    );
}

#[test]
fn drawn_letters_count_people_and_held_ones_are_not_to_be_typed() {
    let report = figures(&[
        ("ann", Kind::Letter, "J", "I"),
        ("ann", Kind::Letter, "J", "IJ"),
        ("bob", Kind::Mixed, "J", "J"),
        ("cid", Kind::Mixed, "J", "I"),
        ("cid", Kind::Letter, "Z", ""),
        ("ann", Kind::Static, "J", "IJ"),
        ("ann", Kind::Static, "Z", "D"),
    ]);
    assert_eq!(report["j"], json!({"people": 3, "typed": 2}));
    assert_eq!(report["z"], json!({"people": 1, "typed": 0}));
    assert_eq!(report["static_as_moving"], json!({"clips": 2, "typed": 1}));
}

#[test]
fn where_nothing_is_spelled_letters_are_counted_by_the_minute() {
    let report = figures(&[
        ("ann", Kind::Sign, "", "HB"),
        ("bob", Kind::Sign, "", ""),
        ("bob", Kind::Sign, "", "J"),
    ]);
    assert_eq!(
        report["silence"],
        json!({"letters_per_minute": 2.0, "minutes": 1.5})
    );
}

#[test]
fn found_boxes_are_on_one_of_the_hands_or_elsewhere_or_missing() {
    let hand = |x0: f32| Rect {
        x0,
        y0: 0.2,
        x1: x0 + 0.2,
        y1: 0.4,
    };
    let hands = [hand(0.1), hand(0.6)];
    let mut found = Found::default();
    for place in [Some(0.11), Some(0.62), Some(0.2), Some(0.85), None] {
        found.count(place.map(hand), &hands);
    }
    let expected = Found {
        frames: 5,
        on_hand: 2,
        elsewhere: 2,
        beside: 1,
        none: 1,
    };
    assert_eq!(found, expected);
}

#[test]
fn the_json_has_exactly_the_fields_that_other_tools_rely_on() {
    let clips = [
        clip("ann", Kind::Spelled, "A"),
        clip("ann", Kind::Spelled, "B"),
    ];
    let outcomes = [
        Ok(Outcome {
            text: "A".into(),
            length: Duration::from_secs(1),
            delays_ms: vec![40.0, 0.0, 80.0],
            found: Found {
                frames: 4,
                on_hand: 2,
                elsewhere: 1,
                beside: 1,
                none: 1,
            },
        }),
        Err("no video".to_owned()),
    ];
    let mut report = serde_json::to_value(Report::new(&clips, &outcomes, true)).unwrap();
    let nobody = json!({"people": 0, "typed": 0});
    let none = json!({"ler": null, "exact": 0, "clips": 0});
    let figures = json!({
        "clips": 2,
        "failed": [{"path": "ann/B.mp4", "error": "no video"}],
        "words": {"ler": 0.0, "exact": 1, "clips": 1},
        "names": none,
        "alphabet": none,
        "letters": {"typed": null, "others": null, "clips": 0},
        "j": nobody,
        "z": nobody,
        "static_as_moving": {"clips": 0, "typed": 0},
        "silence": {"letters_per_minute": null, "minutes": 0.0},
        "delay_ms": {"p50": 40.0, "p95": 80.0},
        "boxes": {"frames": 4, "on_hand": 2, "elsewhere": 1, "none": 1},
    });
    let signers = report.as_object_mut().unwrap().remove("signers").unwrap();
    assert_eq!(signers, json!({"ann": figures}));
    assert_eq!(report, figures);
}

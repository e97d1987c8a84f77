use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;

use super::*;
use crate::train::run::fit::Validation;
use crate::train::run::options::TrainArgs;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: TrainArgs,
}

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn reading(signer: &str, class: usize, read: usize) -> Reading {
    Reading {
        signer: (!signer.is_empty()).then(|| Arc::from(signer)),
        class,
        read,
    }
}

fn epochs(count: usize) -> Vec<Epoch> {
    (1..=count)
        .map(|epoch| Epoch {
            epoch,
            train_loss: 3.0 / epoch as f64,
            train_accuracy: 1.0 - 0.9 / epoch as f64,
            val: epoch.is_multiple_of(2).then(|| Validation {
                loss: 3.2 / epoch as f64,
                accuracy: 1.0 - 1.0 / epoch as f64,
            }),
            images_per_second: 50.0,
        })
        .collect()
}

fn report(labels: &[String]) -> Report {
    let readings = (0..labels.len()).flat_map(|class| {
        (0..20).map(move |at| {
            let read = if at < 2 {
                (class + 1) % labels.len()
            } else {
                class
            };
            reading(["ann", "bob"][at % 2], class, read)
        })
    });
    let options = CommandLine::try_parse_from(["train", "--data", "pictures"])
        .unwrap()
        .args
        .resolve(None)
        .unwrap();
    let count = Count { train: 5, val: 3 };
    Report {
        options,
        commit: Some("abc".into()),
        data: DataSummary {
            labels: labels.to_vec(),
            pictures: count,
            classes: labels.iter().map(|label| (label.clone(), count)).collect(),
            signers: BTreeMap::from([("ann".into(), count)]),
            scenes: 0,
            unreadable: Vec::new(),
            copies: Copies::default(),
        },
        epochs: epochs(6),
        images_per_second: 50.0,
        wall_s: 60.0,
        f32: Figures::of(labels, readings),
        before: None,
        int8: None,
    }
}

#[test]
fn a_signer_counts_once_however_many_pictures_there_are_of_them() {
    let names = labels(&["A", "B", "nothing"]);
    let of_ann = (0..90).map(|_| reading("ann", 0, 0));
    let of_bob = (0..10).map(|at| reading("bob", 1, usize::from(at < 5)));
    let figures = Figures::of(&names, of_ann.chain(of_bob));
    assert_eq!(figures.static24_mean, Some(0.75));
    assert_eq!(figures.static24_worst, Some(0.5));
    assert_eq!(figures.accuracy, 0.95);
    assert_eq!(figures.confusion[1][0], 5);
}

#[test]
fn movements_count_among_26_letters_and_nothing_among_none() {
    let names = labels(&["A", "J", "nothing"]);
    let figures = Figures::of(
        &names,
        [
            reading("ann", 0, 0),
            reading("ann", 1, 0),
            reading("ann", 2, 0),
        ],
    );
    let ann = figures.signers["ann"];
    assert_eq!(ann.static24, Some(1.0));
    assert_eq!(ann.all26, Some(0.5));
    assert!((ann.accuracy - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn cats_and_dogs_have_an_accuracy_and_no_letters() {
    let names = labels(&["cat", "dog"]);
    let figures = Figures::of(&names, [reading("", 0, 0), reading("", 1, 0)]);
    assert_eq!(figures.accuracy, 0.5);
    assert_eq!(figures.static24_mean, None);
    assert!(figures.signers.is_empty());
    let text = figures.to_string();
    assert!(
        text.contains("accuracy 50.0 %") && !text.contains("letters"),
        "{text}"
    );
}

#[test]
fn the_table_names_the_worst_signer_first_and_what_is_misread() {
    let names = labels(&["M", "N"]);
    let figures = Figures::of(
        &names,
        [
            reading("ann", 0, 0),
            reading("zoe", 0, 1),
            reading("zoe", 1, 1),
        ],
    );
    let text = figures.to_string();
    let place = |word: &str| {
        text.find(word)
            .unwrap_or_else(|| panic!("no {word}: {text}"))
    };
    assert!(place("zoe") < place("ann"), "{text}");
    assert!(text.contains("M as N (1)"), "{text}");
}

#[test]
fn a_report_is_written_for_two_classes_and_for_27() {
    let alphabet: Vec<String> = (b'A'..=b'Z')
        .map(|letter| char::from(letter).to_string())
        .chain(["nothing".into()])
        .collect();
    for names in [labels(&["cat", "dog"]), alphabet] {
        let folder = tempfile::tempdir().unwrap();
        let place: PathBuf = folder.path().join("new/report");
        let report = report(&names);
        report.write(&place).unwrap();
        let json = std::fs::read_to_string(place.join("report.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["f32"]["accuracy"], 0.9);
        assert_eq!(json["options"]["preset"], "finetune");
        assert_eq!(json["epochs"].as_array().unwrap().len(), 6);
        for plot in ["accuracy.svg", "loss.svg", "confusion.svg"] {
            let svg = std::fs::read_to_string(place.join(plot)).unwrap();
            assert!(
                svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
                "{plot}"
            );
        }
        let svg = std::fs::read_to_string(place.join("confusion.svg")).unwrap();
        for name in &names {
            assert!(svg.contains(&format!("\n{name}\n")), "{name} is not named");
        }
        assert_eq!(place.join("mistaken.png").exists(), names.len() == 27);
    }
}

#[test]
fn the_most_frequent_mistakes_come_first_with_their_share() {
    let names = labels(&["I", "J", "nothing"]);
    let counts = [[7, 1, 2], [0, 9, 0], [5, 0, 5]];
    let readings = counts.iter().enumerate().flat_map(|(class, row)| {
        let reads = row.iter().enumerate();
        reads.flat_map(move |(read, &count)| (0..count).map(move |_| reading("ann", class, read)))
    });
    let figures = Figures::of(&names, readings);
    let pairs: Vec<_> = figures
        .confusions()
        .into_iter()
        .map(|pair| (pair.shown, pair.read, pair.count, pair.of))
        .collect();
    let expected = [
        ("nothing", "I", 5, 10),
        ("I", "nothing", 2, 10),
        ("I", "J", 1, 10),
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn plots_of_no_epochs_and_of_one_can_be_drawn() {
    for count in [0, 1] {
        plots::accuracy(&epochs(count)).unwrap();
        plots::loss(&epochs(count)).unwrap();
    }
}

#[test]
fn a_report_that_cannot_be_written_names_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("taken");
    std::fs::write(&place, "a file").unwrap();
    let error = report(&labels(&["cat", "dog"])).write(&place).unwrap_err();
    assert!(format!("{error:#}").contains("taken"), "{error:#}");
}

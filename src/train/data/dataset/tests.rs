use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;

fn draw(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(8, 6, Rgb([9, 8, 7]))
        .save(path)
        .unwrap();
}

/// A folder with a picture at each of `paths`.
fn folder(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        draw(&folder.path().join(path));
    }
    folder
}

fn source(path: &Path) -> DataSource {
    DataSource {
        path: path.to_path_buf(),
        ..DataSource::default()
    }
}

fn open(path: &Path) -> Result<Dataset> {
    Dataset::open(&source(path))
}

fn error(result: Result<Dataset>) -> String {
    format!("{:#}", result.expect_err("this data was accepted"))
}

/// Writes `hands.csv` with the given head and rows, and a picture for each row.
fn table(head: &str, rows: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for row in rows {
        draw(&folder.path().join(row.split(',').next().unwrap()));
    }
    let text = format!("{head}\n{}\n", rows.join("\n"));
    fs::write(folder.path().join("hands.csv"), text).unwrap();
    folder
}

const HEAD: &str = "path,signer,split,label,source_class,x0,y0,x1,y1";

const ROWS: [&str; 6] = [
    "a/0.png,ann,train,A,A,0.1,0.2,0.5,0.9",
    "a/1.png,bob,train,B,B,0.1,0.2,0.5,0.9",
    "a/2.png,ann,train,other,digit_0,0.1,0.2,0.5,0.9",
    "a/3.png,bob,train,other,neg_five,0.1,0.2,0.5,0.9",
    "a/4.png,eve,dev,B,B,,,,",
    "a/5.png,eve,dev,A,A,0.3,0.3,0.6,0.6",
];

#[test]
fn a_table_gives_labels_signers_splits_and_boxes() {
    let data = table(HEAD, &ROWS);
    let dataset = open(&data.path().join("hands.csv")).unwrap();
    assert_eq!(dataset.labels, ["A", "B", "nothing"]);
    assert_eq!(dataset.samples[2].class, 2, "`other` is `nothing`");
    assert_eq!(dataset.samples[4].hand, None);
    assert_eq!(
        dataset.samples[0].hand,
        Some(Rect {
            x0: 0.1,
            y0: 0.2,
            x1: 0.5,
            y1: 0.9
        })
    );
    assert_eq!(dataset.of_split(Split::Val), [4, 5]);
    assert_eq!(
        dataset.per_signer()["ann"],
        Count { train: 2, val: 0 },
        "the same folder path is not the same signer"
    );
}

#[test]
fn a_folder_that_holds_a_table_is_read_by_it() {
    let data = table(HEAD, &ROWS);
    let by_file = open(&data.path().join("hands.csv")).unwrap();
    assert_eq!(open(data.path()).unwrap(), by_file);
}

#[test]
fn frames_beside_the_table_add_the_surroundings_of_hands() {
    let data = table(HEAD, &ROWS[..2]);
    fs::write(
        data.path().join("frames.csv"),
        "path,signer,split,label,x0,y0,x1,y1\n\
         a/0.png,ann,train,A,0.1,0.1,0.3,0.3\n\
         a/1.png,bob,train,A,,,,\n\
         a/1.png,massey_1,train,A,0.1,0.1,0.3,0.3\n",
    )
    .unwrap();
    draw(&data.path().join("v.png"));
    let text = fs::read_to_string(data.path().join("hands.csv")).unwrap();
    fs::write(
        data.path().join("hands.csv"),
        format!("{text}v.png,eve,dev,A,A,,,,\n"),
    )
    .unwrap();
    let dataset = Dataset::open(&DataSource {
        exclude: vec!["massey_*".parse().unwrap()],
        ..source(data.path())
    })
    .unwrap();
    assert_eq!(dataset.labels, ["A", "B", "nothing"]);
    let signers: Vec<_> = dataset.scenes.iter().map(|s| s.signer.clone()).collect();
    assert_eq!(
        signers,
        [Some(Arc::from("ann"))],
        "no box, or an excluded signer, is no scene"
    );
}

#[test]
fn points_are_read_in_order() {
    let names: Vec<String> = (0..21).map(|at| format!("px{at},py{at}")).collect();
    let values: Vec<String> = (0..21).map(|at| format!("0.{at:02},0.5")).collect();
    let head = format!("path,signer,split,label,{}", names.join(","));
    let row = |name: &str, split: &str, label: &str| {
        format!("{name},ann,{split},{label},{}", values.join(","))
    };
    let rows = [
        row("0.png", "train", "A"),
        row("1.png", "train", "B"),
        row("2.png", "dev", "B"),
    ];
    let data = table(&head, &[&rows[0], &rows[1], &rows[2]]);
    let points = open(data.path()).unwrap().samples[0].points.unwrap();
    assert_eq!(points[0], [0.0, 0.5]);
    assert_eq!(points[20], [0.2, 0.5]);
}

#[test]
fn excluded_signers_and_classes_are_left_out() {
    let data = table(HEAD, &ROWS);
    let with = |patterns: &[&str]| {
        Dataset::open(&DataSource {
            exclude: patterns.iter().map(|p| p.parse().unwrap()).collect(),
            ..source(data.path())
        })
        .map(|dataset| dataset.samples.len())
    };
    assert_eq!(with(&["*/digit_0"]).unwrap(), 5);
    assert_eq!(with(&["*/digit_*", "*/neg_*"]).unwrap(), 4);
    assert!(with(&["*"]).is_err(), "nothing is left to train on");

    let broken = ",bob,train,other,neg_five,,,,";
    let text = format!("{HEAD}\n{}\n{broken}\n", ROWS.join("\n"));
    fs::write(data.path().join("hands.csv"), text).unwrap();
    assert!(with(&["*/digit_0"]).is_err(), "its path is empty");
    assert_eq!(with(&["*/neg_five"]).unwrap(), 5);
}

#[test]
fn a_missing_column_is_named() {
    let data = table("path,signer,label", &["0.png,ann,A"]);
    let message = error(open(data.path()));
    assert!(
        message.contains("hands.csv") && message.contains("split"),
        "{message}"
    );
}

#[test]
fn a_row_that_names_a_missing_picture_is_found_by_its_line() {
    let data = table(HEAD, &ROWS);
    fs::remove_file(data.path().join("a/3.png")).unwrap();
    let message = error(open(data.path()));
    assert!(
        message.contains("line 5") && message.contains("a/3.png"),
        "{message}"
    );
}

#[test]
fn an_impossible_box_or_split_is_found_by_its_line() {
    for (row, word) in [
        ("a/9.png,ann,train,A,A,0.5,0.2,0.1,0.9", "empty"),
        ("a/9.png,ann,train,A,A,100,200,300,400", "fraction"),
        ("a/9.png,ann,train,A,A,x,0.2,0.1,0.9", "number"),
        ("a/9.png,ann,test,A,A,0.1,0.2,0.5,0.9", "test"),
        ("a/9.png,,train,A,A,0.1,0.2,0.5,0.9", "signer"),
    ] {
        let data = table(HEAD, &[ROWS[0], ROWS[1], row]);
        let message = error(open(data.path()));
        assert!(
            message.contains("line 4") && message.contains(word),
            "{row}: {message}"
        );
    }
}

#[test]
fn train_and_val_folders_give_the_split() {
    let data = folder(&[
        "train/cat/1.png",
        "train/cat/2.PNG",
        "train/dog/1.png",
        "val/cat/1.png",
        "val/dog/1.png",
    ]);
    fs::write(data.path().join("train/dog/readme.txt"), "not a picture").unwrap();
    let dataset = open(data.path()).unwrap();
    assert_eq!(dataset.labels, ["cat", "dog"]);
    assert_eq!(
        dataset.per_class(),
        [Count { train: 2, val: 1 }, Count { train: 1, val: 1 }]
    );
}

#[test]
fn a_folder_of_classes_is_split_at_random_but_the_same_for_the_same_seed() {
    let paths: Vec<String> = (0..20)
        .flat_map(|at| [format!("cat/{at}.png"), format!("dog/{at}.png")])
        .collect();
    let data = folder(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let with_seed = |seed| {
        Dataset::open(&DataSource {
            val_fraction: Some(0.25),
            seed,
            ..source(data.path())
        })
        .unwrap()
    };
    let dataset = with_seed(1);
    assert_eq!(dataset.per_class(), [Count { train: 15, val: 5 }; 2]);
    assert_eq!(dataset, with_seed(1));
    assert_ne!(dataset, with_seed(2));
}

#[test]
fn a_missing_folder_is_named() {
    let data = folder(&[]);
    let path = data.path().join("not-there");
    assert!(error(open(&path)).contains("not-there"));
}

#[test]
fn an_empty_class_is_named() {
    let data = folder(&["cat/1.png", "cat/2.png"]);
    fs::create_dir(data.path().join("dog")).unwrap();
    let message = error(open(data.path()));
    assert!(
        message.contains("dog") && message.contains("empty"),
        "{message}"
    );
}

#[test]
fn one_class_only_is_refused() {
    let data = folder(&["cat/1.png", "cat/2.png"]);
    let message = error(open(data.path()));
    assert!(
        message.contains("one class only") && message.contains("cat"),
        "{message}"
    );
}

#[test]
fn a_class_that_is_missing_from_validation_is_named() {
    let data = folder(&["train/cat/1.png", "train/dog/1.png", "val/cat/1.png"]);
    assert!(error(open(data.path())).contains("val/dog"));
}

#[test]
fn options_that_a_layout_has_no_use_for_are_refused() {
    let data = folder(&["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]);
    let excluding = Dataset::open(&DataSource {
        exclude: vec!["ann".parse().unwrap()],
        ..source(data.path())
    });
    assert!(error(excluding).contains("--exclude"));
    let data = table(HEAD, &ROWS);
    let splitting = Dataset::open(&DataSource {
        val_fraction: Some(0.5),
        ..source(data.path())
    });
    assert!(error(splitting).contains("--val-fraction"));
}

#[test]
fn every_training_signer_is_left_out_of_exactly_one_fold() {
    let rows: Vec<String> = (0..12)
        .map(|at| format!("{at}.png,s{},train,{},,,,,", at / 2, ["A", "B"][at % 2]))
        .chain(["v0.png,eve,dev,A,,,,,".into()])
        .collect();
    let data = table(HEAD, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let folds = open(data.path()).unwrap().folds(3).unwrap();
    let mut left_out = Vec::new();
    for fold in &folds {
        assert_eq!(fold.of_split(Split::Val).len(), 4, "folds are of like size");
        for (signer, count) in fold.per_signer() {
            assert_ne!(&*signer, "eve", "a dev signer is in a fold");
            assert!(
                count.train == 0 || count.val == 0,
                "{signer} is on both sides"
            );
            if count.val > 0 {
                left_out.push(signer);
            }
        }
    }
    left_out.sort();
    let all: Vec<Arc<str>> = (0..6).map(|at| Arc::from(format!("s{at}"))).collect();
    assert_eq!(left_out, all);
}

#[test]
fn more_folds_than_signers_are_refused() {
    let data = table(HEAD, &ROWS);
    assert!(open(data.path()).unwrap().folds(3).is_err());
}

#[test]
fn a_table_without_validation_pictures_keeps_the_last_of_each_sequence() {
    let rows = [
        "a/0.png,ann,train,A,A,,,,",
        "a/1.png,ann,train,A,A,,,,",
        "a/2.png,ann,train,B,B,,,,",
        "a/3.png,ann,train,A,A,,,,",
        "a/4.png,bob,train,A,A,,,,",
        "a/5.png,ann,train,A,A,,,,",
        "a/6.png,bob,train,A,A,,,,",
    ];
    let data = table(HEAD, &rows);
    let held = |share| {
        let source = DataSource {
            val_fraction: share,
            ..source(data.path())
        };
        Dataset::open(&source).map(|dataset| dataset.of_split(Split::Val))
    };
    // Each of a signer's classes is a sequence of its own; one picture is no sequence.
    assert_eq!(held(None).unwrap(), [5, 6]);
    assert_eq!(held(Some(0.5)).unwrap(), [3, 5, 6]);
    assert!(format!("{:#}", held(Some(1.5)).unwrap_err()).contains("--val-fraction"));
    let split = table(HEAD, &ROWS);
    let source = DataSource {
        val_fraction: Some(0.5),
        ..source(split.path())
    };
    let error = error(Dataset::open(&source));
    assert!(error.contains("--val-fraction"), "{error}");
}

#[test]
fn known_classes_need_no_pictures_and_stand_among_the_others() {
    let data = table(HEAD, &ROWS[..2]);
    let source = DataSource {
        known: ["nothing", "C", "A", "0"].map(String::from).to_vec(),
        ..source(data.path())
    };
    let source = DataSource {
        exclude: vec!["bob".parse().unwrap()],
        ..source
    };
    let text = fs::read_to_string(data.path().join("hands.csv")).unwrap();
    draw(&data.path().join("v.png"));
    let text = format!("{text}v.png,eve,dev,A,A,,,,\n");
    fs::write(data.path().join("hands.csv"), text).unwrap();
    let dataset = Dataset::open(&source).unwrap();
    assert_eq!(dataset.labels, ["0", "A", "C", "nothing"]);
    assert_eq!(dataset.samples[0].class, 1);
}

#[test]
fn a_table_of_too_many_rows_or_bytes_is_refused() {
    let folder = folder(&["a.png"]);
    let table = folder.path().join("hands.csv");
    let rows = "a.png,ann,train,A\n".repeat(MAX_PICTURES + 1);
    fs::write(&table, format!("path,signer,split,label\n{rows}")).unwrap();
    let told = error(open(folder.path()));
    assert!(
        told.contains("rows") && told.contains("hands.csv"),
        "{told}"
    );

    // Takes no room on the disk, nor in memory.
    let file = fs::File::create(&table).unwrap();
    file.set_len(1 << 40).unwrap();
    let told = error(open(folder.path()));
    assert!(told.contains("MiB") && told.contains("hands.csv"), "{told}");
}

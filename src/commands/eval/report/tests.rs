use super::*;

/// Signer, label, and what was read and whether it was shown; `None` where no hand was found.
type Row<'a> = (&'a str, &'a str, Option<(&'a str, bool)>);

fn report(rows: &[Row<'_>]) -> Report {
    let pictures: Vec<Labelled> = rows
        .iter()
        .map(|&(signer, label, _)| Labelled {
            path: "drawn.png".into(),
            signer: signer.into(),
            label: label.into(),
            is_nothing: ["other", "nothing"].contains(&label),
        })
        .collect();
    let outcomes: Vec<Outcome> = rows
        .iter()
        .map(|&(.., read)| match read {
            None => Outcome::NoHand,
            Some((label, shown)) => Outcome::Read {
                label: label.into(),
                confidence: 0.9,
                shown,
            },
        })
        .collect();
    Report::new(&pictures, &outcomes)
}

#[test]
fn signers_count_alike_however_many_pictures_they_have() {
    let report = report(&[
        ("ann", "A", Some(("A", true))),
        ("bob", "A", Some(("B", true))),
        ("bob", "A", Some(("B", true))),
        ("bob", "B", Some(("B", true))),
        ("bob", "B", None),
    ]);
    assert_eq!(report.static24_mean, Some(0.625));
    assert_eq!(report.static24_worst, Some(0.25));
    assert_eq!(report.signers["bob"].no_hand, 1);
    assert_eq!(report.confusions, [("A".into(), "B".into(), 2)]);
}

#[test]
fn moving_letters_count_only_among_all_26() {
    let report = report(&[
        ("ann", "A", Some(("A", true))),
        ("ann", "J", Some(("I", true))),
    ]);
    assert_eq!(report.static24_mean, Some(1.0));
    assert_eq!(report.all26_mean, Some(0.5));
}

#[test]
fn a_letter_read_as_nothing_is_wrong_and_nothing_read_as_a_letter_is_false() {
    let report = report(&[
        ("ann", "A", Some(("nothing", false))),
        ("ann", "other", Some(("B", true))),
        ("ann", "nothing", Some(("B", false))),
        ("ann", "nothing", None),
        ("ann", "other", Some(("nothing", false))),
    ]);
    assert_eq!(report.static24_mean, Some(0.0));
    assert_eq!(report.false_letters, Some(0.25));
    assert_eq!(report.signers["ann"].frames, 5);
    assert_eq!(report.signers["ann"].no_hand, 0);
}

#[test]
fn classes_that_are_no_letters_get_a_table_of_their_own() {
    let report = report(&[
        ("val", "cat", Some(("cat", true))),
        ("val", "cat", Some(("dog", true))),
        ("val", "dog", Some(("dog", true))),
        ("val", "nothing", Some(("nothing", false))),
    ]);
    assert!(!report.has_letters());
    assert_eq!(report.accuracy, 0.75);
    assert_eq!(report.all26_mean, None);
    let table = report.table_of_classes();
    let expected = [
        "class    pictures  accuracy",
        "cat             2    50.0 %",
        "dog             1   100.0 %",
        "nothing         1   100.0 %",
        "all             4    75.0 %",
    ];
    let lines: Vec<&str> = table.lines().take(5).collect();
    assert_eq!(lines, expected, "{table}");
    assert!(table.contains("cat as dog 1"), "{table}");
    assert!(
        !table.contains("signer"),
        "one folder is no signer: {table}"
    );
    for word in ["letter", "static", "26"] {
        assert!(!table.contains(word), "{table}");
    }
}

#[test]
fn a_word_beside_the_letters_is_none_of_the_26() {
    let report = report(&[
        ("ann", "A", Some(("A", true))),
        ("ann", "wave", Some(("A", true))),
    ]);
    assert!(report.has_letters());
    assert_eq!(report.all26_mean, Some(1.0));
    assert_eq!(report.accuracy, 0.5);
}

#[test]
fn people_see_each_letter_the_worst_first() {
    let table = report(&[
        ("ann", "A", Some(("A", true))),
        ("ann", "B", Some(("A", true))),
        ("bob", "B", Some(("B", true))),
        ("bob", "C", None),
        ("bob", "nothing", None),
    ])
    .table();
    let expected = "C   0.0 % of 1    B  50.0 % of 2    A 100.0 % of 1";
    assert!(
        table.lines().any(|line| line.trim_end() == expected),
        "{table}"
    );
}

#[test]
fn people_see_whose_letters_are_mostly_read_as_others() {
    let mut rows = vec![("ann", "T", Some(("T", true))); 6];
    rows.extend([("bob", "T", Some(("S", true))); 3]);
    rows.extend([
        ("bob", "T", Some(("nothing", false))),
        ("bob", "T", Some(("T", true))),
        ("bob", "T", None),
    ]);
    // Half of the pictures do not cast doubt on a label, nor do all of a few.
    rows.extend([("cid", "M", Some(("N", true))); 2]);
    rows.extend([("cid", "M", Some(("M", true))); 2]);
    rows.extend([("dan", "M", Some(("N", true))); 3]);
    let table = report(&rows).table();
    let (_, doubts) = table.split_once("mostly read as others").expect(&table);
    let lines: Vec<&str> = doubts.lines().skip(1).collect();
    assert_eq!(lines, ["  bob/T: 4 of 5, 3 as S"]);
}

#[test]
fn no_label_is_doubted_where_signers_are_read_well() {
    let table = report(&[("ann", "A", Some(("A", true))); 8]).table();
    assert!(!table.contains("doubtful"), "{table}");
}

#[test]
fn the_json_has_exactly_the_fields_that_other_tools_rely_on() {
    let report = report(&[("ann", "M", Some(("N", true)))]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "static24_mean": 0.0,
            "static24_worst": 0.0,
            "all26_mean": 0.0,
            "false_letters": null,
            "signers": {
                "ann": {
                    "frames": 1,
                    "accuracy": 0.0,
                    "static24": 0.0,
                    "all26": 0.0,
                    "no_hand": 0
                }
            },
            "accuracy": 0.0,
            "classes": {"M": {"pictures": 1, "accuracy": 0.0}},
            "confusions": [["M", "N", 1]],
        })
    );
}

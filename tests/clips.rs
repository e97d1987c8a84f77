//! `signcam eval --clips`, on clips of the hand that the program draws.
#![cfg(feature = "record")]

mod common;

use std::fs;
use std::path::Path;

use common::signcam;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

/// Records the demo's hand while it spells `text`, with nothing drawn over it.
fn record(text: &str, path: &Path) {
    signcam()
        .args(["--source", "demo", "--text", text, "--headless"])
        .args(["--pace", "max", "--record-clean", "--record"])
        .arg(path)
        .assert()
        .success();
}

fn eval(table: &Path) -> assert_cmd::Command {
    let mut command = signcam();
    command.args(["eval", "--clips"]).arg(table);
    command
}

#[test]
fn clips_are_read_as_if_watched_live_and_one_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record("HI", &at("hi.mp4"));
    record("W", &at("w.mp4"));
    fs::write(at("damaged.mp4"), "no video at all").unwrap();
    let rows = [
        "path,signer,split,kind,text",
        "hi.mp4,ann,dev,spelled,h i",
        "w.mp4,bob,dev,letter,W",
        "damaged.mp4,bob,dev,letter,A",
        "absent.mp4,cid,train,sign,",
    ];
    let table = at("clips.csv");
    fs::write(&table, rows.join("\n")).unwrap();
    fs::write(
        at("boxes.csv"),
        "path,frame,hand,x0,y0,x1,y1\nhi.mp4,30,0,0.0,0.9,0.1,1.0\nw.mp4,9999,0,0,0,1,1\n",
    )
    .unwrap();

    let output = eval(&table).args(["--split", "dev", "--json"]).assert();
    let output = output.success().stderr(contains("damaged.mp4"));
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["clips"], 3, "cid is in another split");
    assert_eq!(report["failed"][0]["path"], "damaged.mp4");
    assert_eq!(
        report["words"],
        json!({"ler": 0.0, "exact": 1, "clips": 1}),
        "{report}"
    );
    assert_eq!(report["letters"]["typed"], 1.0, "{report}");
    let boxes = json!({"frames": 1, "on_hand": 0, "elsewhere": 1, "none": 0});
    assert_eq!(report["boxes"], boxes, "the hand is not in that corner");
    assert_eq!(report["signers"]["ann"]["clips"], 1);

    let people = eval(&table).args(["--split", "dev"]).assert().success();
    people.stdout(contains("ann").and(contains("1 of 1 exact")));
}

#[test]
fn a_table_that_makes_no_sense_is_an_error_that_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("clips.csv");
    let refused = |content: &str, part: &str| {
        fs::write(&table, content).unwrap();
        eval(&table)
            .args(["--split", "dev"])
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains(part).and(contains("clips.csv")));
    };
    let header = "path,signer,split,kind,text\n";
    refused("path,signer,split,kind\na.mp4,ann,dev,sign\n", "text");
    refused(&format!("{header}a.mp4,ann,dev,dance,\n"), "dance");
    refused(&format!("{header}a.mp4,ann,dev,letter,AB\n"), "line 2");
    refused(&format!("{header}a.mp4,ann,train,sign,\n"), "\"dev\"");
    refused(
        &format!("{header}a.mp4,ann,dev,sign,\n"),
        "none of the 1 clips",
    );
}

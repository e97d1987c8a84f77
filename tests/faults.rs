//! What goes wrong around the running program, and what it does then; `tests/README.md` has the
//! whole table.
#![cfg(all(target_os = "linux", feature = "camera"))]

#[path = "common/mod.rs"]
mod common;
#[path = "common/fakecam.rs"]
mod fakecam;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{RED, colour_model, paint, signcam};
use fakecam::{FakeCamera, HEIGHT, Running, WIDTH, jpeg};
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

/// Plain colours show no hand to find.
const BOX: [&str; 2] = ["--box", "0.3,0.3,0.4,0.4"];

/// A folder for what is written, and in it a model that reads A from red and B from green.
struct Place {
    folder: TempDir,
    model: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = colour_model(folder.path());
        Place { folder, model }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn watch(&self, camera: &FakeCamera, arguments: &[&str]) -> Running {
        let model = self.model.display().to_string();
        let usual = ["--headless", "--model", &model];
        camera.start(&[&usual, &BOX[..], arguments].concat())
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

#[test]
fn every_signal_that_asks_to_end_ends_it_in_good_order() {
    for signal in ["INT", "TERM", "HUP"] {
        let Some(camera) = FakeCamera::seeing(RED) else {
            return;
        };
        let place = Place::new();
        let stats = place.path("stats.json");
        let mut running = place.watch(&camera, &["--stats", &stats]);
        running.readings(3);
        running.signal(signal);
        let (status, said) = running.end();
        assert!(status.success(), "{signal}: {status}, {said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(place.json("stats.json")["frames"].as_u64().unwrap() >= 3);
    }
}

/// Pictures that come faster than they are read are replaced by newer ones, and counted: none waits
/// in a queue to be shown late.
#[test]
fn a_flood_of_pictures_is_dropped_and_counted_instead_of_piling_up() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_FPS", 240);
    let place = Place::new();
    let stats = place.path("stats.json");
    let mut running = place.watch(&camera, &["--stats", &stats]);
    let readings = running.readings(60);
    running.signal("INT");
    let (status, said) = running.end();
    assert!(status.success(), "{said}");
    let seqs: Vec<u64> = (readings.iter())
        .map(|reading| reading["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    let stats = place.json("stats.json");
    let count = |of: &Value| of.as_u64().unwrap();
    let accounted = count(&stats["stages"]["age_at_present"]["count"])
        + count(&stats["dropped"]["mailbox"])
        + count(&stats["dropped"]["decode"]);
    let (first, last) = (seqs[0], seqs[seqs.len() - 1]);
    assert!(accounted > last - first, "{accounted} of {seqs:?}: {stats}");
}

#[test]
fn a_camera_that_changes_its_size_is_read_on() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera =
        camera
            .and(&jpeg(RED, WIDTH / 2, HEIGHT / 2))
            .and(&jpeg(RED, HEIGHT / 2, WIDTH / 2));
    let place = Place::new();
    let video = place.path("demo.mp4");
    let record = ["--record", video.as_str()];
    let mut running = place.watch(
        &camera,
        if cfg!(feature = "record") {
            &record
        } else {
            &[]
        },
    );
    let readings = running.readings(20);
    running.signal("INT");
    let (status, said) = running.end();
    assert!(status.success(), "{said}");
    let mut boxes = Vec::new();
    for reading in &readings {
        assert_eq!(reading["letter"], "A", "{reading}");
        // A square in the picture: its shares of the sides tell the picture's proportions.
        if !boxes.contains(&reading["box"]) {
            boxes.push(reading["box"].clone());
        }
    }
    assert!(boxes.len() >= 2, "{boxes:?}");
}

#[test]
fn setting_the_clock_back_changes_no_age_and_no_time() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_CLOCK_BACK_AFTER", 5);
    let place = Place::new();
    let readings = place.watch(&camera, &[]).readings(20);
    let time = |reading: &Value| reading["t_ms"].as_f64().unwrap();
    for pair in readings.windows(2) {
        assert!(time(&pair[1]) > time(&pair[0]), "{pair:?}");
    }
    for reading in &readings {
        let age = reading["age_ms"].as_f64().unwrap();
        assert!((0.0..5000.0).contains(&age), "{age} ms old");
    }
    // The hour that the clock went back is in none of the times.
    assert!(time(&readings[19]) - time(&readings[0]) < 60_000.0);
}

#[test]
fn a_model_that_is_replaced_by_a_broken_one_is_noticed_at_the_next_start_only() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let place = Place::new();
    let mut running = place.watch(&camera, &[]);
    running.readings(2);
    fs::write(&place.model, "no model any more").unwrap();
    for reading in running.readings(10) {
        assert_eq!(reading["letter"], "A");
    }
    drop(running);
    let (status, said) = place.watch(&camera, &[]).end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("colours.onnx") && said.contains("no ONNX"),
        "{said}"
    );
}

#[test]
fn lines_that_cannot_be_written_are_an_error() {
    let place = Place::new();
    let pictures = place.folder.path().join("pictures");
    paint(&pictures.join("1.png"), RED, RED);
    let ended = Command::new(env!("CARGO_BIN_EXE_signcam"))
        .args(["--headless", "--pace", "max", "--source"])
        .arg(&pictures)
        .arg("--model")
        .arg(&place.model)
        .args(BOX)
        .stdout(Stdio::from(
            File::options().write(true).open("/dev/full").unwrap(),
        ))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot write") && said.contains("space"),
        "{said}"
    );
}

#[test]
fn figures_that_cannot_be_written_are_an_error_that_names_the_file() {
    let place = Place::new();
    let pictures = place.folder.path().join("pictures");
    paint(&pictures.join("1.png"), RED, RED);
    signcam()
        .args(["--headless", "--pace", "max", "--source"])
        .arg(&pictures)
        .arg("--model")
        .arg(&place.model)
        .args(BOX)
        .args(["--stats", "/proc/no/such/stats.json"])
        .assert()
        .code(1)
        .stderr(contains("/proc/no/such/stats.json"));
}

//! The program watching pictures, and what it says where it cannot.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::assert::Assert;
use common::{
    BLUE, GREEN, RED, case, colour_model, joints_in_the_box, joints_model, paint, signcam,
};
use image::{Rgb, RgbImage};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, is_empty};
use serde_json::Value;
use signcam::int8::Isa;
use tempfile::TempDir;

/// A folder of pictures, red, green and blue by their names, and a model that tells them apart.
struct Scene {
    folder: TempDir,
    model: PathBuf,
}

impl Scene {
    fn new(pictures: &[(&str, [u8; 3])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pictures")).unwrap();
        for (name, colour) in pictures {
            paint(&folder.path().join("pictures").join(name), *colour, *colour);
        }
        let model = colour_model(folder.path());
        Scene { folder, model }
    }

    fn pictures(&self) -> PathBuf {
        self.folder.path().join("pictures")
    }

    fn watch(&self, source: &Path, arguments: &[&str]) -> Assert {
        let mut command = signcam();
        command.arg("--source").arg(source);
        command.arg("--model").arg(&self.model);
        // Plain colours show no hand to find.
        command.args(["--box", "0.3,0.3,0.4,0.4"]);
        command.args(arguments).assert()
    }
}

fn readings(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Exit code 1 and one message that has the parts.
#[track_caller]
fn assert_one_error(assert: Assert, parts: &[&str]) {
    let mut assert = assert.code(1).stdout(is_empty());
    for part in parts {
        assert = assert.stderr(contains(*part));
    }
    assert
        .stderr(contains("error:").count(1))
        .stderr(contains("panicked").not());
}

#[test]
fn a_folder_is_read_picture_by_picture_in_path_order() {
    let scene = Scene::new(&[("2.png", GREEN), ("1/a.png", RED), ("3.png", BLUE)]);
    let assert = scene.watch(&scene.pictures(), &["--headless", "--pace", "max"]);
    let output = assert.success().stderr(is_empty()).get_output().clone();
    let readings = readings(&output.stdout);
    let letters: Vec<_> = readings.iter().map(|reading| &reading["letter"]).collect();
    assert_eq!(
        letters,
        [&Value::from("A"), &Value::from("B"), &Value::Null]
    );
    assert_eq!(readings[2]["text"], "", "pictures of a folder do not spell");
    for field in ["seq", "t_ms", "confidence", "top", "box", "age_ms", "text"] {
        assert!(!readings[0][field].is_null(), "{field}: {}", readings[0]);
    }
}

#[test]
fn joints_stand_in_every_reading_of_a_followed_hand_and_keep_its_box_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = joints_model(folder.path(), &joints_in_the_box());
    let lines = |model: &Path| {
        let mut command = signcam();
        command.args([
            "--source",
            "demo",
            "--text",
            "LO",
            "--headless",
            "--pace",
            "max",
        ]);
        let assert = command.arg("--model").arg(model).assert().success();
        let lines = readings(&assert.get_output().stdout);
        lines.into_iter().filter(|line| !line["seq"].is_null())
    };
    let with_hand: Vec<Value> = lines(&model)
        .filter(|line| !line["box"].is_null())
        .collect();
    assert!(with_hand.len() > 30, "{}", with_hand.len());
    for line in &with_hand {
        let number = |value: &Value| value.as_f64().unwrap();
        let hand: Vec<f64> = line["box"].as_array().unwrap().iter().map(number).collect();
        let joints = line["joints"].as_array().expect("a reading without joints");
        assert_eq!(joints.len(), 21);
        // The wrist is in the middle of the crop's square, at the lower edge of what it was made of.
        let wrist = [number(&joints[0][0]), number(&joints[0][1])];
        let across = wrist[0] - (hand[0] + hand[2] / 2.0);
        assert!(
            across.abs() < 0.15 && wrist[1] > hand[1] + hand[3] / 2.0,
            "{line}"
        );
    }
    let letters_only = colour_model(folder.path());
    assert!(lines(&letters_only).all(|line| line["joints"].is_null()));
}

#[test]
#[cfg(feature = "record")]
fn a_video_is_spelled_a_held_letter_once_and_let_go_again() {
    let scene = Scene::new(&[]);
    let video = scene.folder.path().join("spelled.mp4");
    let held: [([u8; 3], u32); 7] = [
        (RED, 900),
        (GREEN, 900),
        (BLUE, 300),
        (GREEN, 900),
        (BLUE, 2800),
        (RED, 900),
        (BLUE, 100),
    ];
    film(&video, &held);
    let arguments = ["--headless", "--pace", "max"];
    let assert = scene.watch(&video, &arguments).success();
    let lines = readings(&assert.get_output().stdout);
    let (events, readings): (Vec<_>, Vec<_>) =
        (lines.iter()).partition(|line| line["seq"].is_null());
    let events: Vec<_> = events
        .iter()
        .map(|line| (&line["event"], line["text"].as_str().unwrap()))
        .collect();
    let [letter, space, text] = ["letter", "space", "text"].map(Value::from);
    assert_eq!(
        events,
        [
            (&letter, "A"),
            (&letter, "AB"),
            (&letter, "ABB"),
            (&space, "ABB "),
            (&letter, "ABB A"),
            (&text, "ABB A")
        ]
    );
    assert_eq!(readings.len(), recorded(&held) as usize);
    assert_eq!(readings[0]["text"], "");
    assert_eq!(readings[readings.len() - 1]["text"], "ABB A");

    let slow = ["--headless", "--pace", "max", "--dwell", "1000"];
    let assert = scene.watch(&video, &slow).success();
    assert!(assert.get_output().stdout.ends_with(b"\"text\":\"\"}\n"));
}

/// Films plain colours, each for so many milliseconds, at 20 frames a second.
#[cfg(feature = "record")]
fn film(path: &Path, colours: &[([u8; 3], u32)]) {
    use signcam::sink::record::{Hurry, Recorder};
    use std::time::Duration;

    let mut recorder = Recorder::start(path, 80, 60, Hurry::None).unwrap();
    let frames = (colours.iter()).flat_map(|(colour, ms)| (0..ms / 50).map(move |_| colour));
    for ([r, g, b], at) in frames.zip(0..) {
        let pixels = vec![u32::from_be_bytes([0, *r, *g, *b]); 80 * 60];
        let time = Duration::from_millis(50) * at;
        // A full queue drops what it is given: the same picture is given again.
        let mut dropped = recorder.dropped();
        recorder.push(&pixels, time).unwrap();
        while recorder.dropped() > dropped {
            dropped = recorder.dropped();
            std::thread::sleep(Duration::from_millis(5));
            recorder.push(&pixels, time).unwrap();
        }
    }
    assert_eq!(
        recorder.finish().unwrap().frames,
        u64::from(recorded(colours))
    );
}

/// How many frames [`film`] makes of these colours.
#[cfg(feature = "record")]
fn recorded(colours: &[([u8; 3], u32)]) -> u32 {
    colours.iter().map(|(_, ms)| ms / 50).sum()
}

#[test]
fn an_unreadable_picture_in_a_folder_is_named_and_skipped() {
    let scene = Scene::new(&[("1.png", RED), ("3.png", GREEN)]);
    fs::write(scene.pictures().join("2.png"), "no picture").unwrap();
    let assert = scene.watch(&scene.pictures(), &["--headless", "--pace", "max"]);
    let assert = assert.success().stderr(contains("2.png"));
    assert_eq!(readings(&assert.get_output().stdout).len(), 2);
}

/// It was shown half grey, as if it were whole.
#[test]
fn a_jpeg_picture_that_is_cut_off_is_named_and_skipped() {
    let scene = Scene::new(&[("1.png", RED), ("3.png", GREEN)]);
    let cut = scene.pictures().join("2.jpg");
    fs::copy(case("cut50.jpg"), &cut).unwrap();
    let arguments = ["--headless", "--pace", "max"];
    let assert = scene.watch(&scene.pictures(), &arguments).success();
    let assert = assert.stderr(contains("2.jpg").and(contains("cut short")));
    assert_eq!(readings(&assert.get_output().stdout).len(), 2);
    assert_one_error(scene.watch(&cut, &["--headless"]), &["2.jpg", "cut short"]);
}

#[test]
fn pictures_numbered_without_zeros_are_read_in_the_order_of_their_numbers() {
    let scene = Scene::new(&[("1.png", RED), ("10.png", BLUE), ("2.png", GREEN)]);
    let assert = scene.watch(&scene.pictures(), &["--headless", "--pace", "max"]);
    let read = readings(&assert.success().get_output().stdout);
    let letters: Vec<_> = read.iter().map(|line| line["letter"].as_str()).collect();
    assert_eq!(letters, [Some("A"), Some("B"), None]);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_named_in_errors_as_well_as_it_can_be() {
    use std::os::unix::ffi::OsStringExt;
    let name = |name: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()));
    let scene = Scene::new(&[("1.png", RED)]);
    let missing = scene.pictures().join(name(b"r\xe9d.png"));
    assert_one_error(
        scene.watch(&missing, &["--headless"]),
        &["r\u{fffd}d.png", "No such file"],
    );
    let scene = Scene {
        model: scene.folder.path().join(name(b"mod\xe8le.onnx")),
        ..scene
    };
    assert_one_error(
        scene.watch(&scene.pictures(), &["--headless"]),
        &["mod\u{fffd}le.onnx"],
    );
}

#[test]
fn no_letter_is_given_below_the_threshold() {
    let scene = Scene::new(&[("1.png", RED)]);
    let watch = |threshold: &str| {
        let arguments = ["--headless", "--threshold", threshold];
        let assert = scene.watch(&scene.pictures(), &arguments).success();
        readings(&assert.get_output().stdout)[0].clone()
    };
    let reading = watch("0");
    assert_eq!(reading["letter"], "A");
    assert!(reading["confidence"].as_f64().unwrap() < 1.0);
    assert!(watch("1")["letter"].is_null());
}

#[test]
fn figures_are_written_where_asked_for() {
    let scene = Scene::new(&[("1.png", RED), ("2.png", GREEN)]);
    let stats = scene.folder.path().join("stats.json");
    let arguments = [
        "--headless",
        "--pace",
        "max",
        "--stats",
        stats.to_str().unwrap(),
    ];
    scene
        .watch(&scene.pictures(), &arguments)
        .success()
        .stderr(contains("infer"));
    let stats: Value = serde_json::from_slice(&fs::read(stats).unwrap()).unwrap();
    assert_eq!(stats["frames"], 2);
    assert_eq!(stats["stages"]["infer"]["count"], 2);
    assert_eq!(stats["dropped"]["mailbox"], 0);
}

#[test]
fn times_can_be_drawn() {
    let scene = Scene::new(&[("1.png", RED), ("2.png", GREEN)]);
    let plot = scene.folder.path().join("times.svg");
    let plot = plot.to_str().unwrap();
    let arguments = ["--headless", "--pace", "max", "--stats-plot", plot];
    scene.watch(&scene.pictures(), &arguments).success();
    let drawn = fs::read_to_string(plot).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("infer"));
}

#[test]
fn a_bench_measures_as_many_frames_as_asked_for_however_short_the_file() {
    let scene = Scene::new(&[("1.png", RED), ("2.png", GREEN), ("3.png", RED)]);
    let report: Value = {
        let output = signcam()
            .args(["bench", "--json", "--frames", "10", "--warmup", "4"])
            .args(["--threads", "2", "--box", "0.3,0.3,0.4,0.4"])
            .arg("--model")
            .arg(&scene.model)
            .arg("--source")
            .arg(scene.pictures())
            .assert()
            .success()
            .get_output()
            .stdout
            .clone();
        serde_json::from_slice(&output).unwrap()
    };
    assert_eq!(report["frames"], 10);
    assert_eq!(report["threads"], 2);
    for stage in ["decode", "infer", "overlay", "blit", "age_at_present"] {
        let count = report["stages"][stage]["count"].as_u64().unwrap();
        // A reading or picture of the last frame before may still be under way.
        assert!((10..=12).contains(&count), "{stage}: {count}");
    }
    assert_eq!(report["dropped"]["mailbox"], 0);
    assert!(report["fps"]["inference"].as_f64().unwrap() > 0.0);
}

#[test]
fn sources_that_cannot_be_read_are_errors_that_name_them() {
    let scene = Scene::new(&[]);
    let headless = ["--headless"];
    let empty = scene.pictures();
    assert_one_error(
        scene.watch(&empty, &headless),
        &["no picture", "pictures", "WebP"],
    );

    let missing = scene.folder.path().join("missing");
    assert_one_error(
        scene.watch(&missing, &headless),
        &["missing", "No such file"],
    );

    let broken = scene.folder.path().join("broken.jpg");
    fs::write(&broken, "no picture").unwrap();
    assert_one_error(scene.watch(&broken, &headless), &["broken.jpg"]);

    let video = scene.folder.path().join("zero.mp4");
    fs::write(&video, "").unwrap();
    assert_one_error(scene.watch(&video, &headless), &["zero.mp4", "empty"]);
}

#[test]
fn a_model_that_is_missing_is_an_error_that_names_it() {
    let scene = Scene::new(&[("1.png", RED)]);
    let scene = Scene {
        model: scene.folder.path().join("none.onnx"),
        ..scene
    };
    assert_one_error(
        scene.watch(&scene.pictures(), &["--headless"]),
        &["none.onnx"],
    );
}

#[test]
#[cfg(all(target_os = "linux", feature = "window"))]
fn without_a_display_the_error_offers_another_way() {
    let scene = Scene::new(&[("1.png", RED)]);
    let mut command = signcam();
    command.arg("--source").arg(scene.pictures());
    command.arg("--model").arg(&scene.model);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    assert_one_error(command.assert(), &["cannot open a window", "--headless"]);
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    let wrong: [&[&str]; 5] = [
        &["--dwell", "0"],
        &["--threshold", "1.5"],
        &["--threshold", "nan"],
        &["--pace", "0"],
        &["--nonsense"],
    ];
    for arguments in wrong {
        signcam()
            .args(arguments)
            .assert()
            .code(2)
            .stdout(is_empty());
    }
}

/// Before a camera is opened or anything read.
#[test]
fn a_recording_or_figures_of_an_unknown_kind_are_wrong_usage() {
    for (option, name, known) in [
        ("--record", "clip.avi", ".mp4"),
        ("--stats", "figures.xls", ".json"),
    ] {
        let scene = Scene::new(&[("1.png", RED)]);
        let path = scene.folder.path().join(name);
        let arguments = ["--headless", option, path.to_str().unwrap()];
        let assert = scene.watch(&scene.pictures(), &arguments).code(2);
        assert
            .stdout(is_empty())
            .stderr(contains(name).and(contains(known)));
        assert!(!path.exists());
    }
}

/// What a processor can do decides how fast letters are read, and nothing else.
#[test]
fn every_kernel_family_gives_the_same_readings_to_the_last_digit() {
    let folder = tempfile::tempdir().unwrap();
    for at in 0..6u32 {
        RgbImage::from_fn(160, 120, |x, y| {
            let (dx, dy) = (x.abs_diff(60 + at * 9), y.abs_diff(55));
            match dx * dx + dy * dy < 1200 {
                true => Rgb([205, (150 + at * 7) as u8, 120]),
                false => Rgb([(x * (at + 1)) as u8, (y * 3) as u8, (x ^ y) as u8]),
            }
        })
        .save(folder.path().join(format!("{at}.png")))
        .unwrap();
    }
    let lines = |isa: Isa, place: &[&str]| -> Vec<String> {
        let mut command = signcam();
        command.env("SIGNCAM_ISA", isa.name());
        command.args(["--headless", "--pace", "max", "--source"]);
        command.arg(folder.path()).args(place);
        let output = command.assert().success().get_output().stdout.clone();
        let lines = String::from_utf8(output).unwrap();
        lines.lines().map(without_age).collect()
    };
    for place in [&[][..], &["--box", "0.2,0.2,0.5,0.6"]] {
        let expected = lines(Isa::Portable, place);
        assert_eq!(expected.len(), 6);
        assert!(expected.iter().any(|line| line != &expected[0]));
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            assert_eq!(lines(isa, place), expected, "{isa}");
        }
    }
}

/// A line of JSON without what depends on the clock.
fn without_age(line: &str) -> String {
    let (before, age) = line.split_once("\"age_ms\":").unwrap();
    let end = age.find([',', '}']).unwrap();
    format!("{before}{}", &age[end..])
}

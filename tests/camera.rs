//! The program before a camera, through its own camera code and faults of all kinds.
#![cfg(all(target_os = "linux", feature = "camera"))]

#[path = "common/mod.rs"]
mod common;
#[path = "common/fakecam.rs"]
mod fakecam;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{GREEN, RED, colour_model};
use fakecam::{FakeCamera, HEIGHT, Running, WIDTH};
use serde_json::Value;
use tempfile::TempDir;

/// Plain colours show no hand to find.
const BOX: &str = "0.3,0.3,0.4,0.4";

/// A model that reads A from red and B from green.
struct Colours(TempDir, String);

impl Colours {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = colour_model(folder.path()).display().to_string();
        Colours(folder, path)
    }

    fn watch(&self, camera: &FakeCamera) -> Running {
        self.watch_with(camera, &[])
    }

    fn watch_with(&self, camera: &FakeCamera, more: &[&str]) -> Running {
        let arguments = ["--headless", "--model", &self.1, "--box", BOX];
        camera.start(&[&arguments, more].concat())
    }
}

#[track_caller]
fn assert_letters(readings: &[Value], letter: &str) {
    for reading in readings {
        assert_eq!(reading["letter"], letter, "{reading}");
    }
}

/// How long an end may take that waits for nothing: many times what it does on an idle machine.
const SOON: Duration = Duration::from_secs(5);

/// What the program said of a run that a signal ended in good order.
#[track_caller]
fn end(running: Running) -> String {
    let began = Instant::now();
    running.signal("TERM");
    let (status, said) = running.end();
    assert!(status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    said
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The program ended with one message and no crash.
#[track_caller]
fn assert_one_error(running: Running, parts: &[&str]) {
    let (status, said) = running.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

fn seq(reading: &Value) -> u64 {
    reading["seq"].as_u64().unwrap()
}

#[test]
fn frames_carry_the_drivers_time_stamps() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let colours = Colours::new();
    let mut running = colours.watch(&camera);
    let readings = running.readings(20);
    assert_letters(&readings, "A");
    for pair in readings.windows(2) {
        let frames = seq(&pair[1]) - seq(&pair[0]);
        let time = |reading: &Value| reading["t_ms"].as_f64().unwrap();
        let step = time(&pair[1]) - time(&pair[0]);
        // The moments of arrival vary by more than this.
        let expected = frames as f64 * 1000.0 / 30.0;
        assert!(
            (step - expected).abs() < 1.0,
            "{step} ms for {frames} frames"
        );
    }
    for reading in &readings {
        let age = reading["age_ms"].as_f64().unwrap();
        assert!((0.0..5000.0).contains(&age), "{age} ms old");
    }
}

#[test]
fn every_encoding_is_read() {
    let pixels = WIDTH * HEIGHT;
    // Green in BT.601, limited range.
    let (y, u, v) = (146, 66, 49);
    let nv12 = [vec![y; pixels], [u, v].repeat(pixels / 4)].concat();
    let [r, g, b] = GREEN;
    let pictures = [
        ("YUYV", [y, u, y, v].repeat(pixels / 2)),
        ("NV12", nv12),
        ("RGB3", GREEN.repeat(pixels)),
        ("BGR3", [b, g, r].repeat(pixels)),
    ];
    let colours = Colours::new();
    for (format, picture) in pictures {
        let Some(camera) = FakeCamera::sending(format, &picture) else {
            return;
        };
        let readings = colours.watch(&camera).readings(2);
        assert_letters(&readings, "B");
    }
}

#[test]
fn a_camera_with_grey_pictures_only_is_read() {
    let Some(camera) = FakeCamera::sending("GREY", &[128; WIDTH * HEIGHT]) else {
        return;
    };
    let readings = Colours::new().watch(&camera).readings(3);
    assert!(seq(&readings[2]) > seq(&readings[0]), "{readings:?}");
}

#[test]
fn a_camera_that_another_program_left_in_an_odd_state_is_opened() {
    let colours = Colours::new();
    for (state, value) in [
        ("FAKECAM_LEFT_AT", "YU12"),
        ("FAKECAM_LEFT_AT", "GREY"),
        ("FAKECAM_LEFT_FPS", "25/2"),
    ] {
        let Some(camera) = FakeCamera::seeing(RED) else {
            return;
        };
        let camera = camera.with(state, value);
        assert_letters(&colours.watch(&camera).readings(2), "A");
    }
}

#[test]
fn cameras_are_listed_without_their_metadata_nodes() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_INDEX", 3).with("FAKECAM_METADATA", 1);
    let mut running = camera.start(&["cameras"]);
    let expected = [
        "cam:3  Fake camera  (the default)",
        "  * MJPEG 320x240 at 30 fps",
    ];
    assert_eq!(running.text(), expected.join("\n") + "\n");
    assert!(running.end().0.success());
}

#[test]
fn a_camera_can_be_chosen_and_a_missing_one_is_an_error() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_INDEX", 3);
    let colours = Colours::new();
    let mut running = colours.watch_with(&camera, &["--source", "cam:3"]);
    assert_letters(&running.readings(1), "A");
    drop(running);
    let running = colours.watch_with(&camera, &["--source", "cam:0"]);
    assert_one_error(running, &["cam:0", "Fake camera (cam:3)"]);
}

#[test]
fn a_cameras_device_is_the_camera() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_INDEX", 3);
    let colours = Colours::new();
    let mut running = colours.watch_with(&camera, &["--source", "/dev/video3"]);
    assert_letters(&running.readings(1), "A");
}

#[test]
fn a_camera_can_be_chosen_by_a_part_of_its_name() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_INDEX", 2);
    let colours = Colours::new();
    let start = |name| colours.watch_with(&camera, &["--camera", name]);
    assert_letters(&start("FAKE").readings(1), "A");
    assert_letters(&start("2").readings(1), "A");
    assert_one_error(start("Other"), &["Other", "Fake camera (cam:2)"]);
}

#[test]
fn a_size_rate_or_encoding_that_the_camera_lacks_is_an_error_that_lists_what_it_has() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let size = format!("{WIDTH}x{HEIGHT}");
    let colours = Colours::new();
    let start = |option, value| colours.watch_with(&camera, &[option, value]);
    assert_letters(&start("--size", &size).readings(1), "A");
    assert_letters(&start("--fps", "30").readings(1), "A");
    let has = format!("MJPEG {size} at 30 fps");
    assert_one_error(start("--size", "1920x1080"), &[&has]);
    assert_one_error(start("--fps", "60"), &[&has]);
    assert_letters(&start("--encoding", "mjpeg").readings(1), "A");
    assert_one_error(start("--encoding", "nv12"), &[&has]);
}

#[test]
fn without_a_camera_the_error_says_what_else_can_be_watched() {
    let Some(none) = FakeCamera::none() else {
        return;
    };
    assert_one_error(none.start(&["--headless"]), &["no camera", "--source demo"]);
}

#[test]
fn a_camera_that_another_program_uses_is_an_error_that_says_so() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_BUSY", 1);
    assert_one_error(
        camera.start(&["--headless"]),
        &["Fake camera (cam:0)", "another program"],
    );
}

#[test]
fn a_camera_without_permission_is_an_error_that_names_the_group() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    const ACCESS_DENIED: i32 = 13;
    let camera = camera.with("FAKECAM_OPEN_ERROR", ACCESS_DENIED);
    assert_one_error(
        camera.start(&["--headless"]),
        &["permission", "group video"],
    );
}

#[test]
fn a_camera_that_opens_but_gives_no_picture_is_an_error() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_STALL_AFTER", 0);
    assert_one_error(
        camera.start(&["--headless"]),
        &["Fake camera", "no picture"],
    );
}

#[test]
fn damaged_pictures_are_skipped_and_counted() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_CORRUPT_EVERY", 3);
    let colours = Colours::new();
    let stats = colours.0.path().join("stats.json");
    let mut running = colours.watch_with(&camera, &["--stats", stats.to_str().unwrap()]);
    assert_letters(&running.readings(12), "A");
    end(running);
    let stats = read_json(&stats);
    assert!(stats["dropped"]["decode"].as_u64().unwrap() >= 4, "{stats}");
    assert!(stats["frames"].as_u64().unwrap() >= 12, "{stats}");
}

#[test]
fn a_camera_that_gives_garbage_only_is_an_error_that_says_so() {
    let Some(damaged) = FakeCamera::seeing(RED) else {
        return;
    };
    let damaged = damaged.with("FAKECAM_GARBAGE_AFTER", 0);
    let noise: Vec<u8> = (0..50_000_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let Some(no_jpeg) = FakeCamera::sending("MJPG", &noise) else {
        return;
    };
    for camera in [damaged, no_jpeg] {
        let running = camera.start(&["--headless"]);
        assert_one_error(running, &["Fake camera", "no good picture"]);
    }
}

/// What goes wrong after ten pictures is said, a recording of those ten survives, and the program
/// ends as soon as it is told to.
#[track_caller]
fn assert_outlived(camera: &FakeCamera, says: &str) {
    let colours = Colours::new();
    let video = colours.0.path().join("demo.mp4");
    let record: &[&str] = match cfg!(feature = "record") {
        true => &["--record", video.to_str().unwrap()],
        false => &[],
    };
    let mut running = colours.watch_with(camera, record);
    running.readings(1);
    running.wait_for_message(says);
    let said = end(running);
    assert!(said.contains("Fake camera"), "{said}");
    #[cfg(feature = "record")]
    assert!((5..=10).contains(&recorded(&video)), "{said}");
}

/// Pictures in a recording.
#[cfg(feature = "record")]
fn recorded(path: &Path) -> usize {
    let video = std::fs::read(path).unwrap();
    let video = re_mp4::Mp4::read_bytes(&video).unwrap();
    video.tracks().values().next().unwrap().samples.len()
}

#[test]
fn an_unplugged_camera_is_waited_for_until_a_signal_ends_it() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    assert_outlived(&camera.with("FAKECAM_UNPLUG_AFTER", 10), "unplugged");
}

#[test]
fn a_camera_that_stalls_is_noticed_and_does_not_hold_up_the_end() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_STALL_AFTER", 10);
    assert_outlived(&camera, "gives no picture");
}

#[test]
fn a_camera_that_turns_to_garbage_is_noticed() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_GARBAGE_AFTER", 10);
    assert_outlived(&camera, "damaged pictures only");
}

#[test]
fn a_camera_that_is_plugged_in_again_is_read_again() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_UNPLUG_AFTER", 5);
    let camera = camera.with("FAKECAM_REPLUG_MS", 300);
    assert_goes_on_after_five(&camera);
}

#[test]
#[cfg(feature = "record")]
fn a_recording_goes_on_when_the_camera_does() {
    for (fault, back_after_ms) in [("FAKECAM_UNPLUG_AFTER", 300), ("FAKECAM_EIO_AFTER", 0)] {
        let Some(camera) = FakeCamera::seeing(RED) else {
            return;
        };
        let camera = camera.with(fault, 5);
        let camera = camera.with("FAKECAM_REPLUG_MS", back_after_ms);
        let colours = Colours::new();
        let video = colours.0.path().join("demo.mp4");
        let mut running = colours.watch_with(&camera, &["--record", video.to_str().unwrap()]);
        running.readings(15);
        let said = end(running);
        assert!(recorded(&video) >= 10, "{fault}: {said}");
    }
}

#[test]
fn the_rate_of_a_camera_that_slows_down_in_low_light_is_the_one_measured() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_SLOW_AFTER", 1);
    let colours = Colours::new();
    let stats = colours.0.path().join("stats.json");
    let mut running = colours.watch_with(&camera, &["--stats", stats.to_str().unwrap()]);
    running.readings(8);
    end(running);
    let stats = read_json(&stats);
    // It promised 30 and delivers 7.5.
    let fps = stats["fps"]["source"].as_f64().unwrap();
    assert!((5.0..12.0).contains(&fps), "{fps}");
}

#[test]
fn a_camera_whose_only_rate_is_no_whole_number_is_read() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let camera = camera.with("FAKECAM_FPS", "30000/1001");
    let colours = Colours::new();
    let readings = colours.watch(&camera).readings(12);
    assert_letters(&readings, "A");
    for pair in readings.windows(2) {
        let apart = pair[1]["t_ms"].as_f64().unwrap() - pair[0]["t_ms"].as_f64().unwrap();
        let frames = (seq(&pair[1]) - seq(&pair[0])) as f64;
        assert!((apart - frames * 1001.0 / 30.0).abs() < 2.0, "{apart}");
    }
}

#[test]
fn a_camera_with_input_output_errors_is_started_again() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    assert_goes_on_after_five(&camera.with("FAKECAM_EIO_AFTER", 5));
}

/// The camera breaks off after five pictures; more come nevertheless, numbered on.
#[track_caller]
fn assert_goes_on_after_five(camera: &FakeCamera) {
    let colours = Colours::new();
    let readings = colours.watch(camera).readings(12);
    assert_letters(&readings, "A");
    for pair in readings.windows(2) {
        assert!(seq(&pair[1]) > seq(&pair[0]), "{pair:?}");
    }
}

#[test]
fn it_ends_quietly_when_nobody_reads_its_lines_any_more() {
    let Some(camera) = FakeCamera::seeing(RED) else {
        return;
    };
    let colours = Colours::new();
    let mut running = colours.watch(&camera);
    running.readings(1);
    running.stop_reading();
    let (status, said) = running.end();
    assert!(status.success(), "{said}");
    assert_eq!(said, "");
}

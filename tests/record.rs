//! Recordings and renderings as other programs read them, whatever ends the recording.
#![cfg(feature = "record")]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{BLUE, GREEN, RED, colour_model, paint, signcam};
use image::{Rgb, RgbImage};
use predicates::str::contains;
use signcam::sink::record::{Hurry, Recorder};
use tempfile::TempDir;

/// Ticks of a recording's clock in a second.
const SECOND: u64 = 90_000;

/// A model that reads colours, and a folder with as many coloured pictures.
struct Scene {
    folder: TempDir,
    model: PathBuf,
}

impl Scene {
    fn new(pictures: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for at in 0..pictures {
            let colour = [RED, GREEN, BLUE][at % 3];
            let name = format!("pictures/{at:04}.png");
            paint(&folder.path().join(name), colour, [40, 60, 80]);
        }
        let model = colour_model(folder.path());
        Scene { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Options for reading.
    fn reading(&self) -> [&str; 4] {
        let model = self.model.to_str().unwrap();
        ["--model", model, "--box", "0.5,0.25,0.375,0.5"]
    }

    fn render(&self, input: &Path, output: &Path) -> assert_cmd::assert::Assert {
        let mut command = signcam();
        command.arg("render").arg(input).arg(output);
        command.args(self.reading()).assert()
    }

    /// Records the folder without a window, 30 pictures a second, until it has read for `until`.
    fn record_until(&self, output: &Path, until: Duration) -> std::process::Child {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("signcam"))
            .args(["--headless", "--pace", "30", "--source"])
            .arg(self.path("pictures"))
            .args(self.reading())
            .arg("--record")
            .arg(output)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let time = line["t_ms"].as_f64();
            if time.is_some_and(|time| time >= until.as_secs_f64() * 1e3) {
                break;
            }
        }
        child
    }
}

/// When pictures are shown, in ticks, as a reader of another make finds them.
fn stamps(path: &Path) -> Vec<u64> {
    let file = re_mp4::Mp4::read_bytes(&fs::read(path).unwrap()).unwrap();
    let track = file.tracks().values().next().unwrap();
    assert_eq!(u64::from(track.timescale as u32), SECOND);
    let times = track.samples.iter();
    times
        .map(|sample| sample.composition_timestamp as u64)
        .collect()
}

/// The same as ffprobe finds them, or `None` where it is not installed.
fn probed_stamps(path: &Path) -> Option<Vec<u64>> {
    let probed = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "frame=pts",
        ])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output();
    let Ok(probed) = probed else {
        eprintln!("skipped: ffprobe is not on the PATH");
        return None;
    };
    let complaints = String::from_utf8_lossy(&probed.stderr);
    assert!(
        probed.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    let text = String::from_utf8(probed.stdout).unwrap();
    let stamp = |line: &str| line.trim_end_matches(',').parse().unwrap();
    Some(text.lines().map(stamp).collect())
}

fn signal(child: &std::process::Child, name: &str) {
    let command = format!("kill -{name} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn every_frame_is_rendered_at_its_own_time() {
    let scene = Scene::new(45);
    let (once, twice) = (scene.path("once.mp4"), scene.path("twice.mp4"));
    let assert = scene.render(&scene.path("pictures"), &once).success();
    assert.stderr(contains("45 pictures, 0 left out"));
    let expected: Vec<u64> = (0..45).map(|at| at * SECOND / 30).collect();
    assert_eq!(stamps(&once), expected);
    scene.render(&once, &twice).success();
    assert_eq!(stamps(&twice), expected, "rendered from a recording");
    for path in [&once, &twice] {
        if let Some(probed) = probed_stamps(path) {
            assert_eq!(probed, expected, "{}", path.display());
        }
    }
}

#[test]
fn a_video_of_another_make_keeps_its_times() {
    let scene = Scene::new(20);
    let (own, other) = (scene.path("own.mp4"), scene.path("other.mkv"));
    scene.render(&scene.path("pictures"), &own).success();
    let copied = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&own)
        .args(["-c", "copy"])
        .arg(&other)
        .status();
    if copied.is_err() {
        eprintln!("skipped: ffmpeg is not on the PATH");
        return;
    }
    let rendered = scene.path("rendered.mp4");
    scene.render(&other, &rendered).success();
    let (expected, got) = (stamps(&own), stamps(&rendered));
    assert_eq!(got.len(), expected.len());
    // Such a file counts in milliseconds.
    for (got, expected) in got.iter().zip(expected) {
        assert!(
            got.abs_diff(expected) <= SECOND / 1000,
            "{got} for {expected}"
        );
    }
}

#[test]
fn uneven_times_are_exact_to_the_tick() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("uneven.mp4");
    let times: Vec<Duration> = (0..90u64)
        .map(|at| Duration::from_micros(at * 33_333 + (at * at * 7919) % 20_000))
        .collect();
    let mut recorder = Recorder::start(&path, 160, 120, Hurry::None).unwrap();
    for (at, time) in times.iter().enumerate() {
        let pixels = vec![at as u32 * 0x01_0203; 160 * 120];
        recorder.push(&pixels, *time).unwrap();
    }
    recorder.finish().unwrap();
    let expected: Vec<u64> = times
        .iter()
        .map(|time| (time.as_micros() as u64 * SECOND + 500_000) / 1_000_000)
        .collect();
    assert_eq!(stamps(&path), expected);
    if let Some(probed) = probed_stamps(&path) {
        assert_eq!(probed, expected);
    }
}

#[test]
fn a_clip_is_rendered_where_the_name_says_so() {
    let scene = Scene::new(12);
    let path = scene.path("clip.gif");
    scene.render(&scene.path("pictures"), &path).success();
    let mut decoder = gif::DecodeOptions::new()
        .read_info(File::open(&path).unwrap())
        .unwrap();
    let (mut frames, mut hundredths) = (0, 0);
    while let Some(frame) = decoder.next_frame_info().unwrap() {
        frames += 1;
        hundredths += u32::from(frame.delay);
    }
    // Every other picture of 30 a second.
    assert_eq!(frames, 6);
    assert!((38..=43).contains(&hundredths), "{hundredths}");
}

#[test]
fn an_existing_file_is_left_alone_and_bad_input_leaves_none() {
    let scene = Scene::new(3);
    let taken = scene.path("taken.mp4");
    fs::write(&taken, "precious").unwrap();
    let assert = scene.render(&scene.path("pictures"), &taken).code(1);
    assert.stderr(contains("exists"));
    assert_eq!(fs::read(&taken).unwrap(), b"precious");

    let output = scene.path("new.mp4");
    scene
        .render(&taken, &output)
        .code(1)
        .stderr(contains("taken.mp4"));
    scene.render(&scene.path("none"), &output).code(1);
    assert!(!output.exists());
    let assert = scene.render(&scene.path("pictures"), &scene.path("new.avi"));
    assert.code(2).stderr(contains(".mp4"));
}

#[cfg(unix)]
#[test]
fn a_recording_is_completed_when_the_program_is_told_to_end() {
    let scene = Scene::new(300);
    for name in ["TERM", "INT"] {
        let path = scene.path(&format!("{name}.mp4"));
        let child = scene.record_until(&path, Duration::from_millis(700));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("recorded") && said.contains(name), "{said}");
        let stamps = stamps(&path);
        assert!(stamps.len() > 1 && stamps.iter().all(|stamp| stamp % (SECOND / 30) == 0));
    }
}

#[cfg(unix)]
#[test]
fn a_killed_recording_can_be_played() {
    let scene = Scene::new(300);
    let path = scene.path("killed.mp4");
    let mut child = scene.record_until(&path, Duration::from_millis(1500));
    signal(&child, "KILL");
    child.wait().unwrap();
    let stamps = stamps(&path);
    let last = *stamps.last().expect("nothing was recorded");
    eprintln!(
        "killed after 1.5 s: {:.2} s are there",
        last as f64 / SECOND as f64
    );
    if let Some(probed) = probed_stamps(&path) {
        assert_eq!(probed, stamps);
    }
}

/// A file that may not grow stands for a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_what_was_recorded_until_then() {
    let scene = Scene::new(0);
    let mut random = 1u32;
    for at in 0..40 {
        let picture = RgbImage::from_fn(320, 240, |_, _| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Rgb([
                (random >> 24) as u8,
                (random >> 16) as u8,
                (random >> 8) as u8,
            ])
        });
        let path = scene.path(&format!("pictures/{at:02}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(&path).unwrap();
    }
    for name in ["full.mp4", "full.gif"] {
        let path = scene.path(name);
        let command = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"";
        let mut limited = Command::new("sh");
        limited
            .args(["-c", command])
            .arg(assert_cmd::cargo::cargo_bin!("signcam"));
        limited.arg("render").arg(scene.path("pictures")).arg(&path);
        let output = limited.args(scene.reading()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("ended early") && said.contains(name),
            "{said}"
        );
        if name == "full.mp4" {
            let stamps = stamps(&path);
            assert!(!stamps.is_empty());
            if let Some(probed) = probed_stamps(&path) {
                assert_eq!(probed, stamps);
            }
        } else {
            let file = File::open(&path).unwrap();
            let mut decoder = gif::DecodeOptions::new().read_info(file).unwrap();
            let mut frames = 0;
            while decoder.read_next_frame().unwrap().is_some() {
                frames += 1;
            }
            assert!(frames > 0);
        }
    }
}

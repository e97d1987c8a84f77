//! Pictures and videos as people bring them, and what is not one.
#![cfg(feature = "record")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{BLUE, RED, colour_model, paint, signcam};
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

/// A folder with a model that reads colours.
struct Scene {
    folder: TempDir,
    model: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = colour_model(folder.path());
        Scene { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Options for reading in a box that holds no hand but a colour.
    fn reading(&self) -> [&str; 4] {
        let model = self.model.to_str().unwrap();
        ["--model", model, "--box", "0.5,0.25,0.375,0.5"]
    }

    fn render(&self, input: &str, output: &str, more: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = signcam();
        command
            .arg("render")
            .args([self.path(input), self.path(output)]);
        command.args(self.reading()).args(more).assert()
    }

    fn watch(&self, source: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = signcam();
        command
            .args(["--headless", "--pace", "max", "--source"])
            .arg(source);
        command.args(self.reading()).args(more).assert()
    }

    /// Lets ffmpeg make a file; says so where it is not installed.
    fn make(&self, name: &str, arguments: &[&str]) -> bool {
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i"])
            .args(arguments)
            .arg(self.path(name))
            .status();
        let Ok(made) = made else {
            eprintln!("skipped: ffmpeg is not on the PATH");
            return false;
        };
        assert!(made.success(), "{arguments:?}");
        true
    }

    /// The kind of sound in a file, and when it and the pictures start and end, in seconds.
    fn streams(&self, name: &str) -> Vec<(String, f64, f64)> {
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-of", "csv=p=0", "-show_entries"])
            .arg("stream=codec_name,start_time,duration")
            .arg(self.path(name))
            .output()
            .unwrap();
        let text = String::from_utf8(probed.stdout).unwrap();
        text.lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                let number = |at: usize| fields[at].parse().unwrap_or_default();
                (fields[0].to_owned(), number(1), number(2))
            })
            .collect()
    }

    fn size(&self, name: &str) -> (u16, u16) {
        let file = re_mp4::Mp4::read_bytes(&fs::read(self.path(name)).unwrap()).unwrap();
        let track = file.tracks().values().next().unwrap();
        (track.width, track.height)
    }
}

#[test]
fn a_rendering_keeps_the_size_unless_another_is_asked_for() {
    let scene = Scene::new();
    image::RgbImage::from_pixel(1080, 1920, image::Rgb(RED))
        .save(scene.path("phone.png"))
        .unwrap();
    scene.render("phone.png", "whole.mp4", &[]).success();
    assert_eq!(scene.size("whole.mp4"), (1080, 1920));
    scene
        .render("phone.png", "small.mp4", &["--size", "540x960"])
        .success();
    assert_eq!(scene.size("small.mp4"), (540, 960));
    scene
        .render("phone.png", "turned.mp4", &["--rotate", "90"])
        .success();
    assert_eq!(scene.size("turned.mp4"), (1920, 1080));

    image::RgbImage::from_pixel(4000, 2200, image::Rgb(RED))
        .save(scene.path("huge.png"))
        .unwrap();
    scene
        .render("huge.png", "huge.mp4", &[])
        .code(1)
        .stderr(contains("4000x2200").and(contains("--size")));
}

/// The hand's colour lies where the box is only once the picture is turned.
#[test]
fn every_source_can_be_turned() {
    let scene = Scene::new();
    paint(&scene.path("pictures/1.png"), RED, BLUE);
    let picture = image::open(scene.path("pictures/1.png")).unwrap();
    picture
        .rotate270()
        .save(scene.path("pictures/1.png"))
        .unwrap();
    if scene.make(
        "video.mkv",
        &["color=red:size=80x60:rate=5:duration=0.2", "-c:v", "ffv1"],
    ) {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args(["-v", "error", "-y", "-i"])
            .arg(scene.path("pictures/1.png"));
        ffmpeg.args(["-c:v", "ffv1"]).arg(scene.path("video.mkv"));
        assert!(ffmpeg.status().unwrap().success());
        scene
            .watch(&scene.path("video.mkv"), &["--rotate", "90"])
            .success()
            .stdout(contains("\"letter\":\"A\""));
    }
    let pictures = scene.path("pictures");
    for (turn, read) in [("90", "\"letter\":\"A\""), ("180", "\"letter\":null")] {
        let turned = scene.watch(&pictures, &["--rotate", turn]).success();
        turned.stdout(contains(read));
    }
    let mut demo = signcam();
    demo.args(["bench", "--source", "demo", "--rotate", "180"]);
    demo.args(["--frames", "2", "--warmup", "0"])
        .assert()
        .success();
    scene
        .watch(&pictures, &["--rotate", "45"])
        .code(2)
        .stderr(contains("90, 180 or 270"));
}

#[test]
fn a_rendering_keeps_the_sound_and_its_place() {
    let scene = Scene::new();
    let late = "color=red:size=64x48:rate=25:duration=2,setpts=PTS+0.5/TB[out0];\
                sine=frequency=440:duration=3[out1]";
    let coded = [late, "-c:v", "ffv1", "-fps_mode", "passthrough", "-c:a"];
    for (kind, name, kept) in [("aac", "a.mkv", "aac"), ("pcm_s16le", "b.mkv", "aac")] {
        if !scene.make(name, &[&coded[..], &[kind]].concat()) {
            return;
        }
        let output = format!("{kind}.mp4");
        let assert = scene.render(name, &output, &[]).success();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert_eq!(said.contains("coded anew"), kind != kept, "{said}");
        let streams = scene.streams(&output);
        let [(video, start, _), (sound, sound_start, length)] = &streams[..] else {
            panic!("{streams:?}");
        };
        assert_eq!((video.as_str(), sound.as_str()), ("h264", kept));
        assert!(
            (start - 0.5).abs() < 0.05 && *sound_start < 0.05,
            "{streams:?}"
        );
        assert!((length - 3.0).abs() < 0.1, "{streams:?}");
    }
    scene
        .render("a.mkv", "a.gif", &[])
        .success()
        .stderr(contains("sound is left out"));
}

#[test]
fn a_damaged_video_is_named_in_the_last_line() {
    let scene = Scene::new();
    let coding = ["-c:v", "mpeg4", "-movflags", "+faststart"];
    let drawn = ["testsrc=size=160x120:rate=25:duration=4"];
    if !scene.make("cut.mp4", &[&drawn[..], &coding].concat()) {
        return;
    }
    let bytes = fs::read(scene.path("cut.mp4")).unwrap();
    fs::write(scene.path("cut.mp4"), &bytes[..bytes.len() * 6 / 10]).unwrap();
    let assert = scene.render("cut.mp4", "out.mp4", &[]).success();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("cut.mp4") && last.contains("damaged"),
        "{said}"
    );
    scene
        .watch(&scene.path("cut.mp4"), &[])
        .success()
        .stderr(contains("not to be trusted"));
}

#[test]
fn an_animation_is_played_and_a_gif_of_one_picture_is_a_picture() {
    let scene = Scene::new();
    paint(&scene.path("still.png"), RED, RED);
    let still = image::open(scene.path("still.png")).unwrap();
    still.save(scene.path("still.gif")).unwrap();
    let one = scene.watch(&scene.path("still.gif"), &[]).success();
    assert_eq!(
        one.get_output()
            .stdout
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count(),
        1
    );
    if scene.make("moving.gif", &["testsrc=size=64x48:rate=10:duration=0.5"]) {
        let several = scene.watch(&scene.path("moving.gif"), &[]).success();
        let lines = several
            .get_output()
            .stdout
            .iter()
            .filter(|&&byte| byte == b'\n');
        assert_eq!(lines.count(), 5);
    }
}

#[test]
fn what_is_no_file_says_what_it_is() {
    let scene = Scene::new();
    for (source, parts) in [
        ("https://example.org/hand.mp4", ["address", "download"]),
        ("-", ["standard input", "file"]),
    ] {
        let assert = scene.watch(Path::new(source), &[]).code(1).stdout("");
        assert.stderr(contains(parts[0]).and(contains(parts[1])));
    }
    #[cfg(unix)]
    {
        scene
            .watch(Path::new("/dev/zero"), &[])
            .code(1)
            .stderr(contains("/dev/zero is a device"));
        let pipe = scene.path("pipe.mp4");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        scene
            .watch(&pipe, &[])
            .code(1)
            .stderr(contains("is a pipe"));
    }
    if scene.make("voice.m4a", &["sine=duration=0.5"]) {
        let voice = scene.watch(&scene.path("voice.m4a"), &[]).code(1);
        voice.stderr(contains("voice.m4a: it holds sound and no pictures"));
    }
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____";
    fs::write(scene.path("IMG_1.HEIC"), heic).unwrap();
    scene
        .watch(&scene.path("IMG_1.HEIC"), &[])
        .code(1)
        .stderr(contains("HEIC pictures are not read").and(contains("JPEG")));
}

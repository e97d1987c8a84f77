//! Pictures and videos as people bring them, and what is not one.
#![cfg(feature = "record")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{BLUE, RED, case, colour_model, paint, signcam};
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

/// Nothing here takes so long, unless what is tested is broken.
const FOR_EVER: Duration = Duration::from_secs(120);

fn has_ffmpeg() -> bool {
    let has = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !has {
        eprintln!("skipped: ffmpeg is not on the PATH");
    }
    has
}

fn lines(assert: &assert_cmd::assert::Assert) -> usize {
    let output = &assert.get_output().stdout;
    output.iter().filter(|&&byte| byte == b'\n').count()
}

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
        command.args(self.reading()).args(more);
        command.timeout(FOR_EVER).assert()
    }

    fn watch(&self, source: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = signcam();
        command
            .args(["--headless", "--pace", "max", "--source"])
            .arg(source);
        command.args(self.reading()).args(more);
        command.timeout(FOR_EVER).assert()
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

/// Two videos of calls and joined clips: the picture shrinks in one and grows in the other. The first
/// was waited for without end, of the second a third of the pictures was lost.
#[test]
fn every_picture_of_a_video_is_read_whose_size_changes() {
    if !has_ffmpeg() {
        return;
    }
    let scene = Scene::new();
    for video in ["down.ts", "up.ts"] {
        let assert = scene.watch(&case(video), &[]).success();
        assert_eq!(lines(&assert), 60, "{video}");
    }
}

/// The pixels of `sar16-9.mp4` are wider than high.
#[test]
fn a_video_of_wide_pixels_is_rendered_as_wide_as_it_is_seen() {
    if !has_ffmpeg() {
        return;
    }
    let scene = Scene::new();
    let video = case("sar16-9.mp4");
    scene
        .render(video.to_str().unwrap(), "out.mp4", &[])
        .success();
    assert_eq!(scene.size("out.mp4"), (640, 480));
}

/// The drawn hand in it spells HEL; squeezed, its E was none.
#[test]
fn the_hand_in_a_video_of_wide_pixels_is_read_as_it_is_seen() {
    if !has_ffmpeg() {
        return;
    }
    let mut command = signcam();
    command.args(["--headless", "--pace", "max", "--source"]);
    let assert = command
        .arg(case("sar16-9.mp4"))
        .timeout(FOR_EVER)
        .assert()
        .success();
    let said = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(said.lines().last().unwrap().contains("\"text\":\"HEL\""));
}

/// A video of 100 pictures that `damage` was done to.
fn damaged(scene: &Scene, damage: fn(&mut Vec<u8>)) -> bool {
    let coding = ["-c:v", "mpeg4", "-movflags", "+faststart"];
    let drawn = ["testsrc=size=160x120:rate=25:duration=4"];
    if !scene.make("damaged.mp4", &[&drawn[..], &coding].concat()) {
        return false;
    }
    let mut bytes = fs::read(scene.path("damaged.mp4")).unwrap();
    damage(&mut bytes);
    fs::write(scene.path("damaged.mp4"), bytes).unwrap();
    true
}

/// What rendering the damaged video says last.
fn last_line(scene: &Scene) -> String {
    let assert = scene.render("damaged.mp4", "out.mp4", &[]).success();
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    said.lines().last().unwrap().to_owned()
}

#[test]
fn a_video_that_is_cut_off_is_named_in_the_last_line() {
    let scene = Scene::new();
    if !damaged(&scene, |bytes| bytes.truncate(bytes.len() * 6 / 10)) {
        return;
    }
    let last = last_line(&scene);
    assert!(
        last.contains("damaged.mp4") && last.contains("of 100 pictures are missing"),
        "{last}"
    );
    scene
        .watch(&scene.path("damaged.mp4"), &[])
        .success()
        .stderr(contains("not to be trusted"));
}

#[test]
fn a_video_with_a_hole_is_named_in_the_last_line() {
    let scene = Scene::new();
    let hole = |bytes: &mut Vec<u8>| {
        let length = bytes.len();
        bytes[length / 2..length * 6 / 10].fill(0);
    };
    if !damaged(&scene, hole) {
        return;
    }
    let last = last_line(&scene);
    assert!(
        last.contains("damaged.mp4") && last.contains("is damaged: "),
        "{last}"
    );
    scene
        .watch(&scene.path("damaged.mp4"), &[])
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
    assert_eq!(lines(&one), 1);
    if scene.make("moving.gif", &["testsrc=size=64x48:rate=10:duration=0.5"]) {
        let several = scene.watch(&scene.path("moving.gif"), &[]).success();
        assert_eq!(lines(&several), 5);
    }
}

#[test]
fn an_address_is_told_to_be_no_file() {
    let scene = Scene::new();
    let address = "https://example.org/hand.mp4";
    let told = || contains("is an address").and(contains("download"));
    scene
        .watch(Path::new(address), &[])
        .code(1)
        .stdout("")
        .stderr(told());
    let mut command = signcam();
    command.args(["predict", address]).args(scene.reading());
    command.assert().code(1).stderr(told());
}

#[test]
fn standard_input_is_told_to_be_no_file() {
    let watch = Scene::new().watch(Path::new("-"), &[]);
    watch
        .code(1)
        .stdout("")
        .stderr(contains("standard input").and(contains("file")));
}

#[cfg(unix)]
#[test]
fn a_device_that_is_no_camera_is_told_to_be_one() {
    let watch = Scene::new().watch(Path::new("/dev/zero"), &[]);
    watch
        .code(1)
        .stderr(contains("/dev/zero is a device").and(contains("cam:N")));
}

/// Waiting for its writer would last for ever.
#[cfg(unix)]
#[test]
fn a_pipe_is_told_to_be_one() {
    let scene = Scene::new();
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

#[test]
fn a_file_of_sound_alone_says_so() {
    let scene = Scene::new();
    if scene.make("voice.m4a", &["sine=duration=0.5"]) {
        let voice = scene.watch(&scene.path("voice.m4a"), &[]).code(1);
        voice.stderr(contains("voice.m4a: it holds sound and no pictures"));
    }
}

/// The first bytes of pictures as phones write them.
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____";
const AVIF: &[u8] = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif____";

#[test]
fn a_picture_of_a_kind_that_is_not_read_is_named_by_its_kind() {
    let scene = Scene::new();
    for (name, bytes, kind) in [("1.HEIC", HEIC, "HEIC"), ("2.avif", AVIF, "AVIF")] {
        fs::write(scene.path(name), bytes).unwrap();
        let told = format!("{kind} pictures are not read, but JPEG, PNG, WebP, BMP and GIF are");
        scene
            .watch(&scene.path(name), &[])
            .code(1)
            .stderr(contains(told.clone()));
        let mut command = signcam();
        command.arg("predict").arg(scene.path(name));
        command.assert().code(1).stderr(contains(told));
    }
}

#[test]
fn pictures_as_browsers_and_old_programs_save_them_are_read_in_folders() {
    let scene = Scene::new();
    for name in ["1.png", "2.webp", "3.bmp"] {
        paint(&scene.path("pictures").join(name), RED, RED);
    }
    let assert = scene.watch(&scene.path("pictures"), &[]).success();
    assert_eq!(lines(&assert), 3);
}

#[test]
fn pictures_of_kinds_that_are_not_read_are_named_in_folders() {
    let scene = Scene::new();
    paint(&scene.path("pictures/1.png"), RED, RED);
    fs::write(scene.path("pictures/2.heic"), HEIC).unwrap();
    fs::write(scene.path("pictures/3.avif"), AVIF).unwrap();
    let assert = scene.watch(&scene.path("pictures"), &[]).success();
    assert_eq!(lines(&assert), 1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    for told in ["HEIC picture", "2.heic", "AVIF picture", "3.avif"] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

const TURNED_WEBP: [&str; 3] = ["exif3.webp", "exif6.webp", "exif8.webp"];

/// A drawn L, turned as its EXIF data says.
#[test]
fn webp_pictures_are_read() {
    for name in TURNED_WEBP {
        let mut command = signcam();
        let predict = command.arg("predict").arg(case(name)).assert().success();
        predict.stdout(contains(format!("{name}: L")));
    }
}

#[test]
fn webp_pictures_are_shown_upright() {
    for name in TURNED_WEBP {
        let mut command = signcam();
        command.args(["--headless", "--source"]).arg(case(name));
        let watch = command.timeout(FOR_EVER).assert().success();
        watch.stdout(contains("\"letter\":\"L\""));
    }
}

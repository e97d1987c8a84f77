//! Recordings and other videos, played back.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::ffmpeg::{Ffmpeg, SILENCE};
use super::*;
use crate::base::frame::{Frame, FramePool};
use crate::sink::record::{Hurry, Recorder};
use crate::source::Event;

const SIZE: (usize, usize) = (160, 120);

/// Uneven times, as a camera in changing light delivers them; more than a key frame's period.
fn times() -> Vec<Duration> {
    (0..75_u64)
        .map(|at| Duration::from_micros(2_000_000 + at * 33_333 + (at * at * 7919) % 9000))
        .collect()
}

/// A ball that crosses a shaded room: `0x00RRGGBB`.
fn drawing(at: usize, width: usize, height: usize) -> Vec<u32> {
    let (cx, cy) = ((at * 2) as f32 + 10.0, height as f32 / 2.0);
    (0..width * height)
        .map(|pixel| {
            let (x, y) = (pixel % width, pixel / width);
            if (x as f32 - cx).hypot(y as f32 - cy) < 14.0 {
                0xe0_5030
            } else {
                let shade = 40 + (x + y) as u32 / 2;
                shade << 16 | shade << 8 | 120
            }
        })
        .collect()
}

fn record(path: &Path, (width, height): (usize, usize), times: &[Duration]) {
    // A test may wait for the encoder, where a window would go on without it.
    let mut recorder = Recorder::start(path, width, height, Hurry::None).unwrap();
    for (at, &time) in times.iter().enumerate() {
        recorder.push(&drawing(at, width, height), time).unwrap();
    }
    let summary = recorder.finish().unwrap();
    assert_eq!(summary.frames, times.len() as u64);
    assert_eq!(summary.bytes, fs::metadata(path).unwrap().len());
}

fn play(source: &mut dyn Source) -> Result<Vec<Arc<Frame>>> {
    let pool = FramePool::new();
    let mut frames = Vec::new();
    loop {
        match source.next(&pool)? {
            Event::Frame { frame, .. } => frames.push(frame),
            Event::Waiting(_) => {}
            Event::End => return Ok(frames),
        }
    }
}

/// Peak signal-to-noise ratio in decibels.
fn psnr(frame: &Frame, pixels: &[u32]) -> f64 {
    let drawn = pixels.iter().flat_map(|pixel| {
        let [_, r, g, b] = pixel.to_be_bytes();
        [r, g, b]
    });
    let squares: f64 = frame
        .pixels
        .iter()
        .zip(drawn)
        .map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum();
    10.0 * (255.0_f64.powi(2) / (squares / frame.pixels.len() as f64)).log10()
}

fn check_times(frames: &[Arc<Frame>], times: &[Duration]) {
    assert_eq!(frames.len(), times.len());
    for (frame, time) in frames.iter().zip(times) {
        let off = frame.time.abs_diff(*time - times[0]);
        assert!(off < Duration::from_millis(1), "{time:?} is off by {off:?}");
    }
}

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("-version").output().is_ok();
    if !found {
        eprintln!("{program} is not installed: not checked with it");
    }
    found
}

fn message(path: &Path) -> String {
    match open(path, Pace::Max) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn a_recording_plays_back_picture_by_picture_at_its_times() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.mp4");
    let times = times();
    record(&path, SIZE, &times);

    let mut source = open(&path, Pace::Max).unwrap();
    assert_eq!(source.name(), path.to_str().unwrap());
    let frames = play(source.as_mut()).unwrap();
    check_times(&frames, &times);
    for (at, frame) in frames.iter().enumerate() {
        assert_eq!(frame.seq, at as u64);
        assert_eq!((frame.width, frame.height), SIZE);
        let quality = psnr(frame, &drawing(at, SIZE.0, SIZE.1));
        assert!(quality > 30.0, "picture {at}: {quality:.1} dB");
    }
    assert_eq!(source.losses(), Default::default());
}

#[test]
fn pictures_with_odd_sides_lose_their_last_row_and_column() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("odd.mp4");
    let times = &times()[..3];
    record(&path, (161, 121), times);
    let frames = play(open(&path, Pace::Max).unwrap().as_mut()).unwrap();
    check_times(&frames, times);
    let cut: Vec<u32> = drawing(0, 161, 121)
        .chunks_exact(161)
        .take(120)
        .flat_map(|row| row[..160].to_vec())
        .collect();
    assert_eq!((frames[0].width, frames[0].height), (160, 120));
    assert!(psnr(&frames[0], &cut) > 30.0);
}

#[test]
fn a_recording_cut_off_by_a_crash_plays_up_to_its_last_complete_picture() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.mp4");
    let times = times();
    record(&path, SIZE, &times);
    let bytes = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.mp4");
    let mut most = 0;
    for part in [5, 6, 7, 8, 9] {
        fs::write(&cut, &bytes[..bytes.len() * part / 10 + 3]).unwrap();
        let frames = play(open(&cut, Pace::Max).unwrap().as_mut()).unwrap();
        assert!(frames.len() > most && frames.len() < times.len());
        check_times(&frames, &times[..frames.len()]);
        most = frames.len();
    }
}

#[test]
fn ffprobe_agrees_with_the_times_of_a_recording_cut_or_whole() {
    if !installed("ffprobe") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.mp4");
    let times = times();
    record(&path, SIZE, &times);
    let probe = |path: &Path| -> Vec<Duration> {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"])
            .args(["-show_entries", "frame=pts_time"])
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| Duration::from_secs_f64(line.trim_end_matches(',').parse().unwrap()))
            .collect()
    };
    let found = probe(&path);
    assert_eq!(found.len(), times.len());
    for (found, time) in found.iter().zip(&times) {
        assert!(found.abs_diff(*time - times[0]) < Duration::from_millis(1));
    }
    let bytes = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.mp4");
    fs::write(&cut, &bytes[..bytes.len() * 7 / 10]).unwrap();
    let found = probe(&cut);
    let last = *found.last().unwrap();
    assert!(last > (times[74] - times[0]) / 2, "plays to {last:?} only");
}

#[test]
fn real_time_frames_are_stamped_with_the_moment_they_are_due() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.mp4");
    let times: Vec<_> = [0, 40, 100].map(Duration::from_millis).into();
    record(&path, SIZE, &times);
    let pace = Pace::RealTime { fps: 30.0 };
    let frames = play(open(&path, pace).unwrap().as_mut()).unwrap();
    let stamps = frames
        .iter()
        .map(|frame| frame.captured - frames[0].captured);
    for (stamp, time) in stamps.zip(&times) {
        // Never before its time, however busy the machine is.
        assert!(stamp + Duration::from_millis(1) > *time);
    }
}

#[test]
fn damaged_pictures_are_counted_and_the_rest_is_played() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.mp4");
    record(&path, SIZE, &times());
    let mut bytes = fs::read(&path).unwrap();
    let index = crate::base::mp4::read_index(&mut std::io::Cursor::new(&bytes));
    let samples = index.unwrap().unwrap().samples;
    let broken = samples[40];
    let length = broken.offset as usize;
    bytes[length..length + 4].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let mut source = open(&path, Pace::Max).unwrap();
    let frames = play(source.as_mut()).unwrap();
    assert!(source.losses().damaged >= 1);
    assert!(frames.iter().all(|frame| frame.seq != 40));
    assert_eq!(frames.last().unwrap().seq, 74);
}

#[test]
fn an_empty_file_is_named_as_empty() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("empty.mp4");
    fs::write(&path, "").unwrap();
    let said = message(&path);
    assert!(
        said.contains("empty.mp4") && said.contains("0 bytes"),
        "{said}"
    );
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = TempDir::new().unwrap();
    let said = message(&folder.path().join("none.mp4"));
    assert!(said.contains("none.mp4"), "{said}");
    assert!(message(folder.path()).contains("folder"));
}

#[test]
fn a_recording_without_a_complete_picture_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("clip.mp4");
    record(&path, SIZE, &times()[..2]);
    let bytes = fs::read(&path).unwrap();
    let index = crate::base::mp4::read_index(&mut std::io::Cursor::new(&bytes));
    let first = index.unwrap().unwrap().samples[0].offset as usize;
    fs::write(&path, &bytes[..first + 10]).unwrap();
    let said = message(&path);
    assert!(said.contains("no complete picture"), "{said}");
}

#[test]
fn without_ffmpeg_the_message_says_what_to_install() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("holiday.mkv");
    fs::write(&path, "some other video").unwrap();
    let error = Ffmpeg::open("signcam-test-no-such-program", &path, Pace::Max, SILENCE);
    let said = format!("{:#}", error.err().unwrap());
    assert!(
        said.contains("install") && said.contains("holiday.mkv"),
        "{said}"
    );
}

#[test]
fn a_text_file_named_like_a_video_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.mp4");
    fs::write(&path, "Dear diary, this is not a video.\n".repeat(50)).unwrap();
    let said = message(&path);
    assert!(said.contains("notes.mp4") && !said.contains('\n'), "{said}");
}

#[test]
fn other_videos_come_through_ffmpeg_with_their_times() {
    if !installed("ffmpeg") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made elsewhere.mkv");
    // 25 pictures a second for a second, every fifth one left out; reordered pictures if the
    // encoder makes them.
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg("testsrc=size=96x64:rate=25:duration=1,select='mod(n,5)'")
        .args(["-fps_mode", "passthrough", "-bf", "2"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let mut source = open(&path, Pace::Max).unwrap();
    let frames = play(source.as_mut()).unwrap();
    let times: Vec<_> = (0..25)
        .filter(|at| at % 5 != 0)
        .map(|at| Duration::from_millis(at * 40))
        .collect();
    check_times(&frames, &times);
    assert!(frames.iter().all(|frame| frame.pixels.len() == 96 * 64 * 3));
}

#[test]
fn ffmpeg_is_ended_with_the_source_that_started_it() {
    if !installed("ffmpeg") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("long.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg("testsrc=size=320x240:rate=25:duration=20")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let mut source = open(&path, Pace::Max).unwrap();
    assert!(matches!(
        source.next(&FramePool::new()),
        Ok(Event::Frame { .. })
    ));
    // Hangs if the process or its threads were waited for to the end of the video.
    drop(source);
}

/// Lets ffmpeg make a video, or says that it is not installed.
fn made(path: &Path, arguments: &[&str]) -> bool {
    if !installed("ffmpeg") {
        return false;
    }
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success(), "{arguments:?}");
    true
}

/// As conversations over the internet and joined clips have them.
#[test]
fn pictures_that_change_their_size_are_all_read_in_their_own() {
    let folder = TempDir::new().unwrap();
    let part = |name: &str, size: &str| {
        let path = folder.path().join(name);
        let drawn = format!("testsrc=size={size}:rate=25:duration=0.6");
        made(&path, &["-f", "lavfi", "-i", &drawn]).then(|| fs::read(path).unwrap())
    };
    let Some(large) = part("large.mjpeg", "320x240") else {
        return;
    };
    let small = part("small.mjpeg", "160x96").unwrap();
    for (parts, sizes) in [
        ([&large, &small], [(320, 240), (160, 96)]),
        ([&small, &large], [(160, 96), (320, 240)]),
    ] {
        let path = folder.path().join("joined.mjpeg");
        fs::write(&path, parts.map(|part| part.as_slice()).concat()).unwrap();
        let frames = play(open(&path, Pace::Max).unwrap().as_mut()).unwrap();
        let of = |size| {
            frames
                .iter()
                .filter(|frame| (frame.width, frame.height) == size)
                .count()
        };
        assert_eq!(sizes.map(of), [15, 15], "{} frames", frames.len());
    }
}

#[test]
fn pixels_that_are_not_square_are_shown_as_wide_as_they_are() {
    let folder = TempDir::new().unwrap();
    for (size, shape, shown) in [
        ("90x120", "16/9", (160, 120)),
        ("720x480", "8/9", (640, 480)),
        ("160x120", "0/1", (160, 120)),
        ("160x120", "1/90", (160, 120)),
    ] {
        let path = folder.path().join("wide.mkv");
        let drawn = format!("testsrc=size={size}:rate=25:duration=0.2,setsar={shape}");
        if !made(&path, &["-f", "lavfi", "-i", &drawn, "-c:v", "ffv1"]) {
            return;
        }
        let frames = play(open(&path, Pace::Max).unwrap().as_mut()).unwrap();
        assert_eq!(frames.len(), 5);
        assert_eq!((frames[0].width, frames[0].height), shown, "{size} {shape}");
    }
}

#[test]
fn a_video_that_is_cut_off_says_how_many_pictures_are_missing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.mp4");
    let drawn = "testsrc=size=160x120:rate=25:duration=4";
    let coding = ["-c:v", "mpeg4", "-movflags", "+faststart"];
    if !made(
        &path,
        &[&["-f", "lavfi", "-i", drawn][..], &coding].concat(),
    ) {
        return;
    }
    let mut source = open(&path, Pace::Max).unwrap();
    assert_eq!(play(source.as_mut()).unwrap().len(), 100);
    assert_eq!(source.damage(), None);

    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let mut source = open(&path, Pace::Max).unwrap();
    let count = play(source.as_mut()).unwrap().len();
    let said = source.damage().unwrap();
    assert!(
        said.contains("cut.mp4") && said.contains("not to be trusted"),
        "{said}"
    );
    if installed("ffprobe") {
        let missing = 100 - count;
        assert!(
            said.contains(&format!("{missing} of 100 pictures are missing")),
            "{said}"
        );
        assert_eq!(source.losses().damaged, missing as u64);
    }
}

/// A program in place of ffmpeg that speaks of two pictures of 2x2 pixels and then does `rest`.
#[cfg(unix)]
fn with_fake_ffmpeg(rest: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("ffmpeg");
    let stamp = "[Parsed_showinfo_2 @ 0x5] [info] n: 0 pts: 0 pts_time:0 s:2x2 i:P";
    let script = format!("#!/bin/sh\nprintf '{stamp}\\n{stamp}\\n' >&2\n{rest}\n");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("strange.mkv");
    let silence = Duration::from_millis(500);
    let opened = Ffmpeg::open(program.to_str().unwrap(), &path, Pace::Max, silence);
    format!(
        "{:#}",
        opened.and_then(|mut source| play(&mut source)).unwrap_err()
    )
}

/// Each of these hung or ended as if all were well.
#[cfg(unix)]
#[test]
fn bytes_that_do_not_come_or_are_too_many_are_an_error() {
    let picture = "printf 123456789012";
    let silent = with_fake_ffmpeg(&format!("{picture}; exec sleep 60"));
    assert!(
        silent.contains("no more pictures") && silent.contains("strange.mkv"),
        "{silent}"
    );
    let never = with_fake_ffmpeg("exec sleep 60");
    assert!(
        never.contains("no picture") && never.contains("strange.mkv"),
        "{never}"
    );
    let short = with_fake_ffmpeg(&format!("{picture}; printf 123"));
    assert!(short.contains("middle of a picture"), "{short}");
    let long = with_fake_ffmpeg(&format!("{picture}; {picture}; printf 123"));
    assert!(long.contains("wrote more"), "{long}");
}

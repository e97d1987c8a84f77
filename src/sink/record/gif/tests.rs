use std::io::Read;
use std::path::Path;

use super::*;

const WIDTH: usize = 96;
const HEIGHT: usize = 64;

/// A light square on a dark, shaded ground, as rows of B, G, R and an unused byte.
fn picture(square: usize) -> Picture {
    let mut bgr0 = Vec::new();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let inside = (square..square + 10).contains(&x) && (20..30).contains(&y);
            let [r, g, b] = if inside {
                [250, 220, 90]
            } else {
                [x as u8, y as u8, 40]
            };
            bgr0.extend([b, g, r, 0]);
        }
    }
    Picture {
        bgr0,
        time: Duration::ZERO,
    }
}

/// A clip of squares at these places, one each 80 ms.
fn record(path: &Path, squares: &[usize]) -> Gif {
    let file = File::create_new(path).unwrap();
    let mut gif = Gif::new(file, WIDTH, HEIGHT);
    for (at, square) in squares.iter().enumerate() {
        let time = Duration::from_millis(80) * at as u32;
        assert_eq!(gif.add(&picture(*square), time).unwrap(), Added::Kept);
    }
    gif
}

struct Played {
    /// Hundredths of a second, one a picture.
    delays: Vec<u16>,
    /// Sizes of the rectangles that were written.
    sizes: Vec<(u16, u16)>,
    /// What is on the screen at the end, three bytes a pixel.
    last: Vec<[u8; 3]>,
    /// The times that it is shown, where that is limited.
    looped: Repeat,
}

fn play(path: &Path) -> Played {
    let mut options = ::gif::DecodeOptions::new();
    options.set_color_output(::gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(File::open(path).unwrap()).unwrap();
    let width = usize::from(decoder.width());
    let mut played = Played {
        delays: Vec::new(),
        sizes: Vec::new(),
        last: vec![[0; 3]; width * usize::from(decoder.height())],
        looped: Repeat::Finite(0),
    };
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        played.delays.push(frame.delay);
        played.sizes.push((frame.width, frame.height));
        for (at, rgba) in frame.buffer.as_chunks::<4>().0.iter().enumerate() {
            let row = usize::from(frame.width);
            let (x, y) = (at % row, at / row);
            let at = (y + usize::from(frame.top)) * width + x + usize::from(frame.left);
            if let &[r, g, b, 255] = rgba {
                played.last[at] = [r, g, b];
            }
        }
    }
    played.looped = decoder.repeat();
    played
}

#[test]
fn a_clip_shows_what_was_recorded_at_its_times_and_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.gif");
    let mut gif = record(&path, &[4, 20, 20, 60]);
    let bytes = gif.finish(Duration::from_millis(240)).unwrap();
    assert_eq!(bytes, path.metadata().unwrap().len());
    let played = play(&path);
    // The third picture is the second one, shown for longer.
    assert_eq!(played.delays, [8, 16, 6]);
    assert!(matches!(played.looped, Repeat::Infinite));
    let wanted = picture(60);
    for (at, (shown, bgr0)) in played.last.iter().zip(wanted.bgr0.chunks(4)).enumerate() {
        let wanted = [bgr0[2], bgr0[1], bgr0[0]];
        let worst = (0..3).map(|c| shown[c].abs_diff(wanted[c])).max().unwrap();
        assert!(worst < 24, "pixel {at}: {shown:?} for {wanted:?}");
    }
}

#[test]
fn only_what_changes_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.gif");
    let mut gif = record(&path, &[4, 16]);
    gif.finish(Duration::from_millis(80)).unwrap();
    let played = play(&path);
    assert_eq!(played.sizes, [(WIDTH as u16, HEIGHT as u16), (22, 10)]);
}

#[test]
fn a_killed_program_leaves_a_complete_clip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.gif");
    // Neither finished nor dropped.
    std::mem::forget(record(&path, &[4, 16, 28]));
    assert_eq!(play(&path).sizes.len(), 3);
    let mut bytes = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.last(), Some(&TRAILER));
}

#[test]
fn pictures_that_come_faster_than_the_clip_shows_them_are_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create_new(folder.path().join("clip.gif")).unwrap();
    let mut gif = Gif::new(file, WIDTH, HEIGHT);
    let added: Vec<Added> = (0..6)
        .map(|at| {
            let time = Duration::from_secs_f64(f64::from(at) / 30.0);
            gif.add(&picture(at as usize * 4), time).unwrap()
        })
        .collect();
    let other = [Added::Kept, Added::NotNeeded];
    assert_eq!(added, [other, other, other].concat());
}

#[test]
fn large_pictures_are_scaled_down_and_small_ones_are_not_enlarged() {
    let sides = |width, height| {
        let scaler = Scaler::new(width, height);
        (scaler.width, scaler.height)
    };
    assert_eq!(sides(1280, 720), (480, 270));
    assert_eq!(sides(480, 640), (360, 480));
    assert_eq!(sides(96, 64), (96, 64));
}

//! Small clips for web pages: GIF, scaled down, at a dozen pictures a second.
//!
//! After the first picture only what changed is written: the rectangle around it, and within that
//! rectangle unchanged pixels are transparent. What counts is the difference from the pixel that
//! was written last, so that slow changes are not lost. On disk the clip is complete after each
//! picture: the next one takes the place of the trailer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use ::gif::{DisposalMethod, Encoder, Frame, Repeat};
use anyhow::{Context, Result};
use color_quant::NeuQuant;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::{Added, Format, Picture};

/// The largest width and height, in pixels.
const LARGEST: f64 = 480.0;

/// Pictures that follow sooner are left out: of 30 a second every other one is shown.
const STEP: Duration = Duration::from_millis(60);

/// Something has changed where one of a pixel's channels differs by more than this from what
/// was written: more than a camera's noise, less than the eye follows.
const TOLERANCE: u8 = 12;

/// Around what has changed, pixels are replaced that differ by more than this, so that nothing is
/// left behind where something moved.
const FINE: u8 = 5;

/// Colours of a picture; one more index stands for what did not change.
const COLOURS: usize = 255;

/// Of so many changed pixels one decides the colours.
const SAMPLING: i32 = 8;

/// The last byte of a GIF.
const TRAILER: u8 = 0x3b;

/// Where a picture's delay stands in its bytes: behind the head and the flags of its graphic
/// control extension (GIF89a, 23).
const DELAY_AT: u64 = 4;

/// A clip being written.
pub(super) struct Gif {
    file: File,
    /// Bytes of the file without its trailer.
    length: u64,
    scaler: Scaler,
    /// Each pixel as it was when it was written last. Empty before the first picture.
    written: Vec<[u8; 3]>,
    /// When the newest picture came.
    last: Option<Duration>,
    /// Where the delay of the newest written picture stands in the file, and when it is shown,
    /// in hundredths of a second.
    delay: Option<(u64, u64)>,
    palette: Palette,
    /// A picture's colours by index; kept for its memory.
    indices: Vec<u8>,
}

impl Gif {
    /// A clip of pictures of `width` x `height` into an empty file.
    pub fn new(file: File, width: usize, height: usize) -> Gif {
        Gif {
            file,
            length: 0,
            scaler: Scaler::new(width, height),
            written: Vec::new(),
            last: None,
            delay: None,
            palette: Palette::default(),
            indices: Vec::new(),
        }
    }

    /// Puts `bytes` behind what the file holds; what fails leaves the clip as it was.
    fn append(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let length = bytes.len() as u64;
        bytes.push(TRAILER);
        let at = self.length;
        let written =
            (self.file.seek(SeekFrom::Start(at))).and_then(|_| self.file.write_all(bytes));
        if written.is_err() && at > 0 {
            // The write's own error matters more than whether its remains could be removed.
            let _ = self.file.set_len(at);
            let _ =
                (self.file.seek(SeekFrom::Start(at))).and_then(|_| self.file.write_all(&[TRAILER]));
        }
        written?;
        self.length += length;
        Ok(())
    }

    /// Lets the newest written picture stay until `until`, in hundredths of a second.
    fn stay(&mut self, until: u64) -> Result<()> {
        let Some((at, since)) = self.delay else {
            return Ok(());
        };
        let delay = u16::try_from(until.saturating_sub(since)).unwrap_or(u16::MAX);
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(&delay.to_le_bytes())?;
        Ok(())
    }

    /// Writes `area` of `pixels`, shown from `moment` on.
    fn write(&mut self, pixels: &[[u8; 3]], area: Area, moment: u64) -> Result<()> {
        let Scaler { width, height, .. } = self.scaler;
        let first = self.written.is_empty();
        if first {
            // Differs from every colour: all of the first picture is new.
            self.written.resize(pixels.len(), [0; 3]);
        }
        let changed = |before: [u8; 3], pixel| first || differs(before, pixel, FINE);
        let within = || {
            (area.top..area.bottom)
                .flat_map(move |y| (area.left..area.right).map(move |x| y * width + x))
        };
        self.palette.choose(
            within()
                .filter(|&at| changed(self.written[at], pixels[at]))
                .map(|at| pixels[at]),
        );
        self.indices.clear();
        let clear = self.palette.clear();
        for at in within() {
            let index = if changed(self.written[at], pixels[at]) {
                self.written[at] = pixels[at];
                self.palette.index(pixels[at])
            } else {
                clear
            };
            self.indices.push(index);
        }
        let mut encoder = Encoder::new(Vec::new(), width as u16, height as u16, &[])?;
        encoder.set_repeat(Repeat::Infinite)?;
        let head = encoder.get_ref().len();
        encoder.write_frame(&Frame {
            delay: (STEP.as_millis() / 10) as u16,
            dispose: DisposalMethod::Keep,
            transparent: Some(clear),
            left: area.left as u16,
            top: area.top as u16,
            width: (area.right - area.left) as u16,
            height: (area.bottom - area.top) as u16,
            palette: Some(self.palette.bytes()),
            buffer: self.indices.as_slice().into(),
            ..Frame::default()
        })?;
        let mut bytes = std::mem::take(encoder.get_mut());
        if !first {
            bytes.drain(..head);
        }
        let delay_at = self.length + if first { head as u64 } else { 0 } + DELAY_AT;
        self.append(&mut bytes)?;
        self.delay = Some((delay_at, moment));
        Ok(())
    }
}

impl Format for Gif {
    fn add(&mut self, picture: &Picture, time: Duration) -> Result<Added> {
        if self.last.is_some_and(|last| time < last + STEP) {
            return Ok(Added::NotNeeded);
        }
        self.last = Some(time);
        let mut pixels = self.scaler.scale(&picture.bgr0)?;
        let Scaler { width, height, .. } = self.scaler;
        let area = match self.written.is_empty() {
            true => Some(Area {
                left: 0,
                top: 0,
                right: width,
                bottom: height,
            }),
            false => Area::of_changes(&self.written, &pixels, width),
        };
        // Where nothing changed, the picture before is shown for longer.
        if let Some(area) = area {
            let moment = hundredths(time);
            self.stay(moment)?;
            self.write(&pixels, area, moment)?;
        }
        pixels.clear();
        self.scaler.give_back(pixels);
        Ok(Added::Kept)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, end: Duration) -> Result<u64> {
        // The last picture is seen for as long as any.
        self.stay(hundredths(end + STEP))?;
        Ok(match self.length {
            0 => 0,
            length => length + 1,
        })
    }
}

/// The clock of GIF. Times are rounded, never their differences, so that no error adds up.
fn hundredths(time: Duration) -> u64 {
    u64::try_from((time.as_millis() + 5) / 10).unwrap_or(u64::MAX)
}

fn differs(a: [u8; 3], b: [u8; 3], tolerance: u8) -> bool {
    a.iter().zip(b).any(|(a, b)| a.abs_diff(b) > tolerance)
}

/// A rectangle of pixels, its right and lower edge excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Area {
    /// The smallest area that holds every changed pixel of two pictures, `width` to a row.
    fn of_changes(before: &[[u8; 3]], after: &[[u8; 3]], width: usize) -> Option<Area> {
        let mut area: Option<Area> = None;
        let rows = before.chunks_exact(width).zip(after.chunks_exact(width));
        for (y, (before, after)) in rows.enumerate() {
            let is_new = |x: &usize| differs(before[*x], after[*x], TOLERANCE);
            let Some(left) = (0..width).find(is_new) else {
                continue;
            };
            let right = (left..width).rfind(is_new).unwrap_or(left) + 1;
            area = Some(match area {
                None => Area {
                    left,
                    top: y,
                    right,
                    bottom: y + 1,
                },
                Some(area) => Area {
                    left: area.left.min(left),
                    right: area.right.max(right),
                    bottom: y + 1,
                    ..area
                },
            });
        }
        area
    }
}

/// Makes pictures small enough for a clip.
struct Scaler {
    from: (usize, usize),
    width: usize,
    height: usize,
    resizer: Resizer,
    scaled: Vec<U8x4>,
    spare: Vec<[u8; 3]>,
}

impl Scaler {
    fn new(width: usize, height: usize) -> Scaler {
        let scale = (LARGEST / width.max(height).max(1) as f64).min(1.0);
        let side = |pixels: usize| ((pixels as f64 * scale).round() as usize).max(1);
        Scaler {
            from: (width, height),
            width: side(width),
            height: side(height),
            resizer: Resizer::new(),
            scaled: vec![U8x4::new([0; 4]); side(width) * side(height)],
            spare: Vec::new(),
        }
    }

    /// The pixels of a picture of rows of B, G, R and an unused byte, scaled, as R, G, B.
    fn scale(&mut self, bgr0: &[u8]) -> Result<Vec<[u8; 3]>> {
        let (width, height) = self.from;
        let source = TypedImageRef::<U8x4>::from_buffer(width as u32, height as u32, bgr0)?;
        let mut target = TypedImage::<U8x4>::from_pixels_slice(
            self.width as u32,
            self.height as u32,
            &mut self.scaled,
        )?;
        // The unused byte is no opacity.
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false);
        (self.resizer)
            .resize_typed(&source, &mut target, &options)
            .context("cannot scale a picture")?;
        let mut pixels = std::mem::take(&mut self.spare);
        pixels.extend(self.scaled.iter().map(|pixel| {
            let [b, g, r, _] = pixel.0;
            [r, g, b]
        }));
        Ok(pixels)
    }

    /// Takes an emptied buffer back, for its memory.
    fn give_back(&mut self, pixels: Vec<[u8; 3]>) {
        self.spare = pixels;
    }
}

/// The colours of one picture.
#[derive(Default)]
struct Palette {
    colours: Vec<[u8; 3]>,
    /// Indices of colours that have been asked for.
    known: HashMap<[u8; 3], u8>,
    quantiser: Option<NeuQuant>,
}

impl Palette {
    /// Chooses colours for these pixels: their own, where they are few.
    fn choose(&mut self, pixels: impl Iterator<Item = [u8; 3]> + Clone) {
        self.colours.clear();
        self.known.clear();
        self.quantiser = None;
        for pixel in pixels.clone() {
            if self.known.contains_key(&pixel) {
                continue;
            }
            if self.colours.len() == COLOURS {
                self.quantise(pixels);
                return;
            }
            self.known.insert(pixel, self.colours.len() as u8);
            self.colours.push(pixel);
        }
    }

    fn quantise(&mut self, pixels: impl Iterator<Item = [u8; 3]>) {
        let rgba: Vec<u8> = pixels.flat_map(|[r, g, b]| [r, g, b, 255]).collect();
        let quantiser = NeuQuant::new(SAMPLING, COLOURS, &rgba);
        let map = quantiser.color_map_rgb();
        self.colours = map.as_chunks::<3>().0.to_vec();
        self.known.clear();
        self.quantiser = Some(quantiser);
    }

    /// The index of the colour that is nearest to `pixel`.
    fn index(&mut self, pixel: [u8; 3]) -> u8 {
        let [r, g, b] = pixel;
        *self.known.entry(pixel).or_insert_with(|| {
            let nearest = self.quantiser.as_ref();
            nearest.map_or(0, |quantiser| quantiser.index_of(&[r, g, b, 255]) as u8)
        })
    }

    /// The index that stands for no colour.
    fn clear(&self) -> u8 {
        self.colours.len() as u8
    }

    /// Three bytes a colour, one more for [`Self::clear`].
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.colours.concat();
        bytes.extend([0; 3]);
        bytes
    }
}

#[cfg(test)]
mod tests {
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
}

//! What a camera can deliver, and which of it to ask for.

use std::cmp::Ordering;
use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::source::Size;

/// How a camera codes its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Packed 4:2:2 (Y0 U Y1 V), limited range, BT.601.
    Yuyv,
    /// 4:2:0 with an interleaved chroma plane, limited range, BT.601.
    Nv12,
    /// One JPEG picture a frame.
    Mjpeg,
    /// Three bytes a pixel, red first.
    Rgb,
    /// Three bytes a pixel, blue first.
    Bgr,
    /// One byte a pixel.
    Grey,
}

impl Encoding {
    /// Position in the order of preference among formats of one size and rate: uncompressed
    /// colour first, which costs the least time to decode and shows no artefacts.
    fn rank(self) -> u8 {
        match self {
            Encoding::Yuyv => 0,
            Encoding::Nv12 => 1,
            Encoding::Mjpeg => 2,
            Encoding::Rgb => 3,
            Encoding::Bgr => 4,
            Encoding::Grey => 5,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Encoding::Yuyv => "YUYV",
            Encoding::Nv12 => "NV12",
            Encoding::Mjpeg => "MJPEG",
            Encoding::Rgb => "RGB",
            Encoding::Bgr => "BGR",
            Encoding::Grey => "grey",
        })
    }
}

/// One way in which a camera can deliver pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Format {
    /// How pixels are coded.
    pub encoding: Encoding,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames a second that the camera promises; fewer may come, in low light above all.
    pub fps: f64,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Format {
            encoding,
            width,
            height,
            ..
        } = self;
        let fps = (self.fps * 100.0).round() / 100.0;
        write!(f, "{encoding} {width}x{height} at {fps} fps")
    }
}

/// The size that suits letters: a hand fills some 200 pixels of it, as many as the model reads.
const WANTED_PIXELS: f64 = 640.0 * 480.0;

/// Below this rate movement looks jerky and a letter is late.
const FLUENT_FPS: f64 = 25.0;

/// The rate to prefer among fluent ones.
const WANTED_FPS: f64 = 30.0;

/// What somebody asks of a camera's pictures; what is left open is chosen for fluent video of a moderate size.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wish {
    /// Exactly this size.
    pub size: Option<Size>,
    /// This many frames a second, give or take one in a hundred: 30 stands for 29.97, too.
    pub fps: Option<f64>,
    /// Coded like this.
    pub encoding: Option<Encoding>,
}

impl Wish {
    /// Whether a format is what was asked for.
    pub fn allows(&self, format: &Format) -> bool {
        let size = Size {
            width: format.width,
            height: format.height,
        };
        self.size.is_none_or(|wanted| wanted == size)
            && (self.fps).is_none_or(|wanted| (format.fps / wanted - 1.0).abs() <= 0.01)
            && (self.encoding).is_none_or(|wanted| wanted == format.encoding)
    }
}

/// Those of a camera's formats that were asked for, in the order in which to try them.
///
/// # Errors
/// When there is none: what the camera has instead.
pub fn choose(formats: &[Format], wish: &Wish) -> Result<Vec<Format>, String> {
    if formats.is_empty() {
        return Err("it offers no picture format that signcam can read".into());
    }
    let allowed: Vec<Format> = (formats.iter().copied())
        .filter(|format| wish.allows(format))
        .collect();
    if allowed.is_empty() {
        let all: Vec<String> = ranked(formats).iter().map(Format::to_string).collect();
        return Err(format!(
            "it has no format of the size, rate and encoding asked for; choose one of\n    {}",
            all.join("\n    ")
        ));
    }
    Ok(ranked(&allowed))
}

/// The formats in the order in which to try them.
///
/// Fluent ones (25 frames a second and more) come first, the size nearest to 640x480 before
/// others, then the rate nearest to 30. Where nothing is fluent, the fastest come first.
pub fn ranked(formats: &[Format]) -> Vec<Format> {
    let mut ranked = formats.to_vec();
    ranked.sort_by(|a, b| {
        let fluent = |format: &Format| format.fps >= FLUENT_FPS;
        fluent(b).cmp(&fluent(a)).then_with(|| {
            if fluent(a) {
                by_size(a, b).then(by_rate(a, b))
            } else {
                by_rate(a, b).then(by_size(a, b))
            }
            .then_with(|| a.encoding.rank().cmp(&b.encoding.rank()))
        })
    });
    ranked.dedup();
    ranked
}

fn by_size(a: &Format, b: &Format) -> Ordering {
    let distance = |format: &Format| {
        let pixels = f64::from(format.width) * f64::from(format.height);
        (pixels / WANTED_PIXELS).ln().abs()
    };
    distance(a).total_cmp(&distance(b))
}

fn by_rate(a: &Format, b: &Format) -> Ordering {
    let distance = |format: &Format| (format.fps - WANTED_FPS).abs();
    distance(a).total_cmp(&distance(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(encoding: Encoding, width: u32, height: u32, fps: f64) -> Format {
        Format {
            encoding,
            width,
            height,
            fps,
        }
    }

    #[test]
    fn a_fluent_format_nearest_to_640x480_is_tried_first() {
        let formats = [
            format(Encoding::Yuyv, 320, 180, 1.0),
            format(Encoding::Yuyv, 1280, 720, 10.0),
            format(Encoding::Mjpeg, 1920, 1080, 30.0),
            format(Encoding::Mjpeg, 640, 480, 60.0),
            format(Encoding::Mjpeg, 640, 480, 30.0),
            format(Encoding::Mjpeg, 160, 120, 30.0),
        ];
        let sizes: Vec<_> = ranked(&formats)
            .iter()
            .map(|format| (format.width, format.fps))
            .collect();
        assert_eq!(
            sizes,
            [
                (640, 30.0),
                (640, 60.0),
                (1920, 30.0),
                (160, 30.0),
                (1280, 10.0),
                (320, 1.0)
            ]
        );
    }

    #[test]
    fn uncompressed_colour_is_preferred_where_size_and_rate_are_the_same() {
        let order: Vec<_> = ranked(&[
            format(Encoding::Grey, 640, 480, 30.0),
            format(Encoding::Mjpeg, 640, 480, 30.0),
            format(Encoding::Yuyv, 640, 480, 30.0),
            format(Encoding::Yuyv, 640, 480, 30.0),
        ])
        .iter()
        .map(|format| format.encoding)
        .collect();
        assert_eq!(order, [Encoding::Yuyv, Encoding::Mjpeg, Encoding::Grey]);
    }

    #[test]
    fn where_nothing_is_fluent_the_fastest_comes_first() {
        let slow = [
            format(Encoding::Yuyv, 640, 480, 5.0),
            format(Encoding::Yuyv, 1280, 960, 15.0),
        ];
        assert_eq!(ranked(&slow)[0].fps, 15.0);
    }

    #[test]
    fn what_was_asked_for_is_chosen_and_nothing_else() {
        let formats = [
            format(Encoding::Yuyv, 640, 480, 30.0),
            format(Encoding::Mjpeg, 1280, 720, 30000.0 / 1001.0),
            format(Encoding::Mjpeg, 1280, 720, 60.0),
        ];
        let size = Some(Size {
            width: 1280,
            height: 720,
        });
        let chosen = |size, fps| {
            let wish = Wish {
                size,
                fps,
                encoding: None,
            };
            choose(&formats, &wish)
        };
        let rates =
            |formats: Vec<Format>| formats.iter().map(|f| f.fps.round()).collect::<Vec<_>>();
        assert_eq!(chosen(None, None).unwrap()[0].width, 640);
        assert_eq!(rates(chosen(size, None).unwrap()), [30.0, 60.0]);
        assert_eq!(rates(chosen(size, Some(30.0)).unwrap()), [30.0]);
        assert_eq!(chosen(None, Some(60.0)).unwrap()[0].width, 1280);
        let mjpeg = Wish {
            encoding: Some(Encoding::Mjpeg),
            ..Wish::default()
        };
        assert_eq!(choose(&formats, &mjpeg).unwrap()[0].width, 1280);
        let error = chosen(size, Some(25.0)).unwrap_err();
        assert!(error.contains("YUYV 640x480 at 30 fps"), "{error}");
        assert!(error.contains("29.97"), "{error}");
    }

    #[test]
    fn a_format_is_written_without_needless_decimals() {
        let odd = format(Encoding::Mjpeg, 640, 480, 30000.0 / 1001.0);
        assert_eq!(odd.to_string(), "MJPEG 640x480 at 29.97 fps");
        let whole = format(Encoding::Grey, 640, 480, 30.0);
        assert_eq!(whole.to_string(), "grey 640x480 at 30 fps");
    }
}

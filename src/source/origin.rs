//! What `--source` says, and the source that belongs to it.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};

#[cfg(feature = "camera")]
use super::camera::Choice;
use super::demo::{self, Demo};
use super::pictures::Pictures;
use super::{Pace, Source, video};
use crate::base::picture::has_picture_name;
use crate::demo::Text;

/// Where frames shall come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// The first camera that opens and gives a picture.
    #[default]
    FirstCamera,
    /// The camera with this index.
    Camera(u32),
    /// The camera whose name holds this.
    NamedCamera(String),
    /// A folder of pictures, a picture, or a video.
    Path(PathBuf),
    /// A hand that the program draws.
    Demo,
}

impl FromStr for Origin {
    type Err = Infallible;

    /// `cam:N` is a camera, `demo` the demo, everything else a path (`./cam:0` and `./demo` for
    /// files of such names).
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text == "demo" {
            return Ok(Origin::Demo);
        }
        let camera = text.strip_prefix("cam:").and_then(|n| n.parse().ok());
        Ok(match camera {
            Some(index) => Origin::Camera(index),
            None => Origin::Path(text.into()),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::FirstCamera => f.write_str("the first camera that works"),
            Origin::Camera(index) => write!(f, "cam:{index}"),
            Origin::NamedCamera(part) => write!(f, "the camera {part:?}"),
            Origin::Path(path) => path.display().fmt(f),
            Origin::Demo => f.write_str("demo"),
        }
    }
}

/// Width and height of pictures, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(width, height)| {
            let side = |text: &str| text.parse().ok().filter(|side| *side > 0);
            Some((side(width)?, side(height)?))
        });
        let (width, height) = sides.ok_or("give width and height in pixels, like 640x480")?;
        Ok(Size { width, height })
    }
}

/// How a source shall deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// How fast files play; a camera has a rate of its own.
    pub pace: Pace,
    /// What the demo spells; `None` for a text of its own, again and again.
    pub text: Option<Text>,
    /// What a camera is asked for.
    #[cfg(feature = "camera")]
    pub wish: super::camera::Wish,
}

/// Opens a source.
///
/// # Errors
/// When there is no such file or folder, or it holds nothing that can be read. A camera's
/// troubles show when its first frame is asked for.
pub fn open(origin: &Origin, options: &OpenOptions) -> Result<Box<dyn Source>> {
    #[cfg(feature = "camera")]
    let camera = |choice| Ok(super::camera::open(choice, options.wish));
    match origin {
        #[cfg(feature = "camera")]
        Origin::FirstCamera => camera(Choice::First),
        #[cfg(feature = "camera")]
        Origin::Camera(index) => camera(Choice::Index(*index)),
        #[cfg(feature = "camera")]
        Origin::NamedCamera(part) => camera(Choice::Named(part.clone())),
        #[cfg(not(feature = "camera"))]
        Origin::FirstCamera | Origin::Camera(_) | Origin::NamedCamera(_) => {
            anyhow::bail!(
                "this build of signcam reads no cameras: give pictures with --source PATH, or see --source demo"
            )
        }
        Origin::Path(path) => open_path(path, options.pace),
        Origin::Demo => {
            #[cfg(feature = "camera")]
            let size = options.wish.size;
            #[cfg(not(feature = "camera"))]
            let size = None;
            let size = size.map_or(demo::DEFAULT_SIZE, |size: Size| {
                (size.width as usize, size.height as usize)
            });
            let text = options.text.as_ref();
            Ok(Box::new(Demo::new(text, size, options.pace)?))
        }
    }
}

fn open_path(path: &Path, pace: Pace) -> Result<Box<dyn Source>> {
    let shown = path.display();
    let metadata = fs::metadata(path).with_context(|| {
        format!("cannot open the source {shown} (a folder, a picture, a video, cam:N, or demo)")
    })?;
    if metadata.is_dir() || has_picture_name(path) {
        return Ok(Box::new(Pictures::open(path, pace)?));
    }
    video::open(path, pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_and_the_demo_are_named_and_everything_else_is_a_path() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert_eq!(origin("cam:2"), Origin::Camera(2));
        assert_eq!(origin("./cam:2"), Origin::Path("./cam:2".into()));
        assert_eq!(origin("hands"), Origin::Path("hands".into()));
        assert_eq!(origin("demo"), Origin::Demo);
        assert_eq!(origin("./demo"), Origin::Path("./demo".into()));
    }

    #[test]
    fn a_size_is_two_numbers_of_pixels() {
        let size = Size {
            width: 1280,
            height: 720,
        };
        assert_eq!("1280x720".parse(), Ok(size));
        for wrong in ["1280", "0x480", "640x", "640x-1", "640 x 480", "axb"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}

//! What `--source` says, and the source that belongs to it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use image::ImageFormat;

#[cfg(feature = "camera")]
use super::camera::Choice;
use super::demo::{self, Demo};
use super::pace::Pace;
use super::pictures::Pictures;
use super::size::Size;
use super::stream::Source;
use super::turn::{Turn, Turned};
use super::video;
use crate::base::files::{self, Nature};
use crate::base::picture::{Content, has_picture_name, is_animation};
use crate::demo::Text;

/// How the names of files end that hold JPEG pictures one after the other, as some cameras write
/// them.
const MOTION_JPEG: [&str; 2] = ["mjpeg", "mjpg"];

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

    /// `cam:N` is a camera, and so is `/dev/videoN` or a link to it; `demo` the demo, everything else
    /// a path (`./cam:0` and `./demo` for files of such names).
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text == "demo" {
            return Ok(Origin::Demo);
        }
        let camera = text.strip_prefix("cam:").and_then(|n| n.parse().ok());
        Ok(match camera.or_else(|| device_number(Path::new(text))) {
            Some(index) => Origin::Camera(index),
            None => Origin::Path(text.into()),
        })
    }
}

impl From<OsString> for Origin {
    /// As for text; what is no Unicode text is a path.
    fn from(text: OsString) -> Self {
        match text.to_str() {
            Some(text) => {
                let Ok(origin) = text.parse();
                origin
            }
            None => Origin::Path(text.into()),
        }
    }
}

/// The N of a path that is, or leads to, `/dev/videoN`, which the kernel makes for a camera.
fn device_number(path: &Path) -> Option<u32> {
    let number = |path: &Path| path.to_str()?.strip_prefix("/dev/video")?.parse().ok();
    number(path).or_else(|| {
        let under_dev = path.starts_with("/dev") && !path.starts_with("/dev/fd");
        number(&under_dev.then(|| fs::canonicalize(path).ok())??)
    })
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

/// How a source shall deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// How fast files play; a camera has a rate of its own.
    pub pace: Pace,
    /// How far every picture is turned.
    pub turn: Option<Turn>,
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
    let source = open_unturned(origin, options)?;
    Ok(match options.turn {
        Some(turn) => Box::new(Turned::new(source, turn)),
        None => source,
    })
}

fn open_unturned(origin: &Origin, options: &OpenOptions) -> Result<Box<dyn Source>> {
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
    let about = files::look_up(path).with_context(|| {
        format!("cannot open the source {shown} (a folder, a picture, a video, cam:N, or demo)")
    })?;
    match Nature::of(&about) {
        Nature::File | Nature::Folder => {}
        other => bail!(
            "{shown} is {other}, and pictures and videos are read from \
             files; cameras are cam:N (see signcam cameras)"
        ),
    }
    if shows_stills(path) {
        return Ok(Box::new(Pictures::open(path, pace)?));
    }
    video::open(path, pace)
}

/// Whether what lies at a path are pictures that do not follow each other: a folder's, or a single
/// one, told by its content or else by its name. An animated GIF is a video.
pub fn shows_stills(path: &Path) -> bool {
    if path.is_dir() {
        return true;
    }
    let named = |names: &[&str]| {
        path.extension()
            .is_some_and(|end| names.iter().any(|name| end.eq_ignore_ascii_case(name)))
    };
    match Content::of(path) {
        Content::Picture(ImageFormat::Gif) => !is_animation(path),
        Content::Picture(ImageFormat::Jpeg) => !named(&MOTION_JPEG),
        Content::Picture(_) | Content::OtherPicture(_) => true,
        Content::Video(_) => false,
        _ => has_picture_name(path),
    }
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
    fn a_cameras_device_is_the_camera() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert_eq!(origin("/dev/video12"), Origin::Camera(12));
        assert_eq!(origin("/dev/video"), Origin::Path("/dev/video".into()));
        assert_eq!(origin("video0"), Origin::Path("video0".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_still_a_path() {
        use std::os::unix::ffi::OsStringExt;
        let path = OsString::from_vec(b"hand-\xff.png".to_vec());
        assert_eq!(Origin::from(path.clone()), Origin::Path(path.into()));
        assert_eq!(Origin::from(OsString::from("cam:3")), Origin::Camera(3));
    }
}

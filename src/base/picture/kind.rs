//! What a file holds, told by its first bytes, whatever its name says.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use infer::MatcherType;

use crate::base::files::Nature;

/// What is said of pictures of other kinds than those that are read.
const INSTEAD: &str =
    "save them as JPEG or PNG (phones: \"most compatible\" in the camera's settings)";

/// How the names of pictures end that are read.
const NAMES: [&str; 9] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif",
];

/// Bytes at a file's start that tell what it holds.
const HEAD: usize = 512;

/// Kinds of pictures that are read, for messages.
pub const READ: &str = "JPEG, PNG, WebP, BMP and GIF";

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A picture that is read.
    Picture(ImageFormat),
    /// A picture of a kind that is not read, like "HEIC".
    OtherPicture(String),
    /// A video of this kind, like "MP4".
    Video(String),
    /// A web page.
    Page,
    /// No bytes.
    Nothing,
    /// Something else.
    Unknown,
}

impl Content {
    /// What a file holds; [`Content::Unknown`] where it cannot be read or is no file.
    pub fn of(path: &Path) -> Content {
        let read = || {
            let mut head = Vec::new();
            // Opening a pipe would wait for its writer, and what is read from it is gone.
            if Nature::of(&fs::metadata(path)?) == Nature::File {
                File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
                return Ok::<_, std::io::Error>(Content::of_bytes(&head));
            }
            Ok(Content::Unknown)
        };
        read().unwrap_or(Content::Unknown)
    }

    /// What bytes hold that are a file's first ones.
    pub fn of_bytes(bytes: &[u8]) -> Content {
        let head = &bytes[..bytes.len().min(HEAD)];
        if head.is_empty() {
            return Content::Nothing;
        }
        if let Some(format) = format(head) {
            return Content::Picture(format);
        }
        let Some(kind) = infer::get(head) else {
            return Content::Unknown;
        };
        let name = match kind.extension() {
            "heif" => "HEIC".into(),
            "tif" => "TIFF".into(),
            "jp2" => "JPEG 2000".into(),
            "jxl" => "JPEG XL".into(),
            other => other.to_uppercase(),
        };
        match kind.matcher_type() {
            // Taken for a bitmap by two letters that many a text starts with.
            MatcherType::Image if name == "BMP" => Content::Unknown,
            MatcherType::Image => Content::OtherPicture(name),
            MatcherType::Video => Content::Video(name),
            MatcherType::Text if kind.extension() == "html" => Content::Page,
            _ => Content::Unknown,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Picture(format) => write!(f, "{format:?} pictures are read"),
            Content::OtherPicture(kind) => {
                write!(f, "{kind} pictures are not read, but {READ} are: {INSTEAD}")
            }
            Content::Video(kind) => write!(
                f,
                "it is a video ({kind}), not a picture: --source reads videos, and render does"
            ),
            Content::Page => {
                f.write_str("it is a web page, not a picture: download the picture itself")
            }
            Content::Nothing => {
                f.write_str("the file is empty (0 bytes): copy or download it again")
            }
            Content::Unknown => write!(f, "it holds no picture that is known here; {READ} are"),
        }
    }
}

/// The kind of a picture that is read.
fn format(head: &[u8]) -> Option<ImageFormat> {
    match image::guess_format(head).ok()? {
        // The size of the second header tells a bitmap from a text that starts with BM.
        ImageFormat::Bmp => {
            let size = head.get(14..18)?;
            (size[0] >= 12 && size[1..] == [0, 0, 0]).then_some(ImageFormat::Bmp)
        }
        known @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif) => {
            Some(known)
        }
        _ => None,
    }
}

/// Whether a file's name ends like that of a picture that is read.
pub fn has_picture_name(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            NAMES
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
}

/// Picks the pictures out of a folder's files, and keeps count of those of other kinds.
#[derive(Debug, Default)]
pub struct Sieve {
    /// How many pictures of each kind that is not read, and one of them.
    others: BTreeMap<String, (usize, PathBuf)>,
}

impl Sieve {
    /// Whether the file is a picture that is read: it is named like one, or holds one.
    pub fn takes(&mut self, path: &Path) -> bool {
        if has_picture_name(path) {
            return fs::metadata(path).is_ok_and(|about| Nature::of(&about) == Nature::File);
        }
        match Content::of(path) {
            Content::Picture(_) => true,
            Content::OtherPicture(kind) => {
                let (count, _) = self.others.entry(kind).or_insert((0, path.to_owned()));
                *count += 1;
                false
            }
            _ => false,
        }
    }

    /// Names the pictures of other kinds, with what to do about them; `None` where there were none.
    pub fn left_out(&self) -> Option<String> {
        let kinds: Vec<String> = self
            .others
            .iter()
            .map(|(kind, (count, example))| match count {
                1 => format!("a {kind} picture ({})", example.display()),
                _ => format!("{count} {kind} pictures (like {})", example.display()),
            })
            .collect();
        (!kinds.is_empty())
            .then(|| format!("not read: {}; {READ} are: {INSTEAD}", kinds.join(" and ")))
    }

    /// Warns of what was left out.
    pub fn warn(&self) {
        if let Some(left_out) = self.left_out() {
            tracing::warn!("{left_out}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_other_kinds_videos_and_pages_are_named() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____";
        let avif = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif____";
        let mp4 = b"\0\0\0\x18ftypisom\0\0\0\0isomavc1____";
        let other = |kind: &str| Content::OtherPicture(kind.into());
        assert_eq!(Content::of_bytes(heic), other("HEIC"));
        assert_eq!(Content::of_bytes(avif), other("AVIF"));
        assert_eq!(
            Content::of_bytes(b"II*\0\x08\0\0\0\x0c\0\0\x01"),
            other("TIFF")
        );
        assert_eq!(Content::of_bytes(mp4), Content::Video("MP4".into()));
        assert_eq!(Content::of_bytes(b"\n<!DOCTYPE html>"), Content::Page);
        assert_eq!(Content::of_bytes(b""), Content::Nothing);
        assert_eq!(Content::of_bytes(b"BMI of ten people"), Content::Unknown);
    }

    #[test]
    fn a_sieve_takes_pictures_by_name_or_content_and_names_the_kinds_that_it_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let mut sieve = Sieve::default();
        assert!(sieve.takes(&write("broken.JPG", b"")));
        assert!(sieve.takes(&write("download", b"\x89PNG\r\n\x1a\n")));
        assert!(!sieve.takes(&write("table.csv", b"path,letter")));
        assert_eq!(sieve.left_out(), None);
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____";
        assert!(!sieve.takes(&write("IMG_1.HEIC", heic)));
        assert!(!sieve.takes(&write("IMG_2.HEIC", heic)));
        let said = sieve.left_out().unwrap();
        assert!(
            said.contains("2 HEIC pictures") && said.contains("IMG_1.HEIC"),
            "{said}"
        );
    }
}

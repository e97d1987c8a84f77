//! Picture files: JPEG, PNG and WebP in, RGB pixels out.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

/// Pictures wider or higher than this are refused, in pixels.
const MAX_SIDE: u32 = 16_384;

/// Pictures that take more than this once decoded are refused, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` pixels, row by row from the top left, three bytes each (R, G, B).
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Decodes a JPEG, PNG or WebP file, upright as its EXIF orientation says.
    ///
    /// # Errors
    /// When the file cannot be read, is no such picture, is broken, or exceeds 16384 pixels a side
    /// or 512 MiB decoded.
    pub fn decode(path: &Path) -> Result<Picture> {
        decode(path).with_context(|| format!("cannot read the picture {}", path.display()))
    }
}

/// Reads the head of a picture file without decoding its pixels.
///
/// # Errors
/// As [`Picture::decode`], as far as the head tells.
pub fn check_head(path: &Path) -> Result<()> {
    open(path)
        .map(|_| ())
        .with_context(|| format!("cannot read the picture {}", path.display()))
}

/// Whether a file's name ends like that of a picture that can be decoded.
pub fn has_picture_name(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            ["jpg", "jpeg", "png", "webp"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        })
}

/// A decoder that has read the picture's head.
fn open(path: &Path) -> Result<impl ImageDecoder> {
    let mut reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    ensure!(
        reader.format().is_some(),
        "the file holds no picture that is known here; JPEG, PNG and WebP are"
    );
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    ensure!(
        width > 0
            && height > 0
            && decoder.total_bytes() <= MAX_BYTES
            && u64::from(width) * u64::from(height) * 3 <= MAX_BYTES,
        "{width} x {height} pixels are too many or too few"
    );
    Ok(decoder)
}

fn decode(path: &Path) -> Result<Picture> {
    let mut decoder = open(path)?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    Ok(Picture {
        width: rgb.width() as usize,
        height: rgb.height() as usize,
        pixels: rgb.into_raw(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn a_truncated_picture_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.png");
        RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 7]))
            .save(&path)
            .unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = format!("{:#}", Picture::decode(&path).unwrap_err());
        assert!(error.contains("half.png"), "{error}");
    }

    /// A grey picture has a third of the bytes that it takes here.
    #[test]
    fn a_picture_that_would_take_too_much_once_decoded_is_refused_by_its_head() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grey.jpg");
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut bytes)
            .encode(&[90; 64], 8, 8, image::ExtendedColorType::L8)
            .unwrap();
        // The frame header: its length, 8 bits a sample, then height and width.
        let header = [0xff, 0xc0, 0, 11, 8];
        let at = bytes.windows(5).position(|found| found == header).unwrap();
        bytes[at + 5..at + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
        std::fs::write(&path, &bytes).unwrap();
        let error = format!("{:#}", check_head(&path).unwrap_err());
        assert!(
            error.contains("grey.jpg") && error.contains("16383 x 16383"),
            "{error}"
        );
    }

    #[test]
    fn a_text_file_with_a_pictures_name_is_found_by_its_head() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.jpg");
        std::fs::write(&path, "no picture at all").unwrap();
        let error = format!("{:#}", check_head(&path).unwrap_err());
        assert!(error.contains("notes.jpg"), "{error}");
    }
}

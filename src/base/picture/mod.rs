//! Picture files in, RGB pixels out.

mod kind;

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::codecs::{gif::GifDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    RgbImage, Rgba, RgbaImage,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::base::files::{self, Nature};
use crate::base::jpeg;

pub use kind::{Content, READ, Sieve, has_picture_name};

/// Pictures wider or higher than this are refused, in pixels.
const MAX_SIDE: u32 = 16_384;

/// Pictures that take more than this are refused, as files or once decoded, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// What lies behind the transparent parts of a picture, as on a page.
const PAPER: Rgba<u8> = Rgba([255; 4]);

/// What some programs write before the EXIF data of a WebP file, as in a JPEG file.
const EXIF_MARK: &[u8] = b"Exif\0\0";

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
    /// Decodes a JPEG, PNG, WebP, BMP or GIF file, told by its content and not by its name, upright
    /// as its EXIF orientation says, on white where it is transparent. Of an animation, the first
    /// picture.
    ///
    /// # Errors
    /// When the file cannot be read, is no such picture, is broken or cut off, or exceeds 16384
    /// pixels a side or 512 MiB decoded.
    pub fn decode(path: &Path) -> Result<Picture> {
        read(path)
            .and_then(|(format, bytes)| decode(format, &bytes))
            .with_context(|| format!("cannot read the picture {}", path.display()))
    }
}

/// Reads the head of a picture file without decoding its pixels.
///
/// # Errors
/// As [`Picture::decode`], as far as the head tells; a JPEG file that is cut off is found, too.
pub fn check_head(path: &Path) -> Result<()> {
    read(path)
        .and_then(|(format, bytes)| match format {
            ImageFormat::Jpeg => open_jpeg(&jpeg::picture(&bytes)?).map(|_| ()),
            _ => open(format, &bytes).map(|_| ()),
        })
        .with_context(|| format!("cannot read the picture {}", path.display()))
}

/// Whether a file is a GIF or WebP file of more than one picture; not where it cannot be read.
pub fn is_animation(path: &Path) -> bool {
    let several = || -> Result<bool> {
        let (format, bytes) = read(path)?;
        Ok(match format {
            ImageFormat::Gif => {
                let frames = GifDecoder::new(Cursor::new(&bytes))?.into_frames();
                frames.take(2).filter(Result::is_ok).count() > 1
            }
            ImageFormat::WebP => WebPDecoder::new(Cursor::new(&bytes))?.has_animation(),
            _ => false,
        })
    };
    several().unwrap_or(false)
}

/// The bytes of a picture file, and its kind.
fn read(path: &Path) -> Result<(ImageFormat, Vec<u8>)> {
    let about = files::look_up(path)?;
    match Nature::of(&about) {
        Nature::File | Nature::Pipe => {}
        other => bail!("it is {other}, not a picture file"),
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        "the file has more than {} MiB",
        MAX_BYTES >> 20
    );
    match Content::of_bytes(&bytes) {
        Content::Picture(format) => Ok((format, bytes)),
        other => bail!("{other}"),
    }
}

/// A decoder that has read the picture's head.
fn open(format: ImageFormat, bytes: &[u8]) -> Result<impl ImageDecoder> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    Ok(decoder)
}

/// Refuses pictures without pixels or with too many, before memory is taken for them.
fn check_size(width: u32, height: u32, decoded: u64) -> Result<()> {
    ensure!(
        width > 0
            && height > 0
            && decoded <= MAX_BYTES
            && u64::from(width) * u64::from(height) * 3 <= MAX_BYTES,
        "{width} x {height} pixels are too many or too few"
    );
    Ok(())
}

/// Decodes a JPEG picture that lies in memory.
type MemoryJpeg<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// A decoder that has read the head of a JPEG picture, and the picture's size.
fn open_jpeg(picture: &[u8]) -> Result<(MemoryJpeg<'_>, u32, u32)> {
    // Heads are read leniently, as everybody does, but damaged pixels are not made up.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
    decoder.decode_headers()?;
    let (width, height) = decoder.dimensions().context("it has no size")?;
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    check_size(width, height, 0)?;
    decoder.set_options(options.set_strict_mode(true));
    Ok((decoder, width, height))
}

/// An error that says in words what decoders mean by an unexpected end.
fn explained(error: anyhow::Error) -> anyhow::Error {
    let ended = matches!(
        error.downcast_ref(),
        Some(ImageError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof
    );
    match ended {
        true => error.context("the picture is cut short"),
        false => error,
    }
}

fn decode(format: ImageFormat, bytes: &[u8]) -> Result<Picture> {
    let (mut picture, exif) = if format == ImageFormat::Jpeg {
        let whole = jpeg::picture(bytes)?;
        let (mut decoder, width, height) = open_jpeg(&whole)?;
        let mut pixels = vec![0; width as usize * height as usize * 3];
        decoder.decode_into(&mut pixels)?;
        let rgb = RgbImage::from_raw(width, height, pixels).context("it has too few pixels")?;
        (DynamicImage::ImageRgb8(rgb), decoder.exif().cloned())
    } else {
        let mut decoder = open(format, bytes).map_err(explained)?;
        // Damaged notes are no reason to refuse a picture.
        let exif = decoder.exif_metadata().unwrap_or_default();
        let picture = DynamicImage::from_decoder(decoder).map_err(anyhow::Error::from);
        (picture.map_err(explained)?, exif)
    };
    let orientation = exif.as_deref().and_then(|exif| {
        Orientation::from_exif_chunk(exif.strip_prefix(EXIF_MARK).unwrap_or(exif))
    });
    picture.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    if picture.color().has_alpha() {
        let mut page = RgbaImage::from_pixel(picture.width(), picture.height(), PAPER);
        image::imageops::overlay(&mut page, &picture.into_rgba8(), 0, 0);
        picture = page.into();
    }
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
        assert!(
            error.contains("half.png") && error.contains("cut short"),
            "{error}"
        );
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
    fn what_is_no_picture_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hand.jpg");
        let cases: [(&[u8], &str); 5] = [
            (b"no picture at all", "JPEG, PNG"),
            (b"", "0 bytes"),
            (b"<!DOCTYPE html><title>404</title>", "web page"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic____", "HEIC"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1____", "video"),
        ];
        for (bytes, named) in cases {
            std::fs::write(&path, bytes).unwrap();
            for error in [check_head(&path).err(), Picture::decode(&path).err()] {
                let said = format!("{:#}", error.unwrap());
                assert!(said.contains("hand.jpg") && said.contains(named), "{said}");
            }
        }
    }

    /// Noise in a part and a slope in the rest, so that no code is trivial.
    fn drawing(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let noise = (x * 37 + y * 91) % 64;
            Rgb([(x * 3 + noise) as u8, (y * 2) as u8, noise as u8])
        })
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8]) -> Result<Picture> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.picture");
        std::fs::write(&path, bytes).unwrap();
        Picture::decode(&path)
    }

    const READ_FORMATS: [ImageFormat; 5] = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
    ];

    #[test]
    fn a_picture_is_read_whatever_its_name_says() {
        let drawn = drawing(64, 48);
        for format in READ_FORMATS {
            let bytes = encoded(&drawn.clone().into(), format);
            let picture = decoded(&bytes).unwrap();
            assert_eq!((picture.width, picture.height), (64, 48), "{format:?}");
            let off = picture.pixels.iter().zip(drawn.as_raw());
            let off: u64 = off.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            assert!(off / (64 * 48 * 3) < 12, "{format:?}: {off}");
        }
    }

    #[test]
    fn a_cut_off_picture_is_an_error_wherever_it_is_cut() {
        for format in READ_FORMATS {
            let bytes = encoded(&drawing(96, 80).into(), format);
            for percent in [3, 10, 30, 50, 70, 90, 99] {
                let cut = &bytes[..bytes.len() * percent / 100];
                assert!(decoded(cut).is_err(), "{format:?} cut at {percent} %");
            }
        }
    }

    #[test]
    fn a_cut_off_jpeg_is_found_before_its_pixels_are_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.jpg");
        let bytes = encoded(&drawing(96, 80).into(), ImageFormat::Jpeg);
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let said = format!("{:#}", check_head(&path).unwrap_err());
        assert!(
            said.contains("half.jpg") && said.contains("cut short"),
            "{said}"
        );
    }

    /// Phones put depth maps and short videos there.
    #[test]
    fn what_lies_behind_a_jpegs_end_does_not_matter() {
        let bytes = encoded(&drawing(96, 80).into(), ImageFormat::Jpeg);
        let longer = [&bytes[..], &bytes[..bytes.len() / 2], b"ftyp", &[0; 5000]].concat();
        assert_eq!(decoded(&longer).unwrap(), decoded(&bytes).unwrap());
    }

    /// EXIF data with nothing but an orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let entry = [0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
        [b"II*\0\x08\0\0\0\x01\0", &entry[..], &[0; 4]].concat()
    }

    #[test]
    fn a_picture_is_turned_upright_as_its_exif_data_says() {
        use image::ImageEncoder;
        use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
        let drawn = RgbImage::from_fn(32, 16, |x, _| Rgb(if x < 16 { [250; 3] } else { [5; 3] }));
        // Where the bright half comes to lie, as the fraction of the upright picture's sides.
        let bright = [
            (1, (0.2, 0.5)),
            (2, (0.8, 0.5)),
            (3, (0.8, 0.5)),
            (4, (0.2, 0.5)),
            (5, (0.5, 0.2)),
            (6, (0.5, 0.2)),
            (7, (0.5, 0.8)),
            (8, (0.5, 0.8)),
        ];
        for (orientation, (x, y)) in bright {
            let write = |format: ImageFormat, exif: Vec<u8>| {
                let mut bytes = Vec::new();
                let (size, colour) = ((32, 16), image::ExtendedColorType::Rgb8);
                match format {
                    ImageFormat::Jpeg => {
                        let mut encoder = JpegEncoder::new(&mut bytes);
                        encoder.set_exif_metadata(exif).unwrap();
                        encoder.write_image(&drawn, size.0, size.1, colour).unwrap();
                    }
                    ImageFormat::Png => {
                        let mut encoder = PngEncoder::new(&mut bytes);
                        encoder.set_exif_metadata(exif).unwrap();
                        encoder.write_image(&drawn, size.0, size.1, colour).unwrap();
                    }
                    _ => {
                        let mut encoder = WebPEncoder::new_lossless(&mut bytes);
                        encoder.set_exif_metadata(exif).unwrap();
                        encoder.write_image(&drawn, size.0, size.1, colour).unwrap();
                    }
                }
                bytes
            };
            let marked = [EXIF_MARK, &exif(orientation)].concat();
            for bytes in [
                write(ImageFormat::Jpeg, exif(orientation)),
                write(ImageFormat::Png, exif(orientation)),
                write(ImageFormat::WebP, exif(orientation)),
                write(ImageFormat::WebP, marked),
            ] {
                let picture = decoded(&bytes).unwrap();
                let upright = if orientation > 4 { (16, 32) } else { (32, 16) };
                assert_eq!((picture.width, picture.height), upright);
                let level = |x: f32, y: f32| {
                    let at = (picture.width as f32 * x, picture.height as f32 * y);
                    picture.pixels[(at.1 as usize * picture.width + at.0 as usize) * 3]
                };
                assert!(level(x, y) > 200, "orientation {orientation}");
                assert!(level(1.0 - x, 1.0 - y) < 50, "orientation {orientation}");
            }
        }
    }

    #[test]
    fn what_shines_through_a_picture_is_white() {
        let clear = RgbaImage::from_pixel(8, 8, Rgba([200, 10, 10, 0]));
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let picture = decoded(&encoded(&clear.clone().into(), format)).unwrap();
            assert!(
                picture.pixels.iter().all(|&level| level == 255),
                "{format:?}"
            );
        }
    }

    #[test]
    fn of_an_animation_the_first_picture_is_read() {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for level in [250, 10] {
            let frame = RgbaImage::from_pixel(8, 8, Rgba([level, level, level, 255]));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
        drop(encoder);
        assert!(decoded(&bytes).unwrap().pixels[0] > 240);
    }

    #[test]
    fn sixteen_bits_and_grey_are_read_as_eight_and_colour() {
        let deep = image::ImageBuffer::from_pixel(8, 8, image::Luma([0x8000_u16]));
        let picture = decoded(&encoded(&DynamicImage::ImageLuma16(deep), ImageFormat::Png));
        assert_eq!(picture.unwrap().pixels, [0x80; 8 * 8 * 3]);
    }

    #[test]
    fn an_address_is_no_path() {
        let said = Picture::decode(Path::new("https://example.org/hand.jpg")).unwrap_err();
        let said = format!("{said:#}");
        assert!(
            said.contains("address") && said.contains("download"),
            "{said}"
        );
    }
}

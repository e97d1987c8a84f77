//! A camera's raw buffers into RGB pixels.

use anyhow::{Context, Result, bail, ensure};
use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvPackedImage, YuvRange, YuvStandardMatrix,
    yuv_nv12_to_rgb, yuyv422_to_rgb,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::formats::{Encoding, Format};
use crate::base::frame::Frame;
use crate::base::jpeg;
use crate::source::stream::{MOST_PIXELS, check_size};

/// Turns one buffer of `format` into pixels of `frame`, whose size it sets.
///
/// Buffers may be longer than their picture. A JPEG picture's own size wins over the format's;
/// JPEG pictures without Huffman tables are read with the standard's.
///
/// # Errors
/// When the buffer is damaged: too short, or not a whole, well-formed picture.
pub(super) fn decode(format: &Format, data: &[u8], frame: &mut Frame) -> Result<()> {
    if format.encoding == Encoding::Mjpeg {
        return decode_jpeg(data, frame);
    }
    let (width, height) = (format.width as usize, format.height as usize);
    check_size(width, height)?;
    let pixels = width * height;
    // Never more memory than the buffer's own size warrants.
    ensure!(
        data.len() >= pixels,
        "the picture is cut short: {} bytes for {width}x{height} pixels",
        data.len()
    );
    frame.resize(width, height);
    match format.encoding {
        Encoding::Mjpeg => bail!("not a raw format"),
        Encoding::Yuyv => {
            let packed = YuvPackedImage {
                yuy: part(data, 0, width.div_ceil(2) * 4 * height)?,
                yuy_stride: format.width.div_ceil(2) * 4,
                width: format.width,
                height: format.height,
            };
            let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
            yuyv422_to_rgb(&packed, &mut frame.pixels, format.width * 3, range, matrix)
                .context("a YUYV picture")?;
        }
        Encoding::Nv12 => {
            let planes = YuvBiPlanarImage {
                y_plane: part(data, 0, pixels)?,
                y_stride: format.width,
                uv_plane: part(data, pixels, width.div_ceil(2) * 2 * height.div_ceil(2))?,
                uv_stride: format.width.div_ceil(2) * 2,
                width: format.width,
                height: format.height,
            };
            let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
            let mode = YuvConversionMode::Balanced;
            let stride = format.width * 3;
            yuv_nv12_to_rgb(&planes, &mut frame.pixels, stride, range, matrix, mode)
                .context("an NV12 picture")?;
        }
        Encoding::Rgb => frame.pixels.copy_from_slice(part(data, 0, pixels * 3)?),
        Encoding::Bgr => {
            let bgr = part(data, 0, pixels * 3)?;
            for (to, from) in frame.pixels.chunks_exact_mut(3).zip(bgr.chunks_exact(3)) {
                to.copy_from_slice(from);
                to.reverse();
            }
        }
        Encoding::Grey => {
            let grey = part(data, 0, pixels)?;
            for (to, &level) in frame.pixels.chunks_exact_mut(3).zip(grey) {
                to.fill(level);
            }
        }
    }
    Ok(())
}

/// `len` bytes from `start`.
fn part(data: &[u8], start: usize, len: usize) -> Result<&[u8]> {
    data.get(start..start + len).with_context(|| {
        let (held, needed) = (data.len(), start + len);
        format!("the picture is cut short: {held} of {needed} bytes")
    })
}

fn decode_jpeg(data: &[u8], frame: &mut Frame) -> Result<()> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MOST_PIXELS)
        .set_max_height(MOST_PIXELS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let picture = jpeg::picture(data)?;
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*picture), options);
    decoder.decode_headers().context("a JPEG header")?;
    let (width, height) = decoder
        .dimensions()
        .context("a JPEG picture without size")?;
    check_size(width, height)?;
    frame.resize(width, height);
    decoder
        .decode_into(&mut frame.pixels)
        .context("a JPEG picture")
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    const WIDTH: usize = 64;
    const HEIGHT: usize = 48;

    fn format(encoding: Encoding) -> Format {
        Format {
            encoding,
            width: WIDTH as u32,
            height: HEIGHT as u32,
            fps: 30.0,
        }
    }

    /// Left half red, right half blue.
    fn red_and_blue() -> Vec<u8> {
        (0..WIDTH * HEIGHT)
            .flat_map(|at| match at % WIDTH < WIDTH / 2 {
                true => [220, 20, 20],
                false => [20, 20, 220],
            })
            .collect()
    }

    fn jpeg_of(pixels: &[u8], color: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90)
            .write_image(pixels, WIDTH as u32, HEIGHT as u32, color)
            .unwrap();
        bytes
    }

    fn decoded(encoding: Encoding, data: &[u8]) -> Result<Frame> {
        let mut frame = Frame::empty();
        decode(&format(encoding), data, &mut frame)?;
        Ok(frame)
    }

    #[track_caller]
    fn assert_red_then_blue(frame: &Frame) {
        assert_eq!((frame.width, frame.height), (WIDTH, HEIGHT));
        let pixel = |x: usize, y: usize| &frame.pixels[(y * WIDTH + x) * 3..][..3];
        for y in [2, HEIGHT - 3] {
            let (left, right) = (pixel(4, y), pixel(WIDTH - 5, y));
            assert!(left[0] > 180 && left[1] < 60 && left[2] < 60, "{left:?}");
            assert!(
                right[2] > 180 && right[1] < 60 && right[0] < 60,
                "{right:?}"
            );
        }
    }

    /// BT.601 limited range, for the two colours of the test picture.
    fn yuv(x: usize) -> [u8; 3] {
        if x < WIDTH / 2 {
            [77, 100, 222]
        } else {
            [48, 225, 112]
        }
    }

    #[test]
    fn every_encoding_shows_the_same_colours() {
        let rgb = red_and_blue();
        let jpeg = jpeg_of(&rgb, ExtendedColorType::Rgb8);
        assert_red_then_blue(&decoded(Encoding::Mjpeg, &jpeg).unwrap());
        assert_red_then_blue(&decoded(Encoding::Rgb, &rgb).unwrap());

        let bgr: Vec<u8> = rgb.chunks(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
        assert_red_then_blue(&decoded(Encoding::Bgr, &bgr).unwrap());

        let yuyv: Vec<u8> = (0..WIDTH * HEIGHT / 2)
            .flat_map(|pair| {
                let [y, u, v] = yuv(pair * 2 % WIDTH);
                [y, u, y, v]
            })
            .collect();
        assert_red_then_blue(&decoded(Encoding::Yuyv, &yuyv).unwrap());

        let luma = (0..WIDTH * HEIGHT).map(|at| yuv(at % WIDTH)[0]);
        let chroma = (0..WIDTH * HEIGHT / 4).flat_map(|at| {
            let [_, u, v] = yuv(at * 2 % WIDTH);
            [u, v]
        });
        let nv12: Vec<u8> = luma.chain(chroma).collect();
        assert_red_then_blue(&decoded(Encoding::Nv12, &nv12).unwrap());
    }

    #[test]
    fn grey_pictures_come_out_grey() {
        let grey: Vec<u8> = (0..WIDTH * HEIGHT).map(|at| (at % 251) as u8).collect();
        let frame = decoded(Encoding::Grey, &grey).unwrap();
        assert_eq!(frame.pixels[3 * 77..3 * 78], [77, 77, 77]);

        let jpeg = jpeg_of(&vec![90; WIDTH * HEIGHT], ExtendedColorType::L8);
        let frame = decoded(Encoding::Mjpeg, &jpeg).unwrap();
        assert!(frame.pixels.iter().all(|level| level.abs_diff(90) < 3));
    }

    #[test]
    fn pictures_of_odd_width_and_height_are_read() {
        let (width, height) = (WIDTH - 1, HEIGHT - 1);
        let odd = |encoding| Format {
            width: width as u32,
            height: height as u32,
            ..format(encoding)
        };
        let rgb: Vec<u8> = (0..width * height)
            .flat_map(|at| match at % width < WIDTH / 2 {
                true => [220, 20, 20],
                false => [20, 20, 220],
            })
            .collect();
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90)
            .write_image(&rgb, width as u32, height as u32, ExtendedColorType::Rgb8)
            .unwrap();
        // Two pixels share their chroma; the last one of a row has its own.
        let yuyv: Vec<u8> = (0..WIDTH / 2 * height)
            .flat_map(|pair| {
                let [y, u, v] = yuv(pair * 2 % WIDTH);
                [y, u, y, v]
            })
            .collect();
        let luma = (0..width * height).map(|at| yuv(at % width)[0]);
        let chroma = (0..WIDTH / 2 * HEIGHT / 2).flat_map(|at| {
            let [_, u, v] = yuv(at * 2 % WIDTH);
            [u, v]
        });
        let nv12: Vec<u8> = luma.chain(chroma).collect();
        for (encoding, data) in [
            (Encoding::Rgb, rgb),
            (Encoding::Mjpeg, jpeg),
            (Encoding::Yuyv, yuyv),
            (Encoding::Nv12, nv12),
        ] {
            let mut frame = Frame::empty();
            decode(&odd(encoding), &data, &mut frame).unwrap();
            assert_eq!((frame.width, frame.height), (width, height));
            for (x, y, blue) in [(4, 2, false), (width - 1, height - 1, true)] {
                let pixel = &frame.pixels[(y * width + x) * 3..][..3];
                assert_eq!(pixel[2] > 180, blue, "{encoding}: {pixel:?}");
                assert_eq!(pixel[0] > 180, !blue, "{encoding}: {pixel:?}");
            }
        }
    }

    #[test]
    fn a_buffer_longer_than_its_picture_is_read_and_a_shorter_one_is_damaged() {
        let mut rgb = red_and_blue();
        for encoding in [Encoding::Rgb, Encoding::Bgr] {
            assert!(decoded(encoding, &rgb[1..]).is_err());
        }
        rgb.resize(rgb.len() + 4096, 7);
        assert_red_then_blue(&decoded(Encoding::Rgb, &rgb).unwrap());
        for encoding in [Encoding::Yuyv, Encoding::Nv12, Encoding::Grey] {
            assert!(decoded(encoding, &rgb[..WIDTH * HEIGHT - 1]).is_err());
        }
    }

    #[test]
    fn a_picture_that_claims_a_huge_size_is_refused_before_memory_is_taken() {
        let mut jpeg = jpeg_of(&red_and_blue(), ExtendedColorType::Rgb8);
        // The frame header: its length, 8 bits a sample, then height and width.
        let header = [0xff, 0xc0, 0, 17, 8];
        let at = jpeg.windows(5).position(|bytes| bytes == header).unwrap();
        jpeg[at + 5..at + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
        let mut frame = Frame::empty();
        let error = decode(&format(Encoding::Mjpeg), &jpeg, &mut frame).unwrap_err();
        assert!(format!("{error:#}").contains("60000"), "{error:#}");
        assert_eq!(frame.pixels.capacity(), 0);

        for encoding in [
            Encoding::Yuyv,
            Encoding::Nv12,
            Encoding::Rgb,
            Encoding::Grey,
        ] {
            for (width, height) in [
                (60_000, 60_000),
                (0, 48),
                (u32::MAX, u32::MAX),
                (4000, 4000),
            ] {
                let format = Format {
                    width,
                    height,
                    ..format(encoding)
                };
                assert!(decode(&format, &jpeg, &mut frame).is_err());
                assert_eq!(frame.pixels.capacity(), 0, "{format}");
            }
        }
    }

    #[test]
    fn a_jpeg_buffer_with_the_last_pictures_rest_behind_it_is_read() {
        let mut buffer = jpeg_of(&red_and_blue(), ExtendedColorType::Rgb8);
        let rest = jpeg_of(&vec![255; WIDTH * HEIGHT * 3], ExtendedColorType::Rgb8);
        buffer.extend_from_slice(&rest[rest.len() / 2..]);
        buffer.resize(buffer.len() + 600_000, 0);
        assert_red_then_blue(&decoded(Encoding::Mjpeg, &buffer).unwrap());
    }

    #[test]
    fn a_jpeg_picture_without_huffman_tables_is_read_with_the_standards() {
        let whole = jpeg_of(&red_and_blue(), ExtendedColorType::Rgb8);
        let bare = without_huffman_tables(&whole);
        assert!(bare.len() + 400 < whole.len(), "no tables were left out");
        let (whole, bare) = (
            decoded(Encoding::Mjpeg, &whole).unwrap(),
            decoded(Encoding::Mjpeg, &bare).unwrap(),
        );
        assert_eq!(whole.pixels, bare.pixels);
    }

    fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
        let mut kept = jpeg[..2].to_vec();
        let mut at = 2;
        loop {
            let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            match jpeg[at + 1] {
                0xc4 => {}
                0xda => {
                    kept.extend_from_slice(&jpeg[at..]);
                    return kept;
                }
                _ => kept.extend_from_slice(&jpeg[at..end]),
            }
            at = end;
        }
    }

    #[test]
    fn a_jpeg_pictures_own_size_wins() {
        let picture = jpeg_of(&red_and_blue(), ExtendedColorType::Rgb8);
        let mut frame = Frame::empty();
        let negotiated = Format {
            width: 640,
            height: 480,
            ..format(Encoding::Mjpeg)
        };
        decode(&negotiated, &picture, &mut frame).unwrap();
        assert_red_then_blue(&frame);
    }

    #[test]
    fn a_jpeg_picture_that_is_cut_short_or_overwritten_is_damaged() {
        let noise: Vec<u8> = (0..WIDTH * HEIGHT * 3)
            .map(|at| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3])
            .collect();
        let good = jpeg_of(&noise, ExtendedColorType::Rgb8);
        assert!(decoded(Encoding::Mjpeg, &good).is_ok());
        assert!(decoded(Encoding::Mjpeg, &good[..good.len() / 2]).is_err());
        assert!(decoded(Encoding::Mjpeg, &[]).is_err());
        assert!(decoded(Encoding::Mjpeg, &[0x55; 5000]).is_err());

        let mut overwritten = good.clone();
        let half = overwritten.len() / 2;
        overwritten[half..half + 64].fill(0xff);
        assert!(decoded(Encoding::Mjpeg, &overwritten).is_err());
    }
}

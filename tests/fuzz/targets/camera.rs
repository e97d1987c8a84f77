//! A camera's buffer of any bytes, in every encoding and at odd sizes. MJPEG pictures come with and
//! without Huffman tables and with an old picture's rest behind them, as the corpus has them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signcam::base::frame::Frame;
use signcam::source::camera::{Encoding, Format, decode_buffer};

const ENCODINGS: [Encoding; 6] = [
    Encoding::Mjpeg,
    Encoding::Yuyv,
    Encoding::Nv12,
    Encoding::Rgb,
    Encoding::Bgr,
    Encoding::Grey,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((&[encoding, w0, w1, h0, h1], data)) = bytes.split_first_chunk() else {
        return;
    };
    let format = Format {
        encoding: ENCODINGS[usize::from(encoding) % ENCODINGS.len()],
        width: u16::from_le_bytes([w0, w1]).into(),
        height: u16::from_le_bytes([h0, h1]).into(),
        fps: 30.0,
    };
    let mut frame = Frame::empty();
    if decode_buffer(&format, data, &mut frame).is_ok() {
        assert_eq!(frame.pixels.len(), frame.width * frame.height * 3);
        assert!(frame.width > 0 && frame.height > 0);
        if format.encoding != Encoding::Mjpeg {
            let size = (format.width as usize, format.height as usize);
            assert_eq!((frame.width, frame.height), size);
        }
    }
});

//! JPEG pictures, decoded only if they are whole: what cameras and cut-off files lack, and what lies behind
//! a picture's end.

use std::borrow::Cow;

use anyhow::{Result, bail, ensure};

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const HUFFMAN_TABLES: u8 = 0xc4;

/// The segment that marks a frame of motion JPEG in AVI files. Decoders take the standard's
/// Huffman tables for such a frame where it has none of its own.
const AVI_FRAME: &[u8] = &[0xff, 0xe0, 0, 8, b'A', b'V', b'I', b'1', 0, 0];

/// The picture at the start of `buffer` as a decoder wants it: cut at its end, and told to be
/// motion JPEG where its Huffman tables were left out.
///
/// A camera's buffer is as long as its largest picture; behind the end lies what an earlier
/// picture left there. Phones put depth maps and videos behind a picture. The segments are walked by their lengths, so that neither a thumbnail's
/// end nor an old picture's is taken for this one's.
///
/// # Errors
/// When the buffer does not start with a picture, or the picture's end is missing.
pub(crate) fn picture(buffer: &[u8]) -> Result<Cow<'_, [u8]>> {
    ensure!(
        buffer.starts_with(&[0xff, START]),
        "the buffer does not start with a JPEG picture"
    );
    let (mut in_scan, mut has_tables) = (false, false);
    let mut at = 2;
    loop {
        if in_scan {
            at = next_marker(buffer, at)?;
        }
        match buffer.get(at..at + 2) {
            Some([0xff, END]) => break,
            Some([0xff, START]) => bail!("a JPEG picture starts inside another one"),
            // A marker may be preceded by any number of fill bytes.
            Some([0xff, 0xff]) => at += 1,
            Some(&[0xff, marker]) => {
                let Some(&[high, low]) = buffer.get(at + 2..at + 4) else {
                    bail!("the JPEG picture is cut short in its header");
                };
                in_scan |= marker == SCAN;
                has_tables |= marker == HUFFMAN_TABLES;
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
            // Some encoders leave padding between segments.
            Some(_) => at += 1,
            None => bail!("the JPEG picture is cut short in its header"),
        }
    }
    let picture = &buffer[..at + 2];
    Ok(if has_tables {
        picture.into()
    } else {
        let (start, rest) = picture.split_at(2);
        [start, AVI_FRAME, rest].concat().into()
    })
}

/// The next marker in entropy-coded data, stuffed bytes and restart markers skipped.
fn next_marker(buffer: &[u8], from: usize) -> Result<usize> {
    let coded = buffer.get(from..).unwrap_or_default();
    coded
        .windows(2)
        .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7))
        .map(|offset| from + offset)
        .ok_or_else(|| anyhow::anyhow!("the JPEG picture is cut short: it has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_ends_at_its_own_end_whatever_lies_behind_it() {
        // A thumbnail's end, stuffed bytes, a restart marker, and then another picture's end.
        let tables = [0xff, HUFFMAN_TABLES, 0, 4, 0xff, END];
        let scan = [0xff, SCAN, 0, 2, 1, 0xff, 0, 0xff, 0xd0, 2, 0xff, END];
        let whole = [&[0xff, START][..], &tables, &scan].concat();
        let mut buffer = whole.clone();
        buffer.extend_from_slice(&[7, 0xff, END]);
        buffer.resize(600_000, 0);
        assert_eq!(*picture(&buffer).unwrap(), whole);
    }
}

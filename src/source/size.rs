//! A picture's size as the command line names it.

use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::*;

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

//! Colours, and the smallest text.

use super::canvas::Ink;

pub(super) const WHITE: Ink = Ink::solid(0xf5_f7fa);
pub(super) const DIM: Ink = Ink::solid(0xb4_bcc8);
pub(super) const ACCENT: Ink = Ink::solid(0x5e_ead4);
pub(super) const RED: Ink = Ink::solid(0xff_4d4f);
/// Behind text: dark enough for white text on a white picture.
pub(super) const PANEL: Ink = Ink {
    rgb: 0x0b_0e14,
    opacity: 196,
};
/// Behind the list of keys, which covers the picture.
pub(super) const SHEET: Ink = Ink {
    opacity: 226,
    ..PANEL
};
/// The empty part of a bar.
pub(super) const TRACK: Ink = Ink {
    rgb: 0xff_ffff,
    opacity: 48,
};
/// Around the box and the joints, so that they show on light pictures.
pub(super) const HALO: Ink = Ink {
    rgb: 0x00_0000,
    opacity: 110,
};

/// Text is never drawn smaller than this many pixels to an em; what does not fit is left out.
pub(super) const SMALLEST: f32 = 10.0;

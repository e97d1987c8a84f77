//! What crops are made of, and what is known of them.

use crate::base::frame::Square;
use crate::base::picture::Picture;
use crate::train::data::dataset::HandPoints;

/// What to make a crop of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The picture.
    pub picture: &'a Picture,
    /// The crop without variation, in pixels of the picture.
    pub square: Square,
    /// The hand's joints, in fractions of the picture.
    pub points: Option<&'a HandPoints>,
    /// Whether the hand was cut out on black.
    pub cut_out: bool,
}

/// The hand's joints in a crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropPoints {
    /// In fractions of the crop; beyond 0 to 1 where a joint lies outside.
    pub points: HandPoints,
    /// Whether each joint lies inside both the crop and the picture.
    pub visible: [bool; 21],
}

//! Where a picture's hand is said to be.

use super::joints::Reference;
use super::shrink::Shrunk;
use crate::base::frame::Rect;

/// Where a picture's hand is said to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hand {
    /// Wherever it is found.
    Unknown,
    /// All over the picture.
    Whole,
    /// In this box.
    At(Rect),
    /// Nowhere.
    None,
}

/// What is known of a picture's hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub hand: Hand,
    /// What its joints are judged by.
    pub reference: Option<Reference>,
}

impl Place {
    pub fn of(hand: Hand) -> Self {
        Place {
            hand,
            reference: None,
        }
    }

    /// The place in a picture that was made smaller.
    pub fn shrunk(self, shrunk: &Shrunk) -> Self {
        Place {
            hand: match self.hand {
                Hand::At(hand) => Hand::At(shrunk.rect(hand)),
                other => other,
            },
            reference: self.reference.map(|Reference { hand, joints }| Reference {
                hand: shrunk.rect(hand),
                joints: joints.map(|joint| shrunk.point(joint)),
            }),
        }
    }
}

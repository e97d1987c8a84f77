//! The letters that are drawn.

use super::path;
use super::strokes::Stroke;

/// What a drawn letter is made of: its name, the letter that its handshape is read as while it
/// stands still, further letters that it is read as while it moves and turns, and its movement.
pub(super) const DRAWN: [(&str, &str, &[&str], Stroke); path::DRAWN] = [
    ("J", "I", &["Y", "Q", "D", "L"], Stroke::Hook),
    ("Z", "D", &["X", "G"], Stroke::Zigzag),
];

/// Whether a letter is drawn, so that its handshape alone does not make it.
pub fn is_drawn(letter: &str) -> bool {
    DRAWN.iter().any(|(name, ..)| *name == letter)
}

/// Whether the letter `drawn` begins with the handshape of `still`, or what it may be read as.
pub fn begins(still: &str, drawn: &str) -> bool {
    matches!((still, drawn), ("I", "J") | ("D" | "X" | "G", "Z"))
}

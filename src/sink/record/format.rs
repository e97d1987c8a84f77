//! What turns pictures into a file, and what it is handed.

use std::time::Duration;

use anyhow::Result;

/// Whether whoever hands pictures over waits for them to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurry {
    /// Pictures come as they happen: those that find the encoder busy are dropped.
    Live,
    /// Every picture counts, however long it takes.
    None,
}

/// What makes a file of pictures, on the recording's thread.
pub(super) trait Format: Send {
    /// Adds a picture, shown `time` after the first one.
    fn add(&mut self, picture: &Picture, time: Duration) -> Result<Added>;

    /// Writes what is gathered, for times when no picture comes.
    fn flush(&mut self) -> Result<()>;

    /// Completes the file, whose last picture came `end` after the first, and returns its size in
    /// bytes; 0 where there was no picture.
    fn finish(&mut self, end: Duration) -> Result<u64>;
}

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is in the file.
    Kept,
    /// It should be, but the encoder left it out.
    LeftOut,
    /// The format shows fewer pictures a second.
    NotNeeded,
}

/// A picture on its way to the encoder: rows of B, G, R and an unused byte.
pub(super) struct Picture {
    pub bgr0: Vec<u8>,
    /// Since the recording's clock began.
    pub time: Duration,
}

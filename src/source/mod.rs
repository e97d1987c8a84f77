//! Where frames come from: one trait, an implementation for each kind of origin.

use std::sync::Arc;

use anyhow::Result;

use crate::frame::{Frame, FramePool};

/// Delivers frames one after the other.
///
/// A source keeps its own time: a camera delivers when a frame is captured, a file at its
/// recorded pace or, where [`Pace::Max`] was asked for, as fast as it is read.
pub trait Source: Send {
    /// What the source is, for messages and the screen: a camera's name, a file's path.
    fn name(&self) -> &str;

    /// Waits for the next frame and decodes it into a buffer of `pool`. `None` at the end.
    ///
    /// # Errors
    /// When the source is gone for good. What a source can recover from (a damaged frame, a
    /// camera's hiccup) it counts and skips.
    fn next(&mut self, pool: &FramePool) -> Result<Option<Arc<Frame>>>;
}

/// How fast a file plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At the file's own time stamps; pictures without any at this many frames a second.
    RealTime {
        /// Frames a second for pictures without time stamps.
        fps: f64,
    },
    /// As fast as frames are taken, none skipped: for measuring and for reading whole files.
    Max,
}

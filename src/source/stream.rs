//! What every source of frames does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::base::frame::{Frame, FramePool};

/// The most pixels in a picture of a camera or a video: 8K UHD. What claims to be larger is
/// damaged, or would take gigabytes.
pub const MOST_PIXELS: usize = 7680 * 4320;

/// Frames a second of pictures that have no time stamps of their own.
pub const DEFAULT_FPS: f64 = 30.0;

/// Refuses pictures without pixels or with too many, before memory is taken for them.
pub(super) fn check_size(width: usize, height: usize) -> Result<()> {
    ensure!(
        (1..=MOST_PIXELS).contains(&width.saturating_mul(height)),
        "pictures of {width}x{height} pixels are refused; at most {MOST_PIXELS} are taken"
    );
    Ok(())
}

/// Delivers frames one after the other.
///
/// A source keeps its own time: a camera delivers when a frame is captured, a file at its
/// recorded pace or, where [`Pace::Max`](super::Pace::Max) was asked for, as fast as it is read.
pub trait Source: Send {
    /// What the source is, for messages and the screen: a camera's name, a file's path.
    fn name(&self) -> &str;

    /// Waits for the next frame and decodes it into a buffer of `pool`.
    ///
    /// Returns within about a tenth of a second, so that the caller can look around and stop:
    /// with [`Event::Waiting`] where there is nothing yet.
    ///
    /// # Errors
    /// When the source is gone for good. What a source can recover from (a damaged frame, a
    /// camera's hiccup) it counts and skips.
    fn next(&mut self, pool: &FramePool) -> Result<Event>;

    /// How many frames there are in all, where that is known.
    fn frames(&self) -> Option<u64> {
        None
    }

    /// Frames that were lost so far inside the source.
    fn losses(&self) -> Losses {
        Losses::default()
    }

    /// What is missing from what was delivered, or not to be trusted, in a sentence; `None` where
    /// all is well.
    fn damage(&self) -> Option<String> {
        None
    }

    /// The sound that belongs to the pictures.
    fn sound(&self) -> Option<Sound> {
        None
    }
}

/// Sound that belongs to pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The file that holds it.
    pub path: PathBuf,
    /// How much later than the file's first sound or picture the first picture comes.
    pub pictures_start: Duration,
}

/// What a [`Source`] has to say.
#[derive(Debug, Clone)]
pub enum Event {
    /// The next frame.
    Frame {
        /// The frame.
        frame: Arc<Frame>,
        /// What turning it into pixels took, waiting excluded.
        decode: Duration,
    },
    /// No frame yet: ask again. With a reason where the source is in trouble, for the screen.
    Waiting(Option<String>),
    /// There are no more frames.
    End,
}

/// Frames that never left a source, since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Good frames replaced by newer ones before anybody took them.
    pub replaced: u64,
    /// Frames too damaged to decode, and pictures that could not be read.
    pub damaged: u64,
}

//! What the command line can be asked: one module a command.
//!
//! - [`watch`], [`mod@bench`]: the commands that watch a source; [`inputs`]: the options they share.
//! - [`progress`]: how far a command is, on stderr.
//! - [`predict`], [`eval`]: the commands that read picture files.
//! - `render` (feature `record`): the overlay on an existing video.
//! - `cameras` (feature `camera`): what cameras there are.
//! - `latency` (features `camera` and `window`): from the screen through the camera to the program.
//! - `collect` (feature `window`): labelled pictures of one's own signs.

pub mod bench;
#[cfg(feature = "camera")]
pub mod cameras;
#[cfg(feature = "window")]
pub mod collect;
pub mod eval;
pub mod inputs;
#[cfg(all(feature = "camera", feature = "window"))]
pub mod latency;
pub mod predict;
pub mod progress;
#[cfg(feature = "record")]
pub mod render;
pub mod watch;

/// What a command that reads many pictures has to say.
#[derive(Debug)]
pub struct Answer {
    /// What is printed.
    pub text: String,
    /// How many pictures could not be read; each was named on stderr.
    pub failed: usize,
    /// How many pictures there are.
    pub all: usize,
}

impl Answer {
    /// An answer that lacks nothing.
    pub fn whole(text: String) -> Answer {
        Answer {
            text,
            failed: 0,
            all: 0,
        }
    }
}

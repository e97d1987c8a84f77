//! What everything else stands on; it knows nothing of networks or commands.
//!
//! - [`frame`]: pixels with a sequence number and a capture time, and the geometry of boxes.
//! - [`joints`]: the joints of a hand.
//! - [`picture`]: picture files, decoded.
//! - [`files`]: files written whole or not at all, and what else a path may lead to.
//! - [`table`]: tables as spreadsheets write them.
//! - [`hash`]: a hash that every version of the program agrees on.
//! - [`machine`]: what the program runs on.
//! - [`interruption`]: asks to end, from outside.
//! - [`terminal`]: what the terminal takes.
//! - `win32` (Windows): what only Windows' own interface tells or does.
//! - `mp4` (feature `record`): recordings, written and read.

pub mod files;
pub mod frame;
pub mod hash;
pub mod interruption;
pub mod joints;
pub(crate) mod jpeg;
pub mod machine;
#[cfg(feature = "record")]
pub mod mp4;
pub mod picture;
pub mod table;
pub mod terminal;
#[cfg(windows)]
pub(crate) mod win32;

//! What every reader of videos needs.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};

use crate::source::stream;

/// A file's name as ffmpeg takes it for nothing else, whatever it begins with.
pub fn ffmpeg_name(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// Refuses pictures that would take unreasonable memory, before it is taken.
pub(super) fn check_size(width: usize, height: usize, path: &Path) -> Result<()> {
    stream::check_size(width, height).with_context(|| path.display().to_string())
}

//! Video files: the program's own recordings, and whatever an installed `ffmpeg` reads.

mod common;
mod ffmpeg;
#[cfg(feature = "record")]
mod recording;

#[cfg(all(test, feature = "record"))]
mod tests;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::pace::Pace;
use super::stream::Source;
pub use common::ffmpeg_name;

/// Opens a video file. The program's own recordings are decoded by the program itself (feature
/// `record`), anything else by an `ffmpeg` process.
///
/// Frames have the file's own time stamps, the first one's being zero.
///
/// # Errors
/// When the file cannot be read, is empty, or holds no video that can be decoded; the message
/// says what to install where that would help.
pub fn open(path: &Path, pace: Pace) -> Result<Box<dyn Source>> {
    let shown = path.display();
    // Not every system opens folders.
    ensure!(!path.is_dir(), "{shown} is a folder, not a video");
    let file = File::open(path).with_context(|| format!("cannot open the video {shown}"))?;
    let about = file
        .metadata()
        .with_context(|| format!("cannot open the video {shown}"))?;
    ensure!(
        about.len() > 0,
        "the video {shown} is empty (0 bytes): record or copy it again"
    );
    #[cfg(feature = "record")]
    if let Some(recording) = recording::Recording::open(file, path, pace)? {
        return Ok(Box::new(recording));
    }
    let source = ffmpeg::Ffmpeg::open("ffmpeg", path, pace, ffmpeg::SILENCE)?;
    Ok(Box::new(source))
}

/// Reads what an `ffmpeg` process wrote to its log, for the fuzzers.
#[cfg(fuzzing)]
pub fn read_ffmpeg_log(text: &str) {
    ffmpeg::read_text(text);
}

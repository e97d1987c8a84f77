//! The sound of a video, put to its rendering.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::base::files::unfinished;
use crate::source::Sound;
use crate::source::video::ffmpeg_name;

/// What is done with sound, in the order in which it is tried: kept as it is, or else coded anew for
/// what the rendering's file cannot hold.
const CODINGS: [&str; 2] = ["copy", "aac"];

/// Puts `sound` to the pictures in `rendering`, and returns what people are to be told: that it was
/// changed or left out.
pub(super) fn keep(sound: &Sound, rendering: &Path) -> Option<String> {
    let is_video = rendering
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("mp4"));
    if !is_video {
        return Some("the sound is left out: a GIF has none".into());
    }
    let mut failures = Vec::new();
    for coding in CODINGS {
        match add(sound, coding, rendering) {
            Ok(()) if coding == CODINGS[0] => return None,
            Ok(()) => {
                return Some(format!(
                    "the sound is coded anew, as {}: {}",
                    coding.to_uppercase(),
                    failures.join("; ")
                ));
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    failures.dedup();
    Some(format!("the sound is left out: {}", failures.join("; ")))
}

/// Replaces `rendering` by one with sound, or leaves it as it is.
fn add(sound: &Sound, coding: &str, rendering: &Path) -> Result<()> {
    let beside = unfinished(rendering)?;
    let added = write(sound, coding, rendering, &beside).and_then(|()| {
        fs::rename(&beside, rendering)
            .with_context(|| format!("cannot replace {}", rendering.display()))
    });
    if added.is_err() {
        // There may be nothing to remove; what went wrong before matters more.
        let _ = fs::remove_file(&beside);
    }
    added
}

fn write(sound: &Sound, coding: &str, rendering: &Path, to: &Path) -> Result<()> {
    let done = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-nostdin", "-loglevel", "error"])
        // The rendering starts with its first picture, the sound where it did.
        .args([
            "-itsoffset",
            &sound.pictures_start.as_secs_f64().to_string(),
        ])
        .args(["-protocol_whitelist", "file", "-i"])
        .arg(ffmpeg_name(rendering))
        .args(["-protocol_whitelist", "file", "-i"])
        .arg(ffmpeg_name(&sound.path))
        .args(["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", coding])
        .args(["-movflags", "+faststart"])
        .args(["-f", "mp4", "-y"])
        .arg(ffmpeg_name(to))
        .stdin(Stdio::null())
        .output()
        .context("cannot start ffmpeg")?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let first = said.lines().next().unwrap_or("ffmpeg does not say why");
        // Behind the part of the program that says it, in brackets.
        bail!("{}", first.rsplit("] ").next().unwrap_or(first).trim());
    }
    Ok(())
}

//! How much of a video is missing.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::source::video::common::ffmpeg_name;

/// The number of pictures in the file's index, where it has one and `ffprobe` is installed, as it is
/// beside most ffmpegs.
pub(super) fn frames(path: &Path) -> Option<u64> {
    let found = Command::new("ffprobe")
        .args(["-v", "quiet", "-protocol_whitelist", "file"])
        .args([
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=nb_frames",
        ])
        .args(["-of", "default=nokey=1:noprint_wrappers=1", "-i"])
        .arg(ffmpeg_name(path))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8_lossy(&found.stdout)
        .lines()
        .find_map(|line| line.trim().parse().ok())
}

/// How many bytes an AVI file has, and should have, where it is cut off: of such a file, ffmpeg reads
/// what there is and complains of nothing.
pub(super) fn cut_off_avi(path: &Path) -> Option<(u64, u64)> {
    let mut file = File::open(path).ok()?;
    let has = file.metadata().ok()?.len();
    let mut head = [0; 12];
    file.read_exact(&mut head).ok()?;
    let [b'R', b'I', b'F', b'F', size @ .., b'A', b'V', b'I', b' '] = head else {
        return None;
    };
    // Programs that were ended while they wrote leave one of these.
    let size = u64::from(u32::from_le_bytes(size));
    let known = size > 0 && size < u64::from(u32::MAX) - 0xffff;
    (known && size + 8 > has).then_some((has, size + 8))
}

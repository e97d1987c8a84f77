//! Files written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Opens a file of at most `most` bytes.
///
/// # Errors
/// When it cannot be opened or is larger; nothing of it is read.
pub fn open_bounded(path: &Path, most: u64) -> Result<fs::File> {
    let file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    ensure!(
        size <= most,
        "the file has {} MiB, and more than {} MiB are not read",
        size >> 20,
        most >> 20
    );
    Ok(file)
}

/// Writes a file so that a reader finds the old content or the new, never half of it: to a
/// temporary file beside it first, which is then renamed. Missing parent folders are not made.
///
/// # Errors
/// When the folder is missing or not writable, or the disk is full; the temporary file is removed.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let name = path.file_name().context("this names no file")?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = fs::File::create(&beside)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The write's own error matters more than whether its remains could be removed.
        let _ = fs::remove_file(&beside);
    }
    Ok(written?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("taken");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("inside"), "kept").unwrap();
        let error = format!("{:#}", write_whole(&target, b"new").unwrap_err());
        assert!(error.contains("taken"), "{error}");
        let left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["taken"]);
    }

    #[test]
    fn a_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("report.json");
        write_whole(&target, b"old and long").unwrap();
        write_whole(&target, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}

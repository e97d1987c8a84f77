//! Files written whole or not at all, and what else a path may lead to.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Names that Windows keeps for devices, whatever follows a dot.
const DEVICES: [&str; 6] = ["CON", "CONIN$", "CONOUT$", "PRN", "AUX", "NUL"];

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

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// What another program writes to.
    Pipe,
    /// A camera, a disk, a terminal.
    Device,
    /// What other programs connect to.
    Socket,
}

impl Nature {
    /// What is told by the metadata of a path.
    pub fn of(about: &fs::Metadata) -> Nature {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            let kind = about.file_type();
            if kind.is_fifo() {
                return Nature::Pipe;
            }
            if kind.is_char_device() || kind.is_block_device() {
                return Nature::Device;
            }
            if kind.is_socket() {
                return Nature::Socket;
            }
        }
        match about.is_dir() {
            true => Nature::Folder,
            false => Nature::File,
        }
    }
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nature::File => "a file",
            Nature::Folder => "a folder",
            Nature::Pipe => "a pipe",
            Nature::Device => "a device",
            Nature::Socket => "a socket",
        })
    }
}

/// Whether a path is an address on a network, as people paste it from a browser.
fn is_address(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.split_once("://")
        .or_else(|| text.split_once(":/"))
        .is_some_and(|(scheme, _)| {
            scheme.len() > 1 && scheme.chars().all(|letter| letter.is_ascii_alphanumeric())
        })
}

/// Opens what shall be read, or says what to do instead.
///
/// # Errors
/// When there is nothing, or an address on a network was given.
pub fn look_up(path: &Path) -> Result<fs::Metadata> {
    match fs::metadata(path) {
        Err(_) if path == Path::new("-") => {
            bail!("the standard input is not read: give the path of a file")
        }
        Err(_) if is_address(path) => bail!(
            "this is an address, and files are read: download it, and give the path of the file"
        ),
        found => Ok(found?),
    }
}

/// Whether Windows takes a name for a device's, such as `nul`, `COM1` or `aux.txt`.
pub fn is_device_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let port = ["COM", "LPT"].iter().any(|port| {
        (stem.strip_prefix(port)).is_some_and(|number| {
            let mut digits = number.chars();
            digits
                .next()
                .is_some_and(|digit| "0123456789¹²³".contains(digit))
                && digits.next().is_none()
        })
    });
    port || DEVICES.contains(&&*stem)
}

/// Refuses a file that Windows would take for a device's and never write.
///
/// # Errors
/// On Windows, when the path's last part is such a name.
pub fn check_no_device(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ensure!(
        !(cfg!(windows) && is_device_name(&name)),
        "{name} is a device's name on Windows: give another"
    );
    Ok(())
}

/// Writes a file so that a reader finds the old content or the new, never half of it: to a
/// temporary file beside it first, which is then renamed. Missing parent folders are not made.
///
/// # Errors
/// When the folder is missing or not writable, or the disk is full; the temporary file is removed.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Where a file is written to before it takes its name: beside `path`, hidden.
///
/// # Errors
/// When `path` names no file that can be written.
pub fn unfinished(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().context("this names no file")?;
    check_no_device(path)?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    Ok(path.with_file_name(beside))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let beside = unfinished(path)?;
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
    Ok(written.map_err(if_held)?)
}

/// An error with what may be behind it on Windows, where a file that a program has open can be
/// neither replaced nor, often, written to.
pub fn if_held(error: io::Error) -> io::Error {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    const LOCK_VIOLATION: i32 = 33;
    match error.raw_os_error() {
        Some(ACCESS_DENIED | SHARING_VIOLATION | LOCK_VIOLATION) if cfg!(windows) => {
            let said = format!("{error}; if a program has the file open, close it there");
            io::Error::new(error.kind(), said)
        }
        _ => error,
    }
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
    fn windows_devices_are_known_by_their_names() {
        for name in [
            "NUL",
            "nul.mp4",
            "con.tar.gz",
            "COM1",
            "lpt¹.csv",
            "CONOUT$",
        ] {
            assert!(is_device_name(name), "{name}");
        }
        for name in ["null.mp4", "console.gif", "COM10", "a.nul", "compact"] {
            assert!(!is_device_name(name), "{name}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn a_file_that_another_program_holds_stays_as_it_is_and_the_error_says_why() {
        use std::os::windows::fs::OpenOptionsExt;
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("table.csv");
        write_whole(&target, b"old").unwrap();
        let held = fs::OpenOptions::new()
            .read(true)
            .share_mode(0)
            .open(&target)
            .unwrap();
        let error = format!("{:#}", write_whole(&target, b"new").unwrap_err());
        assert!(error.contains("close it there"), "{error}");
        drop(held);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
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

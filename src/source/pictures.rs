//! A folder of pictures, or a single one, as a source.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::pace::{Pace, Pacer};
use super::stream::{DEFAULT_FPS, Event, Losses, Source};
use crate::base::frame::FramePool;
use crate::base::picture::{Picture, READ, Sieve, is_animation};

/// The pictures of a folder and its sub-folders, in path order, or a single picture.
#[derive(Debug)]
pub struct Pictures {
    name: String,
    paths: std::vec::IntoIter<PathBuf>,
    /// How many there were at the start.
    total: usize,
    /// Time from one picture to the next.
    step: Duration,
    pacer: Pacer,
    /// The next picture, which is not due yet, and what decoding it took.
    next: Option<(Picture, Duration)>,
    /// Pictures delivered so far.
    delivered: u32,
    damaged: u64,
}

impl Pictures {
    /// Opens the folder or picture `path`.
    ///
    /// # Errors
    /// When the path does not exist or cannot be listed, or there is no picture in it.
    pub fn open(path: &Path, pace: Pace) -> Result<Self> {
        let mut paths = Vec::new();
        if path.is_dir() {
            let mut sieve = Sieve::default();
            collect(path, &mut sieve, &mut paths)?;
            if paths.is_empty() {
                bail!(
                    "there is no picture in the folder {} or below it; {}",
                    path.display(),
                    sieve.left_out().unwrap_or(format!("{READ} are read"))
                );
            }
            sieve.warn();
        } else {
            if is_animation(path) {
                tracing::warn!(
                    "{} is an animation, of which the first picture is read",
                    path.display()
                );
            }
            paths.push(path.to_owned());
        }
        let fps = match pace {
            Pace::RealTime { fps } => fps,
            Pace::Max => DEFAULT_FPS,
        };
        Ok(Pictures {
            name: path.display().to_string(),
            total: paths.len(),
            paths: paths.into_iter(),
            step: Duration::from_secs_f64(1.0 / fps),
            pacer: Pacer::new(pace),
            next: None,
            delivered: 0,
            damaged: 0,
        })
    }

    /// Decodes the next readable picture; `None` at the end.
    fn decode(&mut self) -> Result<Option<(Picture, Duration)>> {
        for path in self.paths.by_ref() {
            let began = Instant::now();
            match Picture::decode(&path) {
                Ok(picture) => return Ok(Some((picture, began.elapsed()))),
                Err(error) if self.total == 1 => return Err(error),
                Err(error) => {
                    tracing::warn!("skipped: {error:#}");
                    self.damaged += 1;
                }
            }
        }
        if self.delivered == 0 {
            bail!(
                "none of the {} pictures in {} can be read",
                self.total,
                self.name
            );
        }
        Ok(None)
    }
}

impl Source for Pictures {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        let (picture, decode) = match self.next.take() {
            Some(next) => next,
            None => match self.decode()? {
                Some(next) => next,
                None => return Ok(Event::End),
            },
        };
        let time = self.step * self.delivered;
        let Some(captured) = self.pacer.due(time) else {
            self.next = Some((picture, decode));
            return Ok(Event::Waiting(None));
        };
        let frame = pool.fill(|frame| {
            frame.seq = u64::from(self.delivered) + self.damaged;
            frame.captured = captured;
            frame.time = time;
            frame.width = picture.width;
            frame.height = picture.height;
            frame.pixels = picture.pixels;
            anyhow::Ok(())
        })?;
        self.delivered += 1;
        Ok(Event::Frame { frame, decode })
    }

    fn frames(&self) -> Option<u64> {
        Some(self.total as u64)
    }

    fn losses(&self) -> Losses {
        Losses {
            replaced: 0,
            damaged: self.damaged,
        }
    }

    fn damage(&self) -> Option<String> {
        (self.damaged > 0).then(|| {
            format!(
                "{} of {} pictures in {} cannot be read and are missing",
                self.damaged, self.total, self.name
            )
        })
    }
}

/// Adds the pictures of `dir` and its sub-folders in the order of their paths, numbers in names by their
/// value. Hidden files are left out, links to folders are not followed.
fn collect(dir: &Path, sieve: &mut Sieve, paths: &mut Vec<PathBuf>) -> Result<()> {
    let listed = || format!("cannot list the folder {}", dir.display());
    let mut entries = fs::read_dir(dir)
        .with_context(listed)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(listed)?;
    entries.sort_by(|a, b| alphanumeric_sort::compare_os_str(a.file_name(), b.file_name()));
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type().with_context(listed)?.is_dir() {
            collect(&path, sieve, paths)?;
        } else if sieve.takes(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    use super::*;

    /// Every picture has the level of its number.
    fn folder(pictures: &[(&str, u8)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, level) in pictures {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(16, 12, Rgb([*level; 3]))
                .save(&path)
                .unwrap();
        }
        dir
    }

    fn all(source: &mut Pictures) -> Result<Vec<u8>> {
        let pool = FramePool::new();
        let mut levels = Vec::new();
        loop {
            match source.next(&pool)? {
                Event::Frame { frame, .. } => {
                    assert_eq!((frame.width, frame.height), (16, 12));
                    assert_eq!(frame.pixels.len(), 16 * 12 * 3);
                    levels.push(frame.pixels[0]);
                }
                Event::Waiting(_) => {}
                Event::End => return Ok(levels),
            }
        }
    }

    #[test]
    fn pictures_come_in_path_order_sub_folders_included() {
        let dir = folder(&[
            ("b/2.png", 40),
            ("a.png", 10),
            ("b/1.png", 30),
            ("b.png", 50),
            ("a/9.PNG", 20),
            (".hidden.png", 99),
        ]);
        fs::write(dir.path().join("notes.txt"), "no picture").unwrap();
        let mut source = Pictures::open(dir.path(), Pace::Max).unwrap();
        // Folders sort among files by their own names: "a" < "a.png" < "b" < "b.png".
        assert_eq!(all(&mut source).unwrap(), [20, 10, 30, 40, 50]);
    }

    #[test]
    fn numbers_in_names_count_by_their_value() {
        let dir = folder(&[
            ("take 10/1.png", 60),
            ("take 9/img10.png", 30),
            ("take 9/img9.png", 20),
            ("take 9/img100.png", 40),
            ("take 9/img1.png", 10),
        ]);
        let mut source = Pictures::open(dir.path(), Pace::Max).unwrap();
        assert_eq!(all(&mut source).unwrap(), [10, 20, 30, 40, 60]);
    }

    #[test]
    fn an_unreadable_picture_in_a_folder_is_counted_and_skipped() {
        let dir = folder(&[("1.png", 10), ("3.png", 30)]);
        fs::write(dir.path().join("2.png"), b"\x89PNG\r\n\x1a\n but no more").unwrap();
        let mut source = Pictures::open(dir.path(), Pace::Max).unwrap();
        assert_eq!(all(&mut source).unwrap(), [10, 30]);
        assert_eq!(source.losses().damaged, 1);
    }

    #[test]
    fn an_unreadable_picture_alone_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.jpg");
        fs::write(&path, b"").unwrap();
        let mut source = Pictures::open(&path, Pace::Max).unwrap();
        let error = format!("{:#}", all(&mut source).unwrap_err());
        assert!(error.contains("broken.jpg"), "{error}");
    }

    #[test]
    fn a_folder_of_broken_pictures_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("1.png"), b"1").unwrap();
        fs::write(dir.path().join("2.png"), b"2").unwrap();
        let mut source = Pictures::open(dir.path(), Pace::Max).unwrap();
        let error = all(&mut source).unwrap_err().to_string();
        assert!(error.contains("none of the 2 pictures"), "{error}");
    }

    #[test]
    fn a_folder_without_pictures_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Pictures::open(dir.path(), Pace::Max).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&dir.path().display().to_string())
        );
    }

    #[test]
    fn frames_carry_the_time_and_the_capture_moment_of_their_pace() {
        let dir = folder(&[("1.png", 1), ("2.png", 2), ("3.png", 3)]);
        let mut source = Pictures::open(dir.path(), Pace::RealTime { fps: 50.0 }).unwrap();
        let pool = FramePool::new();
        let mut frames = Vec::new();
        loop {
            match source.next(&pool).unwrap() {
                Event::Frame { frame, .. } => frames.push(frame),
                Event::Waiting(_) => {}
                Event::End => break,
            }
        }
        let step = Duration::from_millis(20);
        let times: Vec<_> = frames.iter().map(|frame| frame.time).collect();
        assert_eq!(times, [Duration::ZERO, step, step * 2]);
        assert!(frames[2].captured - frames[0].captured >= step * 2);
        let seqs: Vec<_> = frames.iter().map(|frame| frame.seq).collect();
        assert_eq!(seqs, [0, 1, 2]);
    }

    #[test]
    fn a_picture_that_claims_a_huge_size_is_refused_before_memory_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge.png");
        RgbImage::new(1, 1).save(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        // The PNG header's width, with its checksum made to fit.
        bytes[16..20].copy_from_slice(&20_000u32.to_be_bytes());
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        fs::write(&path, bytes).unwrap();
        let error = format!("{:#}", Picture::decode(&path).unwrap_err());
        assert!(
            error.contains("huge.png") && error.contains("limit"),
            "{error}"
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }
}

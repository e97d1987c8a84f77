//! The folder that pictures are collected in: `DIR/<signer>/<LABEL>/<number>.jpg`, and a table.
//!
//! The table `hands.csv` has a row for each picture, with the hand's box, as training and
//! evaluation read them. A picture is written before its row, and rows go before their pictures,
//! so that whatever ends the program leaves at most a picture that no row speaks of.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use csv::{StringRecord, WriterBuilder};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::Shot;
use super::names::check_name;
use crate::base::files::{if_held, open_bounded, write_whole};

/// The table's name, by which training finds it.
pub const TABLE: &str = "hands.csv";

/// The table's columns. Boxes are in fractions of the picture.
const COLUMNS: [&str; 9] = [
    "path", "signer", "split", "label", "x0", "y0", "x1", "y1", "take",
];

/// Bytes that a table may have.
const MAX_BYTES: u64 = 256 << 20;

/// Of so many takes of a label one is held back, beginning with the second.
const HELD_BACK: u32 = 4;

/// JPEG quality: what is lost is below what cameras lose.
const QUALITY: u8 = 92;

/// How many pictures and takes of a label there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Pictures.
    pub pictures: usize,
    /// The number of the newest take.
    pub takes: u32,
}

/// The pictures of one signer in a folder that may hold others' too.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    signer: String,
    counts: BTreeMap<String, Count>,
}

/// Whether a take is held back from training. Pictures of one take are near-copies, so that a
/// take is used as a whole for the one or the other.
pub fn is_held_back(take: u32) -> bool {
    take % HELD_BACK == 2
}

impl Folder {
    /// Opens the folder, which is made where there is none, and reads its table. What a crash
    /// left of a row is removed, and so are rows of this signer whose picture somebody deleted.
    ///
    /// # Errors
    /// When the signer's name cannot be a folder's, or the folder or its table cannot be read, or
    /// the table is of another make.
    pub fn open(root: &Path, signer: &str) -> Result<Folder> {
        check_name(signer).with_context(|| format!("cannot collect for the signer {signer:?}"))?;
        fs::create_dir_all(root)
            .with_context(|| format!("cannot make the folder {}", root.display()))?;
        let mut folder = Folder {
            root: root.to_owned(),
            signer: signer.to_owned(),
            counts: BTreeMap::new(),
        };
        let table = folder.table();
        folder
            .read_table()
            .with_context(|| format!("cannot use the table {}", table.display()))?;
        Ok(folder)
    }

    /// Where this signer's pictures go.
    pub fn place(&self) -> PathBuf {
        self.root.join(&self.signer)
    }

    /// The table of all pictures.
    pub fn table(&self) -> PathBuf {
        self.root.join(TABLE)
    }

    /// How many pictures of a label this signer has.
    pub fn count(&self, label: &str) -> Count {
        self.counts.get(label).copied().unwrap_or_default()
    }

    /// Stores a picture and its row; returns the picture's path as the table has it.
    ///
    /// # Errors
    /// When either cannot be written; then neither is there.
    pub fn add(&mut self, shot: &Shot, label: &str, take: u32) -> Result<String> {
        let folder = self.place().join(label);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let number = self.write_picture(shot, &folder)?;
        let path = format!("{}/{label}/{}", self.signer, picture_name(number));
        let corners = match shot.hand {
            Some(hand) => [hand.x0, hand.y0, hand.x1, hand.y1].map(|edge| format!("{edge:.5}")),
            None => Default::default(),
        };
        let [x0, y0, x1, y1] = &corners;
        let split = if is_held_back(take) { "dev" } else { "train" };
        let row = line(&[
            &path,
            &self.signer,
            split,
            label,
            x0,
            y0,
            x1,
            y1,
            &take.to_string(),
        ])?;
        if let Err(error) = self.append(&row) {
            // A picture without a row harms nobody, should it stay.
            let _ = fs::remove_file(self.root.join(&path));
            let table = self.table();
            return Err(error).with_context(|| format!("cannot write to {}", table.display()));
        }
        let count = self.counts.entry(label.to_owned()).or_default();
        count.pictures += 1;
        count.takes = count.takes.max(take);
        Ok(path)
    }

    /// Removes pictures of a label that [`Self::add`] stored, with their rows.
    ///
    /// # Errors
    /// When the table cannot be written; then all are still there. Or when a picture cannot be
    /// removed.
    pub fn remove(&mut self, label: &str, paths: &[String]) -> Result<()> {
        let table = self.table();
        let gone: HashSet<&str> = paths.iter().map(String::as_str).collect();
        rewrite(&table, |row| !gone.contains(row.get(0).unwrap_or_default()))
            .with_context(|| format!("cannot write to {}", table.display()))?;
        for path in paths {
            let picture = self.root.join(path);
            fs::remove_file(&picture)
                .map_err(if_held)
                .with_context(|| format!("cannot remove the picture {}", picture.display()))?;
        }
        self.counts.clear();
        self.count_rows()
            .with_context(|| format!("cannot read {} after {label} was changed", table.display()))
    }

    /// Writes a picture under the first number that is free, and returns it.
    fn write_picture(&self, shot: &Shot, folder: &Path) -> Result<u64> {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
            &shot.pixels,
            shot.width as u32,
            shot.height as u32,
            ExtendedColorType::Rgb8,
        )?;
        let mut number = u64::from(newest_number(folder)?) + 1;
        loop {
            let path = folder.join(picture_name(number));
            match File::create_new(&path) {
                Ok(mut file) => {
                    let written = file.write_all(&jpeg);
                    if written.is_err() {
                        // The write's own error matters more than whether its remains could be
                        // removed.
                        let _ = fs::remove_file(&path);
                    }
                    let shown = path.display();
                    written.with_context(|| format!("cannot write the picture {shown}"))?;
                    return Ok(number);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    let shown = path.display();
                    return Err(error).with_context(|| format!("cannot write the picture {shown}"));
                }
            }
        }
    }

    /// Appends a row in one piece, or leaves the table as it was.
    fn append(&self, row: &[u8]) -> Result<()> {
        let table = self.table();
        if !table.exists() {
            write_whole(&table, &line(&COLUMNS)?)?;
        }
        let mut file = (OpenOptions::new().append(true).open(&table)).map_err(if_held)?;
        let before = file.metadata()?.len();
        let written = file.write_all(row);
        if written.is_err() {
            // The write's own error matters more; a torn row is mended at the next start.
            let _ = file.set_len(before);
        }
        Ok(written.map_err(if_held)?)
    }

    fn read_table(&mut self) -> Result<()> {
        let table = self.table();
        if !table.exists() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        open_bounded(&table, MAX_BYTES)?.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        // Before anything is mended, since somebody else's table is not ours to mend.
        let ours = match whole {
            0 => line(&COLUMNS)?.starts_with(&bytes),
            _ => csv::Reader::from_reader(&*bytes)
                .headers()?
                .iter()
                .eq(COLUMNS),
        };
        ensure!(
            ours,
            "it has other columns than collecting writes ({}): collect into a folder of its own",
            COLUMNS.join(",")
        );
        if whole == 0 {
            return Ok(fs::remove_file(&table)?);
        }
        if whole < bytes.len() {
            tracing::warn!("removed a torn row at the end of {}", table.display());
            write_whole(&table, bytes.get(..whole).unwrap_or_default())?;
        }
        let (root, signer) = (self.root.clone(), self.signer.clone());
        let is_gone = move |row: &StringRecord| {
            row.get(1) == Some(signer.as_str())
                && !root.join(row.get(0).unwrap_or_default()).is_file()
        };
        let mut gone = 0;
        for row in csv::Reader::from_path(&table)?.records() {
            gone += usize::from(is_gone(&row?));
        }
        if gone > 0 {
            tracing::warn!(
                "removed {gone} rows of {} whose pictures are not there any more",
                table.display()
            );
            rewrite(&table, |row| !is_gone(row))?;
        }
        self.count_rows()
    }

    fn count_rows(&mut self) -> Result<()> {
        for row in csv::Reader::from_path(self.table())?.records() {
            let row = row?;
            if row.get(1) != Some(self.signer.as_str()) {
                continue;
            }
            let label = row.get(3).unwrap_or_default().to_owned();
            let take = row.get(8).and_then(|take| take.parse().ok()).unwrap_or(0);
            let count = self.counts.entry(label).or_default();
            count.pictures += 1;
            count.takes = count.takes.max(take);
        }
        Ok(())
    }
}

/// Writes the table anew with the rows that are kept.
fn rewrite(table: &Path, keep: impl Fn(&StringRecord) -> bool) -> Result<()> {
    let mut reader = csv::Reader::from_path(table)?;
    let mut content = line(&COLUMNS)?;
    for row in reader.records() {
        let row = row?;
        if keep(&row) {
            content.extend(line(&row.iter().collect::<Vec<_>>())?);
        }
    }
    // Not every system replaces a file that is open.
    drop(reader);
    write_whole(table, &content)
}

/// One line of the table.
fn line(fields: &[&str]) -> Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields)?;
    (writer.into_inner()).map_err(|error| anyhow!("cannot put a row together: {error}"))
}

fn picture_name(number: u64) -> String {
    format!("{number:05}.jpg")
}

/// The highest number among the pictures in a folder.
fn newest_number(folder: &Path) -> Result<u32> {
    let listed = || format!("cannot list the folder {}", folder.display());
    let mut newest = 0;
    for entry in fs::read_dir(folder).with_context(listed)? {
        let name = entry.with_context(listed)?.file_name();
        let number = Path::new(&name).file_stem().and_then(|stem| stem.to_str());
        newest = newest.max(number.and_then(|n| n.parse().ok()).unwrap_or(0));
    }
    Ok(newest)
}

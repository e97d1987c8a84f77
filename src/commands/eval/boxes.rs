//! A table of hand boxes, and which picture each row is of.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::folder::Labelled;
use super::joints::Reference;
use super::place::{Hand, Place};
use crate::base::frame::Rect;
use crate::base::joints::{JOINTS, Joints};
use crate::base::table::{self, Table};

/// Rows that a table may have, and bytes.
const MAX_ROWS: usize = 1_000_000;
const MAX_BYTES: u64 = 256 << 20;

/// Corners and joints farther outside the picture than this, in fractions of it, make no sense.
const FARTHEST: f32 = 10.0;

/// A table's rows.
#[derive(Debug)]
pub(super) struct Boxes {
    table: PathBuf,
    /// The folder that the rows' paths start from.
    base: PathBuf,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    path: PathBuf,
    hand: Hand,
    joints: Option<Joints>,
    /// Whether its split is the one asked for.
    wanted: bool,
}

/// Where the columns stand.
struct Columns {
    path: usize,
    corners: [usize; 4],
    /// Of x and y of each joint, where the table has them all.
    joints: Option<[[usize; 2]; JOINTS]>,
    split: Option<usize>,
}

impl Row {
    fn place(&self) -> Place {
        let reference = match (self.hand, self.joints) {
            (Hand::At(hand), Some(joints)) => Some(Reference { hand, joints }),
            _ => None,
        };
        Place {
            hand: self.hand,
            reference,
        }
    }
}

impl Boxes {
    /// Reads a table. With `split`, rows that have something else in the column of this name are
    /// not wanted.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a column, or a row makes no sense; with its line.
    pub(super) fn read(table: &Path, split: Option<&str>) -> Result<Self> {
        read(table, split)
            .with_context(|| format!("cannot read the table of boxes {}", table.display()))
    }

    /// Where the hand is in each picture; pictures of splits that are not wanted are left out.
    /// A row belongs to the picture that its path leads to from the table's folder; where none
    /// is there, to the one whose path has the most names at its end in common with the row's.
    ///
    /// # Errors
    /// When no picture is left.
    pub(super) fn place(
        &self,
        pictures: Vec<Labelled>,
        folder: &Path,
    ) -> Result<(Vec<Labelled>, Vec<Place>)> {
        let exact: HashMap<PathBuf, usize> = (0..self.rows.len())
            .map(|at| (lexical(&self.base.join(&self.rows[at].path)), at))
            .collect();
        let endings = self.endings();
        let mut kept = Vec::new();
        let mut hands = Vec::new();
        let (mut missing, mut unwanted) = (0, 0);
        for picture in pictures {
            let row = exact
                .get(&resolved(&picture.path))
                .or_else(|| {
                    let (three, two) = (ending(&picture.path, 3), ending(&picture.path, 2));
                    let found = endings.get(&three).or_else(|| endings.get(&two));
                    found.and_then(Option::as_ref)
                })
                .map(|&at| &self.rows[at]);
            match row {
                Some(row) if !row.wanted => {
                    unwanted += 1;
                    continue;
                }
                Some(row) => hands.push(row.place()),
                None => {
                    missing += 1;
                    hands.push(Place::of(Hand::None));
                }
            }
            kept.push(picture);
        }
        ensure!(
            missing < kept.len(),
            "no picture in {} that is wanted has a row in {}: of {} pictures, {missing} have no \
             row and {unwanted} have another split",
            folder.display(),
            self.table.display(),
            missing + unwanted,
        );
        if missing > 0 {
            tracing::warn!(
                "{missing} of {} pictures have no row in {} and count as pictures without a hand",
                kept.len(),
                self.table.display()
            );
        }
        Ok((kept, hands))
    }

    /// Rows by the last three and by the last two names of their paths; `None` where several
    /// rows share these.
    fn endings(&self) -> HashMap<PathBuf, Option<usize>> {
        let mut endings = HashMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            for names in [3, 2] {
                endings
                    .entry(ending(&row.path, names))
                    .and_modify(|row| *row = None)
                    .or_insert(Some(at));
            }
        }
        endings
    }
}

fn read(path: &Path, split: Option<&str>) -> Result<Boxes> {
    let mut table = Table::open(path, MAX_BYTES)?;
    let columns = Columns::find(&table, split.is_some())?;
    let mut rows = Vec::new();
    while let Some(row) = table.next_row()? {
        let line = row.line;
        let row = columns
            .row(row, split)
            .with_context(|| format!("line {line} makes no sense"))?;
        ensure!(rows.len() < MAX_ROWS, "it has more than {MAX_ROWS} rows");
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "it has no rows");
    if let Some(split) = split {
        ensure!(
            rows.iter().any(|row| row.wanted),
            "no row has the split {split:?}"
        );
    }
    let absolute = fs::canonicalize(path)?;
    Ok(Boxes {
        table: path.to_owned(),
        base: absolute.parent().unwrap_or(Path::new("/")).to_owned(),
        rows,
    })
}

impl Columns {
    fn find(table: &Table, split: bool) -> Result<Self> {
        let [path, x0, y0, x1, y1] = table.needed(["path", "x0", "y0", "x1", "y1"])?;
        let split = match split {
            true => Some(table.needed(["split"])?[0]),
            false => None,
        };
        Ok(Columns {
            path,
            corners: [x0, y0, x1, y1],
            joints: joints(table),
            split,
        })
    }

    fn row(&self, row: table::Row, split: Option<&str>) -> Result<Row> {
        let path = row.field(self.path);
        ensure!(!path.is_empty(), "it has no path");
        let own = self.split.map(|split| row.field(split));
        Ok(Row {
            // A path's folders may be separated by `\`, on systems where that is part of a name, too.
            path: path.replace('\\', "/").into(),
            hand: hand(self.corners, row)?,
            joints: match self.joints {
                Some(joints) => known(joints, row)?,
                None => None,
            },
            wanted: split.is_none_or(|split| own == Some(split)),
        })
    }
}

/// Where the columns px0, py0 to px20, py20 stand, where all of them do.
fn joints(table: &Table) -> Option<[[usize; 2]; JOINTS]> {
    let mut columns = [[0; 2]; JOINTS];
    for (at, axes) in columns.iter_mut().enumerate() {
        let column = |name: &str| table.column(&format!("{name}{at}"));
        *axes = [column("px")?, column("py")?];
    }
    Some(columns)
}

/// A row's joints; none where a field is empty.
fn known(columns: [[usize; 2]; JOINTS], row: table::Row) -> Result<Option<Joints>> {
    let columns = columns.as_flattened();
    if columns.iter().any(|&at| row.field(at).is_empty()) {
        return Ok(None);
    }
    let mut joints = [[0.0; 2]; JOINTS];
    for (value, &at) in joints.as_flattened_mut().iter_mut().zip(columns) {
        *value = row.number(at)?;
        ensure!(
            value.abs() <= FARTHEST,
            "a joint at {value} is far outside the picture"
        );
    }
    Ok(Some(joints))
}

fn hand(corners: [usize; 4], row: table::Row) -> Result<Hand> {
    if corners.iter().all(|&corner| row.field(corner).is_empty()) {
        return Ok(Hand::None);
    }
    let mut numbers = [0.0; 4];
    for (number, corner) in numbers.iter_mut().zip(corners) {
        *number = row.number(corner)?;
    }
    let [x0, y0, x1, y1] = numbers;
    if !(numbers.iter().all(|n: &f32| n.abs() <= FARTHEST) && x0 < x1 && y0 < y1) {
        bail!("{numbers:?} is no box in fractions of a picture: left, top, right, bottom");
    }
    Ok(Hand::At(Rect { x0, y0, x1, y1 }))
}

/// A path without `.` and, as far as it can be told without looking, `..`.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// A picture's path from the root, its folder's links followed.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The last names of a path.
fn ending(path: &Path, names: usize) -> PathBuf {
    let all: Vec<Component<'_>> = path.components().collect();
    all[all.len().saturating_sub(names)..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_too_many_rows_or_bytes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("boxes.csv");
        let rows = "a,,,,\n".repeat(MAX_ROWS + 1);
        fs::write(&table, format!("path,x0,y0,x1,y1\n{rows}")).unwrap();
        let error = format!("{:#}", Boxes::read(&table, None).unwrap_err());
        assert!(
            error.contains("rows") && error.contains("boxes.csv"),
            "{error}"
        );

        // Takes no room on the disk, nor in memory.
        let file = fs::File::create(&table).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = format!("{:#}", Boxes::read(&table, None).unwrap_err());
        assert!(
            error.contains("MiB") && error.contains("boxes.csv"),
            "{error}"
        );
    }
}

//! CSV files that name pictures with their signer, split, label, hand box and hand points.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::exclude::Exclude;
use super::parts::{
    Dataset, HandPoints, MAX_PICTURES, MAX_TABLE, NOTHING, OTHER, Sample, Scene, Split, ordered,
};
use crate::base::frame::Rect;
use crate::base::table::{self, Table};

/// How far beyond the picture a box or a point may lie, in fractions of the picture.
const REACH: f32 = 2.0;

/// Reads the pictures of `hands`, and the scenes of `frames` where it is given.
pub(super) fn read(hands: &Path, frames: Option<&Path>, exclude: &[Exclude]) -> Result<Dataset> {
    let rows = read_rows(hands, exclude)?;
    ensure!(
        !rows.is_empty(),
        "{} names no picture{}",
        hands.display(),
        if exclude.is_empty() {
            ""
        } else {
            " that --exclude leaves"
        }
    );
    let mut scenes = Vec::new();
    if let Some(frames) = frames {
        // Doubts about labels are about letters; what surrounds the hand stays usable.
        for row in read_rows(frames, &[])? {
            let excluded = exclude.iter().any(|e| e.matches_signer(&row.signer));
            let Some(hand) = row.hand.filter(|_| !excluded) else {
                continue;
            };
            scenes.push(Scene {
                path: row.path,
                signer: Some(row.signer),
                split: row.split,
                hand,
            });
        }
    }
    let with_nothing = scenes.iter().map(|_| NOTHING.to_string()).take(1);
    let labels = ordered(rows.iter().map(|row| row.label.clone()).chain(with_nothing));
    let class_of = |label: &str| labels.iter().position(|l| l == label).unwrap_or_default();
    let samples = rows
        .into_iter()
        .map(|row| Sample {
            class: class_of(&row.label),
            path: row.path,
            signer: Some(row.signer),
            split: row.split,
            hand: row.hand,
            points: row.points,
        })
        .collect();
    Ok(Dataset {
        labels,
        samples,
        scenes,
        held_back: false,
    })
}

/// One row of a CSV.
struct Row {
    path: PathBuf,
    signer: Arc<str>,
    split: Split,
    label: String,
    hand: Option<Rect>,
    points: Option<HandPoints>,
}

/// Where the columns are.
struct Columns {
    path: usize,
    signer: usize,
    split: usize,
    label: usize,
    source_class: Option<usize>,
    hand: Option<[usize; 4]>,
    points: Option<Vec<[usize; 2]>>,
}

impl Columns {
    fn find(table: &Table) -> Result<Columns> {
        let [path, signer, split, label] = table.needed(["path", "signer", "split", "label"])?;
        let find = |name: &str| table.column(name);
        let edges = ["x0", "y0", "x1", "y1"].map(find);
        let hand = match edges {
            [Some(x0), Some(y0), Some(x1), Some(y1)] => Some([x0, y0, x1, y1]),
            [None, None, None, None] => None,
            _ => bail!("it has some of the columns x0, y0, x1, y1 but not all four"),
        };
        let points: Vec<[usize; 2]> = (0..21)
            .filter_map(|at| Some([find(&format!("px{at}"))?, find(&format!("py{at}"))?]))
            .collect();
        ensure!(
            points.is_empty() || points.len() == 21,
            "it has the columns of {} hand points instead of 21 (px0, py0 … px20, py20)",
            points.len()
        );
        Ok(Columns {
            path,
            signer,
            split,
            label,
            source_class: find("source_class"),
            hand,
            points: Some(points).filter(|points| !points.is_empty()),
        })
    }
}

fn read_rows(csv: &Path, exclude: &[Exclude]) -> Result<Vec<Row>> {
    let tried = || format!("cannot read the table {}", csv.display());
    let mut table = Table::open(csv, MAX_TABLE).with_context(tried)?;
    let columns = Columns::find(&table).with_context(tried)?;
    let folder = csv.parent().unwrap_or(Path::new(""));
    let mut rows = Vec::new();
    while let Some(row) = table.next_row().with_context(tried)? {
        ensure!(
            rows.len() < MAX_PICTURES,
            "{} has more than {MAX_PICTURES} rows",
            csv.display()
        );
        let line = row.line;
        let row = read_row(row, &columns, folder, exclude)
            .with_context(|| format!("{}, line {line}", csv.display()))?;
        rows.extend(row);
    }
    Ok(rows)
}

/// The picture of one row, or `None` where it is left out.
fn read_row(
    row: table::Row,
    columns: &Columns,
    folder: &Path,
    exclude: &[Exclude],
) -> Result<Option<Row>> {
    let field = |at: usize| row.field(at);
    let filled = |at: usize, what: &str| {
        let value = field(at);
        ensure!(!value.is_empty(), "the {what} is empty");
        Ok(value)
    };
    let signer = filled(columns.signer, "signer")?;
    let label = filled(columns.label, "label")?;
    let source_class = columns.source_class.map(field);
    let left_out = |pattern: &Exclude| pattern.matches(signer, label, source_class);
    if exclude.iter().any(left_out) {
        return Ok(None);
    }
    filled(columns.path, "path")?;
    let path = row.path(columns.path, folder);
    ensure!(path.is_file(), "there is no picture {}", path.display());
    let split = Split::parse(field(columns.split))?;
    let hand = match &columns.hand {
        Some(edges) => read_box(edges, row)?,
        None => None,
    };
    let points = match &columns.points {
        Some(points) => read_points(points, row)?,
        None => None,
    };
    Ok(Some(Row {
        path,
        signer: Arc::from(signer),
        split,
        label: if label == OTHER { NOTHING } else { label }.to_string(),
        hand,
        points,
    }))
}

fn read_box(edges: &[usize; 4], row: table::Row) -> Result<Option<Rect>> {
    if edges.iter().all(|&edge| row.field(edge).is_empty()) {
        return Ok(None);
    }
    let mut values = [0.0; 4];
    for (value, &edge) in values.iter_mut().zip(edges) {
        *value = fraction(edge, row)?;
    }
    let [x0, y0, x1, y1] = values;
    ensure!(
        x0 < x1 && y0 < y1,
        "the hand box ({x0}, {y0}) to ({x1}, {y1}) is empty"
    );
    Ok(Some(Rect { x0, y0, x1, y1 }))
}

fn read_points(columns: &[[usize; 2]], row: table::Row) -> Result<Option<HandPoints>> {
    if (columns.iter().flatten()).all(|&at| row.field(at).is_empty()) {
        return Ok(None);
    }
    let mut points = [[0.0; 2]; 21];
    for (point, &[x, y]) in points.iter_mut().zip(columns) {
        *point = [fraction(x, row)?, fraction(y, row)?];
    }
    Ok(Some(points))
}

/// A place as a fraction of the picture's width or height.
fn fraction(column: usize, row: table::Row) -> Result<f32> {
    let value = row.number(column)?;
    ensure!(
        (-REACH..=1.0 + REACH).contains(&value),
        "{value} is not a fraction of the picture"
    );
    Ok(value)
}

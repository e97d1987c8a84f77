//! Drawn data for trials and tests of the trainer: each class is a figure of its own shape, each
//! signer has their own colours, room and way of holding it. Nobody is in these pictures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use image::{Rgb, RgbImage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::dataset::HandPoints;
use crate::base::frame::Rect;

/// What to draw.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The classes.
    pub labels: Vec<String>,
    /// Signers to learn from, with pictures for each class.
    pub train_signers: Vec<(String, usize)>,
    /// Signers to be judged by, with pictures for each class.
    pub val_signers: Vec<(String, usize)>,
    /// Width and height of each picture, in pixels.
    pub size: u32,
    /// Decides colours and places.
    pub seed: u64,
}

/// Writes `folder/hands.csv` and `folder/hands/<signer>/<label>/*.png`, with hand boxes and points.
///
/// # Errors
/// When the files cannot be written.
pub fn write_hands(folder: &Path, drawn: &Drawn) -> Result<()> {
    let mut table = String::from("path,signer,split,label,source_class,x0,y0,x1,y1");
    for at in 0..21 {
        write!(table, ",px{at},py{at}")?;
    }
    table.push('\n');
    each(drawn, |signer, split, class, at, rng| {
        let label = &drawn.labels[class];
        let path = format!("hands/{signer}/{label}/{at}.png");
        let figure = Figure::draw(class, 0.32, rng);
        save(
            &folder.join(&path),
            &figure.paint(drawn.size, signer, drawn.seed),
        )?;
        let Rect { x0, y0, x1, y1 } = figure.bounds();
        write!(
            table,
            "{path},{signer},{split},{label},{label},{x0},{y0},{x1},{y1}"
        )?;
        for [x, y] in figure.points() {
            write!(table, ",{x},{y}")?;
        }
        table.push('\n');
        Ok(())
    })?;
    write(&folder.join("hands.csv"), &table)
}

/// Writes `folder/frames.csv` and `folder/frames/<signer>/<label>/*.png`: the same figures, small
/// in a larger room.
///
/// # Errors
/// When the files cannot be written.
pub fn write_frames(folder: &Path, drawn: &Drawn) -> Result<()> {
    let mut table = String::from("path,signer,split,label,x0,y0,x1,y1\n");
    each(drawn, |signer, split, class, at, rng| {
        let label = &drawn.labels[class];
        let path = format!("frames/{signer}/{label}/{at}.png");
        let figure = Figure::draw(class, 0.15, rng);
        save(
            &folder.join(&path),
            &figure.paint(drawn.size * 2, signer, drawn.seed),
        )?;
        let Rect { x0, y0, x1, y1 } = figure.bounds();
        writeln!(table, "{path},{signer},{split},{label},{x0},{y0},{x1},{y1}")?;
        Ok(())
    })?;
    write(&folder.join("frames.csv"), &table)
}

/// Writes `folder/train/<label>/*.png` and `folder/val/<label>/*.png`, without boxes.
///
/// # Errors
/// When the files cannot be written.
pub fn write_folders(folder: &Path, drawn: &Drawn) -> Result<()> {
    each(drawn, |signer, split, class, at, rng| {
        let split = if split == "dev" { "val" } else { split };
        let label = &drawn.labels[class];
        let path = format!("{split}/{label}/{signer}-{at}.png");
        let figure = Figure::draw(class, 0.4, rng);
        save(
            &folder.join(path),
            &figure.paint(drawn.size, signer, drawn.seed),
        )
    })
}

/// Calls `write` with the signer, the split, the class and the number of each picture.
fn each(
    drawn: &Drawn,
    mut write: impl FnMut(&str, &str, usize, usize, &mut StdRng) -> Result<()>,
) -> Result<()> {
    let train = drawn.train_signers.iter().map(|signer| (signer, "train"));
    let val = drawn.val_signers.iter().map(|signer| (signer, "dev"));
    let mut rng = StdRng::seed_from_u64(drawn.seed);
    for ((signer, pictures), split) in train.chain(val) {
        for class in 0..drawn.labels.len() {
            for at in 0..*pictures {
                write(signer, split, class, at, &mut rng)?;
            }
        }
    }
    Ok(())
}

/// A figure that stands for a hand: a disc with arms, whose number and lengths tell the class.
#[derive(Debug)]
struct Figure {
    centre: [f32; 2],
    /// Reach of the longest arm, as a fraction of the picture.
    reach: f32,
    /// Direction in radians and length as a fraction of the reach.
    arms: Vec<(f32, f32)>,
}

impl Figure {
    /// The figure of `class`, about `reach` of the picture large, somewhat turned and moved.
    fn draw(class: usize, reach: f32, rng: &mut StdRng) -> Figure {
        let free = 0.45 - reach;
        let place = |rng: &mut StdRng| 0.5 + rng.random_range(-1.0..1.0_f32) * free.max(0.01);
        let centre = [place(rng), place(rng)];
        let turn = rng.random_range(-0.2..0.2_f32);
        // Five places for arms, each there or not by the class's number in binary: 31 classes are
        // told apart, and no class has none.
        let pattern = class % 31 + 1;
        let arms = (0..5)
            .filter(|bit| pattern >> bit & 1 == 1)
            .map(|bit| {
                let angle = turn - 2.5 + bit as f32 * 0.75;
                (angle, rng.random_range(0.9..1.0))
            })
            .collect();
        Figure {
            centre,
            reach: reach * rng.random_range(0.85..1.0_f32),
            arms,
        }
    }

    fn tip(&self, (angle, length): (f32, f32), share: f32) -> [f32; 2] {
        let reach = self.reach * length * share;
        [
            self.centre[0] + reach * angle.cos(),
            self.centre[1] + reach * angle.sin(),
        ]
    }

    /// Four points along each of up to five arms, after the centre; places without an arm hold
    /// points of the disc.
    fn points(&self) -> HandPoints {
        let mut points = [self.centre; 21];
        for (arm, joints) in self.arms.iter().zip(points[1..].chunks_exact_mut(4)) {
            for (at, joint) in joints.iter_mut().enumerate() {
                *joint = self.tip(*arm, 0.4 + 0.2 * at as f32);
            }
        }
        points
    }

    fn bounds(&self) -> Rect {
        let disc = self.reach * 0.35;
        let [x, y] = self.centre;
        let mut bounds = Rect {
            x0: x - disc,
            y0: y - disc,
            x1: x + disc,
            y1: y + disc,
        };
        for &arm in &self.arms {
            let [x, y] = self.tip(arm, 1.0);
            bounds.x0 = bounds.x0.min(x);
            bounds.y0 = bounds.y0.min(y);
            bounds.x1 = bounds.x1.max(x);
            bounds.y1 = bounds.y1.max(y);
        }
        bounds
    }

    /// Paints the figure in the signer's colours in the signer's room.
    fn paint(&self, size: u32, signer: &str, seed: u64) -> RgbImage {
        let name = signer.bytes().fold(seed, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let mut rng = StdRng::seed_from_u64(name);
        let tone = rng.random_range(0.5..1.0_f32);
        let skin = [230.0, 175.0, 145.0].map(|value| (value * tone) as u8);
        let room: [u8; 3] = [(); 3].map(|()| rng.random_range(20..120));
        RgbImage::from_fn(size, size, |column, row| {
            let place = [
                (column as f32 + 0.5) / size as f32,
                (row as f32 + 0.5) / size as f32,
            ];
            if self.covers(place) {
                Rgb(skin)
            } else {
                let light = (place[1] * 60.0) as u8;
                Rgb(room.map(|value| value + light))
            }
        })
    }

    fn covers(&self, place: [f32; 2]) -> bool {
        let to = [place[0] - self.centre[0], place[1] - self.centre[1]];
        if to[0].hypot(to[1]) <= self.reach * 0.35 {
            return true;
        }
        self.arms.iter().any(|&(angle, length)| {
            let along = to[0] * angle.cos() + to[1] * angle.sin();
            let off = to[1] * angle.cos() - to[0] * angle.sin();
            (0.0..=self.reach * length).contains(&along) && off.abs() <= self.reach * 0.11
        })
    }
}

fn save(path: &Path, picture: &RgbImage) -> Result<()> {
    let context = || format!("cannot write the drawn picture {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(context)?;
    }
    picture.save(path).with_context(context)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

//! Curves and a confusion matrix as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::train::run::fit::Epoch;

/// Width and height of a curve's picture, in pixels.
const CURVES: (u32, u32) = (720, 440);

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(225, 228, 233);
/// Told apart by people who see red and green alike too (Okabe and Ito 2008).
const TRAIN: RGBColor = RGBColor(0, 114, 178);
const VAL: RGBColor = RGBColor(213, 94, 0);

/// Accuracy over epochs, in percent.
pub(super) fn accuracy(epochs: &[Epoch]) -> Result<String> {
    curves(
        "Accuracy",
        "percent",
        [
            line(epochs, |epoch| Some(epoch.train_accuracy * 100.0)),
            line(epochs, |epoch| Some(epoch.val.as_ref()?.accuracy * 100.0)),
        ],
        Some(100.0),
    )
}

/// Loss over epochs, in nats.
pub(super) fn loss(epochs: &[Epoch]) -> Result<String> {
    curves(
        "Loss",
        "nats",
        [
            line(epochs, |epoch| Some(epoch.train_loss)),
            line(epochs, |epoch| Some(epoch.val.as_ref()?.loss)),
        ],
        None,
    )
}

/// Epoch and value of the epochs that have a finite one.
fn line(epochs: &[Epoch], value: impl Fn(&Epoch) -> Option<f64>) -> Vec<(f64, f64)> {
    epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?)))
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// Training and validation, from 0 to the highest value or to `top`.
fn curves(
    title: &str,
    unit: &str,
    [train, val]: [Vec<(f64, f64)>; 2],
    top: Option<f64>,
) -> Result<String> {
    let points = || train.iter().chain(&val);
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let highest = points().map(|point| point.1).fold(0.0, f64::max);
    let top = top.unwrap_or(if highest > 0.0 { highest * 1.08 } else { 1.0 });
    // One epoch is a point: give it a line to stand on.
    let end = if last > 1.0 { last } else { 2.0 };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, CURVES).into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 22).into_font().color(&INK))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(1.0..end, 0.0..top)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style((FONT, 14).into_font().color(&INK))
            .x_desc("epoch")
            .y_desc(unit)
            .x_labels((end as usize).clamp(2, 10))
            .x_label_formatter(&|epoch| {
                let whole = (epoch - epoch.round()).abs() < 1e-6;
                if whole {
                    format!("{epoch:.0}")
                } else {
                    String::new()
                }
            })
            .draw()
            .map_err(drawing)?;
        for (points, name, colour) in [(train, "training", TRAIN), (val, "validation", VAL)] {
            if points.is_empty() {
                continue;
            }
            let marks: Vec<_> = points
                .iter()
                .map(|&point| Circle::new(point, 3, colour.filled()))
                .collect();
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(drawing)?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
            chart.draw_series(marks).map_err(drawing)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font((FONT, 14).into_font().color(&INK))
            .draw()
            .map_err(drawing)?;
        area.present().map_err(drawing)?;
    }
    Ok(svg)
}

/// Pictures by what they show (rows) and what was read (columns); a cell is the darker the larger
/// its share of the row.
pub(super) fn confusion(labels: &[String], counts: &[Vec<usize>]) -> Result<String> {
    let classes = labels.len().max(1) as i32;
    let cell = (1000 / classes).clamp(26, 110);
    let longest = labels.iter().map(|label| label.chars().count()).max();
    let letter = (cell * 2 / 5).clamp(11, 18);
    // Names are written across on the left and downwards on top.
    let names = (longest.unwrap_or(1) as i32 * letter * 2 / 3).clamp(letter, 220) + 8;
    let (left, top) = (names + 30, names + 54);
    let size = (left + cell * classes + 20, top + cell * classes + 20);
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (size.0 as u32, size.1 as u32)).into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        let text = |size: i32| (FONT, size).into_font().color(&INK);
        let centred = Pos::new(HPos::Center, VPos::Center);
        let middle = cell * classes / 2;
        area.draw(&Text::new(
            "read as",
            (left + middle, 18),
            text(16).pos(centred),
        ))
        .map_err(drawing)?;
        area.draw(&Text::new(
            "shown",
            (14, top + middle),
            text(16).pos(centred).transform(FontTransform::Rotate270),
        ))
        .map_err(drawing)?;
        for (at, label) in labels.iter().enumerate() {
            let along = at as i32 * cell + cell / 2;
            let row = text(letter).pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(label.as_str(), (left - 6, top + along), row))
                .map_err(drawing)?;
            let column = match label.chars().count() {
                1 | 2 => text(letter).pos(Pos::new(HPos::Center, VPos::Bottom)),
                _ => text(letter)
                    .pos(Pos::new(HPos::Left, VPos::Center))
                    .transform(FontTransform::Rotate270),
            };
            area.draw(&Text::new(label.as_str(), (left + along, top - 6), column))
                .map_err(drawing)?;
        }
        for (row, counts) in counts.iter().enumerate() {
            let total: usize = counts.iter().sum();
            for (column, &count) in counts.iter().enumerate() {
                let corner = (left + column as i32 * cell, top + row as i32 * cell);
                let share = count as f64 / total.max(1) as f64;
                let colour = if row == column { TRAIN } else { VAL };
                let end = (corner.0 + cell, corner.1 + cell);
                area.draw(&Rectangle::new(
                    [corner, end],
                    faded(colour, share).filled(),
                ))
                .map_err(drawing)?;
                area.draw(&Rectangle::new([corner, end], GRID.stroke_width(1)))
                    .map_err(drawing)?;
                if count > 0 {
                    let ink = if share > 0.55 { WHITE } else { INK };
                    let number = (FONT, letter.min(cell / 2)).into_font().color(&ink);
                    area.draw(&Text::new(
                        count.to_string(),
                        (corner.0 + cell / 2, corner.1 + cell / 2),
                        number.pos(centred),
                    ))
                    .map_err(drawing)?;
                }
            }
        }
        area.present().map_err(drawing)?;
    }
    Ok(svg)
}

/// `colour` on white, the fainter the smaller `share`; a single misreading of many stays visible.
fn faded(RGBColor(r, g, b): RGBColor, share: f64) -> RGBColor {
    let strength = share.clamp(0.0, 1.0).sqrt();
    let fade = |value: u8| (255.0 - (255.0 - f64::from(value)) * strength) as u8;
    RGBColor(fade(r), fade(g), fade(b))
}

fn drawing<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}

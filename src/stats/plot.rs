//! How often each stage took how long, as SVG.

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Setup;

/// Width of the picture, height of its head and of each stage's row, in pixels.
const WIDTH: u32 = 860;
const HEAD: u32 = 64;
const ROW: u32 = 96;
const FOOT: u32 = 40;

/// Bars over the whole time axis, which is logarithmic.
const BARS: usize = 120;

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(225, 228, 233);
/// Told apart by people who see red and green alike too (Okabe and Ito 2008).
const BAR: RGBColor = RGBColor(0, 114, 178);
const MARK: RGBColor = RGBColor(213, 94, 0);

/// Draws a row for each stage over one time axis, with its percentiles.
///
/// # Errors
/// When nothing was measured, or drawing fails.
pub(super) fn plot(setup: &Setup, stages: &[(&'static str, Histogram<u64>)]) -> Result<String> {
    let rows = u32::try_from(stages.len())?;
    let least = stages.iter().map(|(_, times)| times.min()).min();
    let most = stages.iter().map(|(_, times)| times.max()).max();
    let (Some(least), Some(most)) = (least, most) else {
        return Err(anyhow!("nothing was measured"));
    };
    let axis = Axis::spanning(least, most);
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, (WIDTH, HEAD + ROW * rows + FOOT));
        let area = area.into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let (head, body) = area.split_vertically(HEAD);
        let Setup {
            processor,
            isa,
            threads,
            model,
        } = setup;
        let title = (FONT, 20).into_font().color(&INK);
        let small = (FONT, 13).into_font().color(&INK);
        let what = format!("{processor}, {isa}, threads: {threads}, {model}");
        head.draw_text("Time per frame, by stage", &title, (16, 12))
            .map_err(failed)?;
        head.draw_text(&what, &small, (16, 40)).map_err(failed)?;
        let (rows_area, foot) = body.split_vertically(ROW * rows);
        for (row, (name, times)) in rows_area.split_evenly((stages.len(), 1)).iter().zip(stages) {
            draw_row(row, name, times, &axis)?;
        }
        let note = "ms, logarithmic; from the driver's time stamp on: exposure, cable, compositor \
                    and panel are not in it";
        foot.draw_text(note, &small, (16, 12)).map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(picture)
}

/// The time axis, in milliseconds: whole powers of ten.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    /// From the least to the most microseconds.
    fn spanning(least: u64, most: u64) -> Axis {
        let exponent = |micros: u64| (micros.max(1) as f64 / 1000.0).log10();
        let (low, high) = (exponent(least).floor(), exponent(most).ceil());
        Axis {
            from: 10f64.powf(low),
            to: 10f64.powf(high.max(low + 1.0)),
        }
    }

    /// Where a bar begins, in milliseconds.
    fn edge(&self, bar: usize) -> f64 {
        let share = bar as f64 / BARS as f64;
        self.from * (self.to / self.from).powf(share)
    }

    /// The bar of a time.
    fn bar(&self, ms: f64) -> usize {
        let share = (ms / self.from).ln() / (self.to / self.from).ln();
        ((share * BARS as f64) as usize).min(BARS - 1)
    }
}

fn draw_row(
    row: &DrawingArea<SVGBackend<'_>, Shift>,
    name: &str,
    times: &Histogram<u64>,
    axis: &Axis,
) -> Result<()> {
    let mut counts = [0u64; BARS];
    for value in times.iter_recorded() {
        counts[axis.bar(value.value_iterated_to() as f64 / 1000.0)] +=
            value.count_since_last_iteration();
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1);
    let percentile = |share| times.value_at_quantile(share) as f64 / 1000.0;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(percentile);
    let most = times.max() as f64 / 1000.0;
    let caption = format!(
        "{name}   p50 {p50:.2}   p95 {p95:.2}   p99 {p99:.2}   max {most:.2} ms   {} times",
        times.len()
    );
    let mut chart = ChartBuilder::on(row)
        .margin_left(16)
        .margin_right(24)
        .x_label_area_size(20)
        .caption(caption, (FONT, 13).into_font().color(&INK))
        .build_cartesian_2d((axis.from..axis.to).log_scale(), 0.0..1.0)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_label_formatter(&|ms| format!("{ms}"))
        .label_style((FONT, 11).into_font().color(&INK))
        .draw()
        .map_err(failed)?;
    let bars = (0..BARS).filter(|&bar| counts[bar] > 0).map(|bar| {
        let height = counts[bar] as f64 / highest as f64;
        Rectangle::new(
            [(axis.edge(bar), 0.0), (axis.edge(bar + 1), height)],
            BAR.filled(),
        )
    });
    chart.draw_series(bars).map_err(failed)?;
    let marks = [p50, p95, p99].map(|at| PathElement::new(vec![(at, 0.0), (at, 1.0)], MARK));
    chart.draw_series(marks).map_err(failed)?;
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

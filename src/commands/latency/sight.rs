//! Where in its picture a camera sees the window blink, and which colour it sees there.

use crate::base::frame::Frame;

/// Columns and rows of the grid whose cells are looked at one by one.
const COLUMNS: usize = 16;
const ROWS: usize = 12;

/// Pixels skipped between two that are looked at, along each axis: a cell's mean needs few.
const STEP: usize = 4;

/// A cell sees the window where white is brighter than black by so many grey levels, and by so
/// many standard deviations of its noise.
const LEAST_CONTRAST: f64 = 6.0;
const LEAST_DEVIATIONS: f64 = 3.0;

/// Pictures whose mean lies beyond these grey levels are too dark or too bright to show a blink.
const DARK: f64 = 12.0;
const BRIGHT: f64 = 243.0;

/// How fast the levels of black and white follow a camera that adapts its exposure: the share of
/// the difference that a frame takes over.
const FOLLOW: f64 = 0.05;

/// What the window shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// As dark as the screen can be.
    Black,
    /// As bright as the screen can be.
    White,
}

impl Colour {
    /// The other one.
    pub fn other(self) -> Colour {
        match self {
            Colour::Black => Colour::White,
            Colour::White => Colour::Black,
        }
    }
}

/// Mean brightness of each cell of a frame, 0 to 255.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid(pub(super) [f64; COLUMNS * ROWS]);

impl Grid {
    /// Of a frame of any size; a frame without pixels is black.
    pub fn of(frame: &Frame) -> Grid {
        let mut sums = [0.0; COLUMNS * ROWS];
        let mut counts = [0u32; COLUMNS * ROWS];
        for y in (0..frame.height).step_by(STEP) {
            for x in (0..frame.width).step_by(STEP) {
                let at = (y * frame.width + x) * 3;
                let Some(&[r, g, b]) = frame.pixels.get(at..at + 3) else {
                    continue;
                };
                let cell = y * ROWS / frame.height * COLUMNS + x * COLUMNS / frame.width;
                sums[cell] += (f64::from(r) + 2.0 * f64::from(g) + f64::from(b)) / 4.0;
                counts[cell] += 1;
            }
        }
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum /= f64::from(count.max(1));
        }
        Grid(sums)
    }

    /// The same brightness everywhere.
    #[cfg(test)]
    pub(super) fn plain(brightness: f64) -> Grid {
        Grid([brightness; COLUMNS * ROWS])
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}

/// Sum, sum of squares and number of a cell's values.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    sum: f64,
    squares: f64,
    count: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.squares += value * value;
        self.count += 1.0;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1.0)
    }

    fn variance(&self) -> f64 {
        (self.squares / self.count.max(1.0) - self.mean().powi(2)).max(0.0)
    }
}

/// Learns from frames of known colour.
#[derive(Debug, Clone)]
pub(super) struct Learning {
    black: Vec<Moments>,
    white: Vec<Moments>,
}

impl Learning {
    pub fn new() -> Self {
        Learning {
            black: vec![Moments::default(); COLUMNS * ROWS],
            white: vec![Moments::default(); COLUMNS * ROWS],
        }
    }

    /// Learns a frame that shows the window in this colour, if it shows the window.
    pub fn add(&mut self, grid: &Grid, colour: Colour) {
        let moments = match colour {
            Colour::Black => &mut self.black,
            Colour::White => &mut self.white,
        };
        for (moments, &value) in moments.iter_mut().zip(&grid.0) {
            moments.add(value);
        }
    }

    /// The cells that see the window.
    ///
    /// # Errors
    /// Why there are none, for the person with the camera.
    pub fn finish(&self, last: &Grid) -> Result<Sight, String> {
        let cells: Vec<Cell> = (self.black.iter().zip(&self.white).enumerate())
            .filter_map(|(index, (black, white))| {
                let contrast = white.mean() - black.mean();
                let noise = f64::midpoint(black.variance(), white.variance()).sqrt();
                let clear = contrast >= LEAST_CONTRAST && contrast >= LEAST_DEVIATIONS * noise;
                let seen = black.count > 0.0 && white.count > 0.0;
                (seen && clear).then(|| Cell {
                    index,
                    black: black.mean(),
                    white: white.mean(),
                })
            })
            .collect();
        if !cells.is_empty() {
            return Ok(Sight { cells });
        }
        let mean = last.mean();
        Err(if mean < DARK {
            "the camera's picture is dark all over: open its lid, and turn it to the screen"
        } else if mean > BRIGHT {
            "the camera's picture is white all over: give it less light, or hold it further away"
        } else {
            "the camera does not see the window blink: turn it to the screen, or hold a mirror or \
             something shiny so that it sees the window in it; make the window larger, and the \
             room darker"
        }
        .into())
    }
}

#[derive(Debug, Clone)]
struct Cell {
    index: usize,
    black: f64,
    white: f64,
}

/// The cells that see the window, with the brightness that black and white have there.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    cells: Vec<Cell>,
}

impl Sight {
    /// The share of the picture that sees the window, 0 to 1.
    pub fn share(&self) -> f64 {
        self.cells.len() as f64 / (COLUMNS * ROWS) as f64
    }

    /// The colour that is nearer to what the cells see; those with more contrast count for more.
    pub fn colour(&self, grid: &Grid) -> Colour {
        let above: f64 = (self.cells.iter())
            .map(|cell| grid.0[cell.index] - f64::midpoint(cell.black, cell.white))
            .sum();
        match above > 0.0 {
            true => Colour::White,
            false => Colour::Black,
        }
    }

    /// Follows a camera that adapts its exposure, by a frame that shows this colour.
    pub fn follow(&mut self, grid: &Grid, colour: Colour) {
        for cell in &mut self.cells {
            let level = match colour {
                Colour::Black => &mut cell.black,
                Colour::White => &mut cell.white,
            };
            *level += FOLLOW * (grid.0[cell.index] - *level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corner_that_blinks_is_found_and_the_rest_is_not_looked_at() {
        let mut frame = Frame::empty();
        frame.resize(160, 120);
        let mut shown = |colour| {
            let value = if colour == Colour::White { 140 } else { 90 };
            for (at, pixel) in frame.pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let corner = at % 160 >= 80 && at / 160 >= 60;
                *pixel = [if corner { value } else { 70 }; 3];
            }
            Grid::of(&frame)
        };
        let (black, white) = (shown(Colour::Black), shown(Colour::White));
        let mut learning = Learning::new();
        for _ in 0..5 {
            learning.add(&black, Colour::Black);
            learning.add(&white, Colour::White);
        }
        let sight = learning.finish(&white).unwrap();
        assert!((sight.share() - 0.25).abs() < 1e-9, "{}", sight.share());
        assert_eq!(sight.colour(&black), Colour::Black);
        assert_eq!(sight.colour(&white), Colour::White);
    }

    #[test]
    fn a_frame_without_pixels_is_black() {
        assert_eq!(Grid::of(&Frame::empty()), Grid::plain(0.0));
    }
}

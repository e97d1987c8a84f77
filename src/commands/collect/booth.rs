//! The screen's side of collecting: the person in the picture, the counts, and the keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::Receiver;

use super::takes::{MOST, Takes};
use super::{Shot, Shutter};
use crate::base::frame::Frame;
use crate::live::{Front, NewestReading, SharedGuide, SharedSpeller, canvas_size};
use crate::overlay::{Canvas, Overlay, Scene, Tally};
use crate::sink::keyboard::Symbol;
use crate::sink::screen::{Key, Press, Screen};

/// Without a new frame for so long, what a key led to is shown on the last one.
const REDRAW_AFTER: Duration = Duration::from_millis(100);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Ends the program; so does closing the window.
    Quit,
    /// Shows or hides the list of keys.
    ToggleHelp,
    /// Goes to the next label that starts with this.
    Choose(Symbol),
    /// Goes to the next label.
    NextLabel,
    /// Begins (`true`) or ends a take.
    Hold(bool),
    /// Takes the newest take back; `false` when the key is let go.
    TakeBack(bool),
    /// Moves the guide box by steps, as seen on the screen: right and down.
    MoveGuide(f32, f32),
    /// Makes the guide box larger (by steps above 0) or smaller.
    ResizeGuide(f32),
}

impl Order {
    /// What a press means. Letters choose labels, so that nothing else hangs on them.
    pub fn of(press: Press) -> Option<Order> {
        Some(match press {
            Press::Closed | Press::Down(Key::Escape) => Order::Quit,
            Press::Down(Key::F1) => Order::ToggleHelp,
            Press::Down(Key::Tab) => Order::NextLabel,
            Press::Down(Key::Space) => Order::Hold(true),
            Press::Up(Key::Space) => Order::Hold(false),
            Press::Down(Key::Backspace) => Order::TakeBack(true),
            Press::Up(Key::Backspace) => Order::TakeBack(false),
            Press::Down(Key::Left) => Order::MoveGuide(-1.0, 0.0),
            Press::Down(Key::Right) => Order::MoveGuide(1.0, 0.0),
            Press::Down(Key::Up) => Order::MoveGuide(0.0, -1.0),
            Press::Down(Key::Down) => Order::MoveGuide(0.0, 1.0),
            Press::Typed(symbol) => match symbol.latin {
                '+' | '=' => Order::ResizeGuide(1.0),
                '-' | '_' => Order::ResizeGuide(-1.0),
                other if other.is_control() || other.is_whitespace() => return None,
                _ => Order::Choose(symbol),
            },
            _ => return None,
        })
    }
}

/// The keys and what they do, in words.
const KEYS: &[(&str, &str)] = &[
    ("A … Z", "choose a label by its first letter"),
    ("Tab", "the next label"),
    ("Space", "hold to take pictures"),
    ("Backspace", "take the last take back"),
    ("arrows", "move the box (--box)"),
    ("+ -", "resize the box (--box)"),
    ("F1", "show or hide this help"),
    ("Esc", "quit"),
];

/// Opens a screen of the given width and height, in pixels.
pub(super) type OpenScreen = Box<dyn FnOnce(usize, usize) -> Result<Box<dyn Screen<Order>>>>;

/// Shows frames with the counts over them, takes pictures, and answers keys.
pub(super) struct Booth {
    takes: Takes,
    shutter: Shutter,
    shots: Receiver<Shot>,
    overlay: Overlay,
    open: Option<OpenScreen>,
    screen: Option<Box<dyn Screen<Order>>>,
    canvas: Vec<u32>,
    width: usize,
    height: usize,
    mirror: bool,
    help: bool,
    /// Whether the key that takes back is down.
    taking_back: bool,
    guide: Option<SharedGuide>,
    readings: NewestReading,
    counts: Vec<(Arc<str>, usize)>,
    place: String,
    last: Option<(Arc<Frame>, Instant)>,
    /// Something changed since the last picture on the screen.
    stale: bool,
}

impl Booth {
    /// A booth whose screen opens with the first frame.
    ///
    /// # Errors
    /// When the overlay's fonts are damaged.
    pub fn new(
        takes: Takes,
        shutter: Shutter,
        shots: Receiver<Shot>,
        open: OpenScreen,
        mirror: bool,
    ) -> Result<Booth> {
        let place = takes.folder().place();
        let place = format!("{} · on this machine only", place.display());
        Ok(Booth {
            takes,
            shutter,
            shots,
            overlay: Overlay::new()?,
            open: Some(open),
            screen: None,
            canvas: Vec::new(),
            width: 0,
            height: 0,
            mirror,
            help: false,
            taking_back: false,
            guide: None,
            readings: NewestReading::default(),
            counts: Vec::new(),
            place,
            last: None,
            stale: false,
        })
    }

    /// What was collected.
    pub fn takes(&self) -> &Takes {
        &self.takes
    }

    /// Stores the picture that was asked for, and asks for the next one that is due.
    fn photograph(&mut self) -> Result<()> {
        let now = Instant::now();
        for shot in self.shots.try_iter() {
            self.takes.store(&shot, now)?;
            self.stale = true;
        }
        if self.takes.wants(now) {
            self.shutter.press();
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Quit => {}
            Order::ToggleHelp => self.help = !self.help,
            Order::Choose(symbol) => self.takes.choose(symbol),
            Order::NextLabel => self.takes.next_label(),
            Order::Hold(true) => self.takes.hold(Instant::now()),
            Order::Hold(false) => self.takes.release(),
            // A key that is held down repeats; takes go one at a time.
            Order::TakeBack(true) if self.taking_back => {}
            Order::TakeBack(true) => {
                self.taking_back = true;
                self.takes.take_back()?;
            }
            Order::TakeBack(false) => self.taking_back = false,
            Order::MoveGuide(right, down) => {
                if let (Some(guide), Some((frame, _))) = (&self.guide, &self.last) {
                    guide.step(right, down, self.mirror, frame);
                }
            }
            Order::ResizeGuide(steps) => {
                if let Some(guide) = &self.guide {
                    guide.grow(steps);
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self, frame: &Arc<Frame>, trouble: Option<String>) -> Result<()> {
        let reading = self.readings.get();
        let request = self.takes.request();
        self.counts.clear();
        let counts = self.takes.counts();
        (self.counts).extend(counts.map(|(label, count)| (Arc::clone(label), count.pictures)));
        let mut canvas = Canvas {
            width: self.width,
            height: self.height,
            pixels: &mut self.canvas,
        };
        let scene = Scene {
            frame,
            reading: reading.as_deref(),
            guide: (self.guide.as_ref()).map(|guide| guide.get().rect(frame.width, frame.height)),
            mirror: self.mirror,
            spelled: None,
            figures: None,
            stages: &[],
            keys: KEYS,
            help: self.help,
            joints: false,
            chart: false,
            practice: None,
            hint: None,
            message: Some(trouble.as_deref().unwrap_or(&request)),
            recording: None,
            tally: Some(Tally {
                label: self.takes.label(),
                counts: &self.counts,
                take: self.takes.taken().map(|taken| (taken, MOST)),
                place: &self.place,
            }),
        };
        self.overlay.draw(&mut canvas, &scene);
        if let Some(screen) = &mut self.screen {
            screen.show(&self.canvas, self.width, self.height)?;
        }
        self.last = Some((Arc::clone(frame), Instant::now()));
        self.stale = false;
        Ok(())
    }
}

impl Front for Booth {
    fn begin(
        &mut self,
        guide: Option<SharedGuide>,
        _: Option<SharedSpeller>,
        readings: NewestReading,
    ) {
        self.guide = guide;
        self.readings = readings;
    }

    fn show(&mut self, frame: Arc<Frame>) -> Result<()> {
        if self.canvas.is_empty() {
            (self.width, self.height) = canvas_size(frame.width, frame.height);
            self.canvas = vec![0; self.width * self.height];
            if let Some(open) = self.open.take() {
                self.screen = Some(open(self.width, self.height)?);
            }
        }
        self.photograph()?;
        self.draw(&frame, None)
    }

    fn idle(&mut self, trouble: Option<String>) -> Result<()> {
        self.photograph()?;
        let Some((frame, at)) = &self.last else {
            return Ok(());
        };
        if (self.stale || trouble.is_some()) && at.elapsed() >= REDRAW_AFTER {
            let frame = Arc::clone(frame);
            self.draw(&frame, trouble)?;
        }
        Ok(())
    }

    fn answer_keys(&mut self) -> Result<bool> {
        let Some(screen) = &mut self.screen else {
            return Ok(true);
        };
        for order in screen.actions() {
            if order == Order::Quit {
                self.takes.release();
                return Ok(false);
            }
            self.obey(order)?;
            self.stale = true;
        }
        Ok(true)
    }

    fn shows_still(&self) -> bool {
        false
    }
}

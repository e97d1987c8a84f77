//! The screen's side of live: frames with the newest reading drawn over them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Front;
use super::guide::SharedGuide;
use super::readings::{NewestReading, SharedPractice, SharedSpeller};
use super::recordings::{Recordings, Shown, StartRecording};
use super::writing::{Copy, Writing};
use crate::base::frame::Frame;
use crate::overlay::{Canvas, Figures, Overlay, Practised, Scene};
use crate::recognize::Reading;
use crate::recognize::words::Words;
use crate::sink::screen::{Action, KEYS, Screen};
use crate::stats::{Rate, Stage, Stats, Times};

/// Figures on the screen change this often, so that they can be read.
const FIGURES_EVERY: Duration = Duration::from_millis(250);

/// Without a new frame for so long, readings and messages are shown on the last one.
const REDRAW_AFTER: Duration = Duration::from_millis(100);

/// For so long the screen says what a key led to.
const NOTICE_FOR: Duration = Duration::from_secs(4);

/// Pictures lower than this are enlarged, so that text on them can be read.
const LEAST_HEIGHT: f64 = 480.0;

/// Pictures are not drawn larger than this: the window scales what it shows anyway.
const LARGEST: (f64, f64) = (1920.0, 1080.0);

/// Opens a screen of the given width and height, in pixels.
pub type OpenScreen = Box<dyn FnOnce(usize, usize) -> Result<Box<dyn Screen>>>;

/// Where frames with readings go; all are opened with a frame, whose size they take.
#[derive(Default)]
pub struct View {
    /// The screen, if any.
    pub screen: Option<OpenScreen>,
    /// Whether left and right are swapped, as in a mirror.
    pub mirror: bool,
    /// The recording that begins with the first frame, if any.
    pub record: Option<StartRecording>,
    /// Starts the recordings that a key asks for; `None` where nothing can be recorded.
    pub record_on_key: Option<StartRecording>,
    /// Whether recordings hold the frames as the camera sees them, with nothing drawn over them.
    pub record_clean: bool,
    /// Words that are suggested for the one being spelled.
    pub words: Words,
    /// The clipboard, if any.
    pub copy: Option<Copy>,
    /// A word whose letters are asked for.
    pub practice: Option<SharedPractice>,
}

/// Shows frames and answers keys.
pub struct Viewer {
    overlay: Overlay,
    open: Option<OpenScreen>,
    screen: Option<Box<dyn Screen>>,
    start: Option<StartRecording>,
    recordings: Recordings,
    /// What a key led to, and since when the screen shows it.
    notice: Option<(String, Instant)>,
    canvas: Vec<u32>,
    width: usize,
    height: usize,
    mirror: bool,
    help: bool,
    chart: bool,
    joints: bool,
    show_figures: bool,
    show_stages: bool,
    /// The box that the hand is put into, where there is one.
    guide: Option<SharedGuide>,
    readings: NewestReading,
    /// What was spelled, where letters become text.
    writing: Option<Writing>,
    words: Words,
    copy: Option<Copy>,
    practice: Option<SharedPractice>,
    stats: Stats,
    figures: Figures,
    /// What each stage took, while that is shown.
    stages: Vec<(&'static str, Times)>,
    figures_at: Option<Instant>,
    last: Option<Last>,
    frames: u64,
}

/// What is on the screen.
struct Last {
    frame: Arc<Frame>,
    at: Instant,
    reading_seq: Option<u64>,
    message: Option<String>,
    /// Something about the view was changed since.
    stale: bool,
}

impl Viewer {
    /// A viewer that has not shown anything yet.
    ///
    /// # Errors
    /// When the overlay's fonts are damaged.
    pub fn new(view: View, stats: Stats) -> Result<Viewer> {
        Ok(Viewer {
            overlay: Overlay::new()?,
            open: view.screen,
            screen: None,
            start: view.record,
            recordings: Recordings::new(view.record_on_key, view.record_clean, stats.clone()),
            notice: None,
            canvas: Vec::new(),
            width: 0,
            height: 0,
            mirror: view.mirror,
            help: false,
            chart: false,
            joints: false,
            show_figures: true,
            show_stages: false,
            guide: None,
            readings: NewestReading::default(),
            words: view.words,
            copy: view.copy,
            practice: view.practice,
            writing: None,
            stats,
            figures: Figures::default(),
            stages: Vec::new(),
            figures_at: None,
            last: None,
            frames: 0,
        })
    }

    /// Whether a still picture is on a screen, for somebody to look at.
    pub fn shows_still(&self) -> bool {
        self.screen.is_some() && self.frames == 1
    }

    /// Shows a new frame and records it.
    ///
    /// # Errors
    /// When there is no screen to open or it is gone, or the recording cannot be started.
    pub fn show(&mut self, frame: Arc<Frame>) -> Result<()> {
        if self.canvas.is_empty() {
            self.open(&frame)?;
        }
        let notice = self.notice();
        self.draw(&frame, notice)?;
        let broken = self.recordings.push(&Shown {
            frame: &frame,
            pixels: &self.canvas,
            width: self.width,
            height: self.height,
        });
        self.notify(broken);
        if self.screen.is_some() {
            let now = Instant::now();
            self.stats.count(Rate::Display, now);
            let age = now.saturating_duration_since(frame.captured);
            self.stats.time(Stage::AgeAtPresent, age);
        }
        self.frames += 1;
        Ok(())
    }

    fn open(&mut self, frame: &Frame) -> Result<()> {
        (self.width, self.height) = canvas_size(frame.width, frame.height);
        self.canvas = vec![0; self.width * self.height];
        // Without the screen that is asked for there is nothing to record.
        if let Some(open) = self.open.take() {
            self.screen = Some(open(self.width, self.height)?);
        }
        if let Some(start) = self.start.take() {
            self.recordings
                .begin(start, (self.width, self.height), frame.time)?;
        }
        Ok(())
    }

    /// Puts a line on the screen for a while.
    fn notify(&mut self, line: Option<String>) {
        if let Some(line) = line {
            self.notice = Some((line, Instant::now()));
        }
    }

    /// What a key led to, as long as the screen shows it.
    fn notice(&mut self) -> Option<String> {
        self.notice
            .take_if(|(_, since)| since.elapsed() > NOTICE_FOR);
        self.notice.as_ref().map(|(line, _)| line.clone())
    }

    /// Completes the recordings, if there are any.
    ///
    /// # Errors
    /// When one has ended early, or its file cannot be completed.
    pub fn finish(self) -> Result<()> {
        self.recordings.finish()
    }

    /// Looks after the screen while there is no new frame: shows a message or a reading that came
    /// since on the last one.
    ///
    /// # Errors
    /// When the screen is gone.
    pub fn idle(&mut self, message: Option<String>) -> Result<()> {
        let completed = self.recordings.look_after();
        self.notify(completed);
        let trouble = message.is_some();
        let message = message.or_else(|| self.notice());
        let Some(last) = &self.last else {
            return Ok(());
        };
        let reading = self.readings.get().map(|reading| reading.seq);
        let changed = last.stale || last.message != message || last.reading_seq != reading;
        // While somebody waits for a camera, its figures go on.
        let waits = trouble && last.at.elapsed() >= FIGURES_EVERY;
        if waits || changed && last.at.elapsed() >= REDRAW_AFTER {
            let frame = Arc::clone(&last.frame);
            self.draw(&frame, message)?;
        }
        Ok(())
    }

    /// Does what the keys said; `false` when that was to quit.
    pub fn answer_keys(&mut self) -> bool {
        let Some(screen) = &mut self.screen else {
            return true;
        };
        for action in screen.actions() {
            match action {
                Action::Quit => return false,
                Action::ToggleHelp => self.help = !self.help,
                Action::ToggleMirror => self.mirror = !self.mirror,
                Action::ToggleChart => self.chart = !self.chart,
                Action::ToggleJoints => self.joints = !self.joints,
                Action::ToggleFigures => self.show_figures = !self.show_figures,
                Action::ToggleStages => {
                    self.show_stages = !self.show_stages;
                    self.refresh_stages();
                }
                Action::ToggleRecording => self.toggle_recording(),
                Action::MoveGuide(right, down) => {
                    if let (Some(guide), Some(last)) = (&self.guide, &self.last) {
                        guide.step(right, down, self.mirror, &last.frame);
                    }
                }
                Action::ResizeGuide(steps) => {
                    if let Some(guide) = &self.guide {
                        guide.grow(steps);
                    }
                }
                Action::Space
                | Action::Delete
                | Action::Clear
                | Action::Complete
                | Action::Copy => {
                    let writing = self.writing.as_mut();
                    let said = writing.and_then(|writing| writing.answer(action));
                    self.notify(said);
                }
            }
            if let Some(last) = &mut self.last {
                last.stale = true;
            }
        }
        true
    }

    fn toggle_recording(&mut self) {
        let since = self.last.as_ref().map(|last| last.frame.time);
        let size = (self.width, self.height);
        let said = self.recordings.toggle(size, since.unwrap_or_default());
        self.notify(said);
    }

    fn draw(&mut self, frame: &Arc<Frame>, message: Option<String>) -> Result<()> {
        let reading = self.readings.get();
        self.refresh_figures(frame, reading.as_deref());
        let began = Instant::now();
        let practice = self.practice.as_ref().map(SharedPractice::get);
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
            spelled: self.writing.as_mut().map(Writing::spelled),
            practice: practice.as_ref().map(|practice| Practised {
                letters: practice.letters(),
                signed: practice.signed(),
            }),
            figures: self.show_figures.then_some(self.figures),
            stages: &self.stages,
            keys: KEYS,
            help: self.help,
            joints: self.joints,
            chart: self.chart,
            hint: self.screen.is_some().then_some("h help · q quit"),
            message: message.as_deref(),
            recording: self.recordings.elapsed(frame.time),
            tally: None,
        };
        self.overlay.draw(&mut canvas, &scene);
        let drawn = Instant::now();
        self.stats.time(Stage::Overlay, drawn - began);
        if let Some(screen) = &mut self.screen {
            screen.show(&self.canvas, self.width, self.height)?;
            self.stats.time(Stage::Blit, drawn.elapsed());
        }
        self.last = Some(Last {
            frame: Arc::clone(frame),
            at: Instant::now(),
            reading_seq: reading.map(|reading| reading.seq),
            message,
            stale: false,
        });
        Ok(())
    }

    fn refresh_stages(&mut self) {
        self.stages = match self.show_stages {
            true => self.stats.stages(),
            false => Vec::new(),
        };
    }

    fn refresh_figures(&mut self, frame: &Frame, reading: Option<&Reading>) {
        let now = Instant::now();
        if self.figures_at.is_some_and(|at| now - at < FIGURES_EVERY) {
            return;
        }
        self.figures_at = Some(now);
        self.refresh_stages();
        self.figures = Figures {
            camera_fps: self.stats.current(Rate::Source),
            inference_fps: self.stats.current(Rate::Inference),
            display_fps: self.stats.current(Rate::Display),
            infer: reading
                .map(|reading| reading.times.infer)
                .unwrap_or_default(),
            frame_age: now.saturating_duration_since(frame.captured),
            dropped: self.stats.dropped(),
        };
    }
}

impl Front for Viewer {
    fn begin(
        &mut self,
        guide: Option<SharedGuide>,
        speller: Option<SharedSpeller>,
        readings: NewestReading,
    ) {
        self.guide = guide;
        self.readings = readings;
        self.writing = speller.map(|speller| {
            let words = std::mem::take(&mut self.words);
            Writing::new(speller, words, self.copy.take())
        });
    }

    fn show(&mut self, frame: Arc<Frame>) -> Result<()> {
        Viewer::show(self, frame)
    }

    fn idle(&mut self, trouble: Option<String>) -> Result<()> {
        Viewer::idle(self, trouble)
    }

    fn answer_keys(&mut self) -> Result<bool> {
        Ok(Viewer::answer_keys(self))
    }

    fn shows_still(&self) -> bool {
        Viewer::shows_still(self)
    }
}

/// The size at which frames of `width` x `height` pixels are drawn.
pub fn canvas_size(width: usize, height: usize) -> (usize, usize) {
    let (w, h) = (width.max(1) as f64, height.max(1) as f64);
    let scale = (LEAST_HEIGHT / h).max(1.0);
    let scale = scale.min(LARGEST.0 / w).min(LARGEST.1 / h);
    let side = |pixels: f64| ((pixels * scale).round() as usize).max(1);
    (side(w), side(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camera_frames_are_drawn_pixel_by_pixel() {
        assert_eq!(canvas_size(640, 480), (640, 480));
        assert_eq!(canvas_size(1280, 720), (1280, 720));
        assert_eq!(canvas_size(1920, 1080), (1920, 1080));
    }

    #[test]
    fn small_pictures_are_enlarged_and_huge_ones_fitted() {
        assert_eq!(canvas_size(200, 200), (480, 480));
        assert_eq!(canvas_size(3840, 2160), (1920, 1080));
        assert_eq!(canvas_size(16_000, 10), (1920, 1));
    }
}

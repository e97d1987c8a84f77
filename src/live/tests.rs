//! The threads and the screen, with a source, a reader and a screen that behave as each test says.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use anyhow::{anyhow, bail};

use super::*;
use crate::base::frame::{Frame, FramePool, Rect};
use crate::recognize::motion::Movement;
use crate::recognize::speller::{Speller, Spelling};
use crate::recognize::{Reading, ReadingTimes};
use crate::sink::screen::{Action, Recording, Screen};
use crate::source::Event;

/// No test runs so long, unless what it tests is broken.
const FOR_EVER: Duration = Duration::from_secs(30);

/// Media time from frame to frame.
const FRAME_TIME: Duration = Duration::from_millis(40);

/// Every pixel of every frame.
const GROUND: u32 = 0x50_5050;

enum Step {
    Frame,
    /// A frame of another width and height than the others.
    Sized(usize, usize),
    Waiting(&'static str),
    Fail(&'static str),
    Crash,
}

/// Does the steps, one after `every`, then ends or waits for ever.
struct FakeSource {
    steps: VecDeque<Step>,
    every: Duration,
    then_waits: bool,
    seq: u64,
}

impl FakeSource {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        FakeSource {
            steps: steps.into_iter().collect(),
            every: Duration::from_millis(3),
            then_waits: false,
            seq: 0,
        }
    }

    fn frames(count: usize) -> Self {
        Self::new((0..count).map(|_| Step::Frame))
    }

    fn then_waits(self) -> Self {
        FakeSource {
            then_waits: true,
            ..self
        }
    }
}

impl Source for FakeSource {
    fn name(&self) -> &str {
        "fake"
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        std::thread::sleep(self.every);
        let step = self.steps.pop_front();
        match step {
            Some(Step::Frame | Step::Sized(..)) => {
                let frame = pool.fill(|frame| {
                    match step {
                        Some(Step::Sized(width, height)) => frame.resize(width, height),
                        _ => frame.resize(64, 48),
                    }
                    frame.pixels.fill(GROUND as u8);
                    frame.seq = self.seq;
                    frame.captured = Instant::now();
                    frame.time = FRAME_TIME * self.seq as u32;
                    anyhow::Ok(())
                })?;
                self.seq += 1;
                Ok(Event::Frame {
                    frame,
                    decode: Duration::ZERO,
                })
            }
            Some(Step::Waiting(why)) => Ok(Event::Waiting(Some(why.into()))),
            Some(Step::Fail(why)) => Err(anyhow!(why)),
            Some(Step::Crash) => panic!("the driver fell over"),
            None if self.then_waits => Ok(Event::Waiting(None)),
            None => Ok(Event::End),
        }
    }
}

fn reading_of(frame: &Frame) -> Reading {
    Reading {
        seq: frame.seq,
        captured: frame.captured,
        time: frame.time,
        letter: Some("A".into()),
        confidence: 0.9,
        top: vec![("A".into(), 0.9)],
        hand: None,
        joints: None,
        movement: Movement::None,
        steps: None,
        times: ReadingTimes::default(),
    }
}

fn quick_reader(frame: &Frame, _: Rect) -> Result<Reading> {
    Ok(reading_of(frame))
}

/// Counts what it is shown and asks its script what to do.
struct FakeScreen<F> {
    shown: Arc<AtomicUsize>,
    script: F,
}

impl<F: FnMut(usize) -> Vec<Action>> Screen for FakeScreen<F> {
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()> {
        assert_eq!(pixels.len(), width * height);
        self.shown.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn actions(&mut self) -> Vec<Action> {
        (self.script)(self.shown.load(Ordering::SeqCst))
    }
}

/// A screen whose keys depend on how many pictures were shown, and the count of those.
fn screen<F>(script: F) -> (OpenScreen, Arc<AtomicUsize>)
where
    F: FnMut(usize) -> Vec<Action> + 'static,
{
    let shown = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&shown);
    let open = move |_, _| {
        let shown = counted;
        Ok(Box::new(FakeScreen { shown, script }) as Box<dyn Screen>)
    };
    (Box::new(open), shown)
}

fn on(screen: OpenScreen, mirror: bool) -> View {
    View {
        screen: Some(screen),
        mirror,
        ..View::default()
    }
}

fn no_keys(_: usize) -> Vec<Action> {
    Vec::new()
}

fn live(source: FakeSource, reader: impl Reader + 'static) -> Live {
    Live {
        source: Box::new(source),
        reader: Box::new(reader),
        guide: Some(Guide::default()),
        speller: None,
        practice: None,
        keep_all: false,
        interrupted: Arc::default(),
        stats: Stats::new(),
    }
}

#[test]
fn the_screen_does_not_wait_for_the_reader() {
    let (open, shown) = screen(|shown| match shown {
        0..20 => Vec::new(),
        _ => vec![Action::Quit],
    });
    // Reads its first frame for as long as the screen needs for all of them.
    let reader = move |frame: &Frame, _: Rect| {
        let began = Instant::now();
        while shown.load(Ordering::SeqCst) < 20 {
            if began.elapsed() > FOR_EVER {
                bail!("the screen waits for the reader");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(reading_of(frame))
    };
    let live = live(FakeSource::frames(10_000), reader);
    live.run(on(open, true), None).unwrap();
}

#[test]
fn a_slow_reader_leaves_rate_and_age_of_the_shown_frames_as_they_are() {
    const SLOW: Duration = Duration::from_millis(120);
    let watch = |pause: Duration| {
        let (open, _) = screen(no_keys);
        let reader = move |frame: &Frame, _: Rect| {
            std::thread::sleep(pause);
            Ok(reading_of(frame))
        };
        let source = FakeSource {
            every: Duration::from_millis(30),
            ..FakeSource::frames(50)
        };
        let live = live(source, reader);
        let stats = live.stats.clone();
        live.run(on(open, true), None).unwrap();
        let times = stats.stages();
        let shown = times.iter().find(|(name, _)| *name == "age_at_present");
        let read = times.iter().find(|(name, _)| *name == "find");
        (shown.unwrap().1, read.unwrap().1.count)
    };
    let (quick, _) = watch(Duration::ZERO);
    let (slow, read) = watch(SLOW);
    assert!(slow.count >= 45, "{} of 50 frames were shown", slow.count);
    assert!(read <= 25, "{read} frames were read");
    // Were they held up by the reader, half of them would be half of its time older.
    let older = slow.p50_ms - quick.p50_ms;
    assert!(older < SLOW.as_secs_f64() * 1e3 / 4.0, "{older} ms older");
}

#[test]
fn where_every_frame_counts_each_is_shown_and_read_once_and_in_order() {
    let (open, shown) = screen(no_keys);
    let read = Arc::new(Mutex::new(Vec::new()));
    let reader = {
        let read = Arc::clone(&read);
        move |frame: &Frame, _: Rect| {
            std::thread::sleep(Duration::from_millis(5));
            read.lock().unwrap().push(frame.seq);
            Ok(reading_of(frame))
        }
    };
    let live = Live {
        keep_all: true,
        ..live(FakeSource::frames(40), reader)
    };
    let stats = live.stats.clone();
    live.run(on(open, true), None).unwrap();
    assert_eq!(*read.lock().unwrap(), (0..40).collect::<Vec<_>>());
    assert!(shown.load(Ordering::SeqCst) >= 40);
    assert_eq!(stats.dropped(), 0);
}

#[test]
fn a_reader_that_is_too_slow_skips_to_the_newest_frame_and_counts_the_skipped() {
    let (open, _) = screen(no_keys);
    let reader = |frame: &Frame, _: Rect| {
        std::thread::sleep(Duration::from_millis(30));
        Ok(reading_of(frame))
    };
    let live = live(FakeSource::frames(60), reader);
    let stats = live.stats.clone();
    live.run(on(open, true), None).unwrap();
    assert!(stats.dropped() > 0);
}

#[test]
fn a_source_that_fails_ends_the_program_with_its_reason() {
    let (open, _) = screen(no_keys);
    let source = FakeSource::new([Step::Frame, Step::Fail("the cable broke")]);
    let error = live(source, quick_reader)
        .run(on(open, true), None)
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("the cable broke"),
        "{error:#}"
    );

    let source = FakeSource::new([Step::Frame, Step::Fail("the cable broke")]);
    let error = live(source, quick_reader)
        .run(View::default(), Some(Box::new(io::sink())))
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("the cable broke"),
        "{error:#}"
    );
}

#[test]
fn a_reader_that_crashes_ends_the_program_with_an_error() {
    let reader = |_: &Frame, _: Rect| -> Result<Reading> { panic!("on purpose") };
    let error = live(FakeSource::frames(3).then_waits(), reader)
        .run(View::default(), Some(Box::new(io::sink())))
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("inference") && error.contains("on purpose"),
        "{error}"
    );
}

#[test]
fn a_source_that_crashes_ends_the_program_with_an_error() {
    let source = FakeSource::new([Step::Frame, Step::Crash]);
    let error = live(source, quick_reader)
        .run(View::default(), Some(Box::new(io::sink())))
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("source") && error.contains("fell over"),
        "{error}"
    );
}

#[test]
fn pictures_that_change_their_size_are_shown_on_and_recorded_at_the_first_ones() {
    let (open, shown) = screen(no_keys);
    let file = FakeRecording::default();
    let sizes = [(64, 48), (48, 64), (1, 1), (2000, 30), (64, 48)];
    let source = FakeSource::new(sizes.map(|(width, height)| Step::Sized(width, height)));
    let live = Live {
        keep_all: true,
        ..live(source, quick_reader)
    };
    let view = View {
        record: recording(&file).record,
        ..on(open, true)
    };
    live.run(view, None).unwrap();
    assert!(shown.load(Ordering::SeqCst) >= sizes.len());
    assert_eq!(file.times.lock().unwrap().len(), sizes.len());
    let counts = file.sizes.lock().unwrap();
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[test]
fn an_interruption_ends_the_program_in_good_order() {
    let live = live(FakeSource::frames(3).then_waits(), quick_reader);
    let interrupted = Arc::clone(&live.interrupted);
    let (open, _) = screen(move |shown| {
        if shown > 0 {
            interrupted.store(true, Ordering::Release);
        }
        Vec::new()
    });
    live.run(on(open, true), None).unwrap();
}

#[test]
fn without_a_screen_the_error_says_so_and_nothing_is_left_running() {
    let open: OpenScreen = Box::new(|_, _| Err(anyhow!("no display")));
    let live = live(FakeSource::frames(10_000), quick_reader);
    let error = live.run(on(open, true), None).unwrap_err();
    assert_eq!(error.to_string(), "no display");
}

#[test]
fn a_single_picture_stays_on_the_screen_until_the_person_quits() {
    let mut asked = 0;
    let (open, _) = screen(move |_| {
        asked += 1;
        if asked < 20 {
            Vec::new()
        } else {
            vec![Action::Quit]
        }
    });
    let live = live(FakeSource::frames(1), quick_reader);
    let began = Instant::now();
    live.run(on(open, true), None).unwrap();
    assert!(began.elapsed() > FRAME_WAIT * 10, "it went at once");
}

#[test]
fn the_sources_trouble_is_drawn_while_no_frame_comes() {
    let (open, shown) = screen(|shown| match shown {
        0..2 => Vec::new(),
        _ => vec![Action::Quit],
    });
    let mut steps = vec![Step::Frame];
    steps.extend((0..10_000).map(|_| Step::Waiting("unplugged")));
    live(FakeSource::new(steps), quick_reader)
        .run(on(open, true), None)
        .unwrap();
    assert_eq!(
        shown.load(Ordering::SeqCst),
        2,
        "one frame, shown again with the message"
    );
}

#[test]
fn keys_move_the_box_as_the_person_sees_it_and_the_reader_follows() {
    for (mirror, to_the_right) in [(false, true), (true, false)] {
        let guides = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&guides);
        let reader = move |frame: &Frame, guide: Rect| {
            seen.lock().unwrap().push(guide);
            Ok(reading_of(frame))
        };
        let watched = Arc::clone(&guides);
        let mut moved = false;
        let (open, _) = screen(move |shown| {
            let guides = watched.lock().unwrap();
            if shown > 0 && !guides.is_empty() && !moved {
                moved = true;
                return vec![Action::MoveGuide(1.0, 0.0)];
            }
            let has_moved = guides
                .first()
                .zip(guides.last())
                .is_some_and(|(a, b)| a != b);
            if has_moved {
                vec![Action::Quit]
            } else {
                Vec::new()
            }
        });
        live(FakeSource::frames(10_000), reader)
            .run(on(open, mirror), None)
            .unwrap();
        let guides = guides.lock().unwrap();
        let (first, last) = (guides[0], guides[guides.len() - 1]);
        assert_eq!(last.x0 > first.x0, to_the_right, "mirror: {mirror}");
    }
}

#[test]
fn headless_writes_a_line_for_each_frame() {
    let lines = SharedBuffer::default();
    let live = Live {
        keep_all: true,
        ..live(FakeSource::frames(5), quick_reader)
    };
    live.run(View::default(), Some(Box::new(lines.clone())))
        .unwrap();
    let bytes = lines.0.lock().unwrap();
    let seqs: Vec<_> = std::str::from_utf8(&bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].clone())
        .collect();
    assert_eq!(seqs, [0, 1, 2, 3, 4]);
}

#[test]
fn headless_spells_in_lines_that_follow_their_readings() {
    let lines = SharedBuffer::default();
    let live = Live {
        keep_all: true,
        speller: Some(Speller::new(Spelling::DEFAULT)),
        ..live(FakeSource::frames(30), quick_reader)
    };
    live.run(View::default(), Some(Box::new(lines.clone())))
        .unwrap();
    let bytes = lines.0.lock().unwrap();
    let lines: Vec<serde_json::Value> = std::str::from_utf8(&bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let typed = lines.iter().position(|line| line["event"] == "letter");
    let typed = typed.unwrap();
    assert_eq!(lines[typed]["letter"], "A");
    assert_eq!(lines[typed]["t_ms"], lines[typed - 1]["t_ms"]);
    assert_eq!(lines[typed - 1]["text"], "A");
    assert_eq!(lines[typed - 2]["text"], "");
    assert_eq!(lines[lines.len() - 1]["event"], "text");
    assert_eq!(lines[lines.len() - 1]["text"], "A");
    assert_eq!(lines.len(), 32, "30 readings, a letter and the text");
}

#[test]
fn keys_change_what_was_spelled_and_copy_it() {
    let copied = Arc::new(Mutex::new(Vec::new()));
    let clipboard = Arc::clone(&copied);
    let seen = Arc::clone(&copied);
    let (open, _) = screen(move |_| match seen.lock().unwrap().len() {
        // Until the letter is typed there is nothing to copy.
        0 => vec![Action::Copy],
        _ => vec![
            Action::Space,
            Action::Delete,
            Action::Delete,
            Action::Copy,
            Action::Quit,
        ],
    });
    let view = View {
        copy: Some(Box::new(move |text| {
            clipboard.lock().unwrap().push(text.to_owned());
            Ok(())
        })),
        ..on(open, true)
    };
    let live = Live {
        speller: Some(Speller::new(Spelling::DEFAULT)),
        ..live(FakeSource::frames(10_000), quick_reader)
    };
    live.run(view, None).unwrap();
    assert_eq!(
        *copied.lock().unwrap(),
        ["A"],
        "and then there was nothing left"
    );
}

#[test]
fn headless_ends_when_nobody_reads_any_more() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let live = live(FakeSource::frames(3).then_waits(), quick_reader);
    live.run(View::default(), Some(Box::new(Closed))).unwrap();
}

/// What a recording was given, and what it does when it is given more.
#[derive(Clone, Default)]
struct FakeRecording {
    times: Arc<Mutex<Vec<Duration>>>,
    /// The newest picture.
    pixels: Arc<Mutex<Vec<u32>>>,
    /// How many pixels each picture had.
    sizes: Arc<Mutex<Vec<usize>>>,
    finished: Arc<AtomicUsize>,
    breaks_after: Option<usize>,
}

impl Recording for FakeRecording {
    fn path(&self) -> &Path {
        Path::new("fake.mp4")
    }

    fn push(&mut self, pixels: &[u32], time: Duration) -> Result<()> {
        *self.pixels.lock().unwrap() = pixels.to_vec();
        self.sizes.lock().unwrap().push(pixels.len());
        let mut times = self.times.lock().unwrap();
        if self.breaks_after == Some(times.len()) {
            bail!("the disk is full");
        }
        times.push(time);
        Ok(())
    }

    fn dropped(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>) -> Result<String> {
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok("recorded".into())
    }
}

fn recording(file: &FakeRecording) -> View {
    let file = file.clone();
    View {
        record: Some(Box::new(move |_, _| Ok(Box::new(file.clone())))),
        ..View::default()
    }
}

#[test]
fn without_a_screen_each_frame_can_be_recorded_with_its_media_time() {
    let file = FakeRecording::default();
    let live = Live {
        keep_all: true,
        ..live(FakeSource::frames(10), quick_reader)
    };
    live.run(recording(&file), None).unwrap();
    let times = file.times.lock().unwrap();
    let expected: Vec<_> = (0..10).map(|seq| FRAME_TIME * seq).collect();
    assert_eq!(*times, expected);
}

#[test]
fn nothing_is_recorded_where_the_window_cannot_be_opened() {
    let file = FakeRecording::default();
    let view = View {
        screen: Some(Box::new(|_, _| bail!("no display"))),
        ..recording(&file)
    };
    live(FakeSource::frames(3), quick_reader)
        .run(view, None)
        .unwrap_err();
    assert_eq!(file.finished.load(Ordering::SeqCst), 0);
}

#[test]
fn a_recording_is_completed_when_the_window_is_closed() {
    let file = FakeRecording::default();
    let (open, _) = screen(|shown| match shown {
        0..5 => Vec::new(),
        _ => vec![Action::Quit],
    });
    let view = View {
        record: recording(&file).record,
        ..on(open, true)
    };
    let live = live(FakeSource::frames(10_000), quick_reader);
    live.run(view, None).unwrap();
    assert_eq!(file.finished.load(Ordering::SeqCst), 1);
    assert!(!file.times.lock().unwrap().is_empty());
}

#[test]
fn a_recording_is_completed_when_the_source_or_the_reader_fails() {
    let crashes = |frame: &Frame, _: Rect| -> Result<Reading> {
        assert!(frame.seq < 5, "on purpose");
        Ok(reading_of(frame))
    };
    let readers: [Box<dyn Reader>; 2] = [Box::new(quick_reader), Box::new(crashes)];
    for reader in readers {
        let file = FakeRecording::default();
        let steps = (0..20)
            .map(|_| Step::Frame)
            .chain([Step::Fail("unplugged")]);
        let live = Live {
            reader,
            keep_all: true,
            ..live(FakeSource::new(steps), quick_reader)
        };
        live.run(recording(&file), None).unwrap_err();
        assert_eq!(file.finished.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_recording_that_breaks_off_ends_nothing_else_and_is_an_error_at_the_end() {
    let file = FakeRecording {
        breaks_after: Some(3),
        ..FakeRecording::default()
    };
    let live = Live {
        keep_all: true,
        ..live(FakeSource::frames(10), quick_reader)
    };
    let stats = live.stats.clone();
    let error = live.run(recording(&file), None).unwrap_err();
    assert!(
        format!("{error:#}").contains("the disk is full"),
        "{error:#}"
    );
    assert_eq!(file.times.lock().unwrap().len(), 3);
    assert_eq!(stats.frames(), 10, "the rest was read");
}

#[test]
fn a_key_starts_and_stops_recordings_at_any_time() {
    let file = FakeRecording::default();
    let seen = file.times.clone();
    let mut presses = 0;
    let (open, _) = screen(move |_| {
        // Off once ten frames are in, and on again.
        let recorded = seen.lock().unwrap().len();
        if presses < 1 || presses == 1 && recorded >= 10 || presses == 2 {
            presses += 1;
            return vec![Action::ToggleRecording];
        }
        match recorded {
            0..15 => Vec::new(),
            _ => vec![Action::Quit],
        }
    });
    let on_key = file.clone();
    let view = View {
        record_on_key: Some(Box::new(move |_, _| Ok(Box::new(on_key.clone())))),
        ..on(open, true)
    };
    let live = live(FakeSource::frames(10_000), quick_reader);
    live.run(view, None).unwrap();
    let finished = file.finished.load(Ordering::SeqCst);
    assert_eq!(
        finished, 2,
        "the one stopped, and the one that ran when the window closed"
    );
}

#[test]
fn what_cannot_be_recorded_on_a_key_press_ends_nothing() {
    let (open, shown) = screen(|shown| match shown {
        1 => vec![Action::ToggleRecording],
        0..20 => Vec::new(),
        _ => vec![Action::Quit],
    });
    let view = View {
        record_on_key: Some(Box::new(|_, _| bail!("the disk is read-only"))),
        ..on(open, true)
    };
    let live = live(FakeSource::frames(10_000), quick_reader);
    live.run(view, None).unwrap();
    assert!(shown.load(Ordering::SeqCst) >= 20);
}

#[test]
fn a_clean_recording_shows_the_frame_alone_as_the_camera_sees_it() {
    for clean in [true, false] {
        let file = FakeRecording::default();
        let live = Live {
            keep_all: true,
            ..live(FakeSource::frames(1), quick_reader)
        };
        let view = View {
            record_clean: clean,
            mirror: true,
            ..recording(&file)
        };
        live.run(view, None).unwrap();
        let pixels = file.pixels.lock().unwrap();
        let of_the_frame = pixels.iter().filter(|pixel| **pixel == GROUND).count();
        assert_eq!(of_the_frame == pixels.len(), clean);
    }
}

#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! The camera source before cameras that behave as each test says.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;

use super::driver::CameraError;
use super::*;

/// What a fake camera does when it is asked for its next picture.
#[derive(Debug, Clone)]
enum Step {
    Picture,
    Damaged,
    Fail(CameraError),
    /// Blocks for as long as the test runs.
    Stall,
}

/// What a fake camera does when it is opened.
#[derive(Debug, Clone)]
enum Opening {
    Refuse(CameraError),
    Deliver(Vec<Step>),
}

/// Cameras by index, each with what it does the first time it is opened, the second time ...
/// After the last time it is not listed any more.
struct Fake {
    cameras: Mutex<HashMap<u32, VecDeque<Opening>>>,
    /// An encoding that every camera refuses.
    refused: Option<Encoding>,
    /// What the camera with an index is called.
    name: fn(u32) -> String,
}

impl Fake {
    fn with(cameras: &[(u32, &[Opening])]) -> Self {
        let cameras = cameras
            .iter()
            .map(|(index, openings)| (*index, openings.iter().cloned().collect()));
        Fake {
            cameras: Mutex::new(cameras.collect()),
            refused: None,
            name: |index| format!("Camera {index}"),
        }
    }
}

fn format(encoding: Encoding) -> Format {
    Format {
        encoding,
        width: 2,
        height: 2,
        fps: 30.0,
    }
}

impl Driver for Fake {
    type Stream = FakeStream;

    fn devices(&self) -> Result<Vec<Device>, CameraError> {
        let cameras = self.cameras.lock().unwrap();
        let mut indices: Vec<_> = cameras
            .iter()
            .filter(|(_, openings)| !openings.is_empty())
            .map(|(index, _)| *index)
            .collect();
        indices.sort_unstable();
        let device = |index| Device {
            index,
            name: (self.name)(index),
        };
        Ok(indices.into_iter().map(device).collect())
    }

    fn formats(&self, _: &Device) -> Result<Vec<Format>, CameraError> {
        Ok(vec![format(Encoding::Grey), format(Encoding::Rgb)])
    }

    fn open(&self, device: &Device, format: &Format) -> Result<FakeStream, CameraError> {
        if self.refused == Some(format.encoding) {
            return Err(CameraError::Refused("not that one".into()));
        }
        let mut cameras = self.cameras.lock().unwrap();
        let openings = cameras.get_mut(&device.index).ok_or(CameraError::Gone)?;
        match openings.pop_front().ok_or(CameraError::Gone)? {
            Opening::Refuse(error) => Err(error),
            Opening::Deliver(steps) => Ok(FakeStream {
                steps: steps.into(),
                bytes: if format.encoding == Encoding::Rgb {
                    12
                } else {
                    4
                },
            }),
        }
    }
}

struct FakeStream {
    steps: VecDeque<Step>,
    bytes: usize,
}

impl Stream for FakeStream {
    type Buffer = Vec<u8>;

    fn next(&mut self) -> Result<(Vec<u8>, Instant), CameraError> {
        // Slow enough that each picture is taken before the next one comes.
        thread::sleep(Duration::from_millis(10));
        match self.steps.pop_front().unwrap_or(Step::Stall) {
            Step::Picture => Ok((vec![7; self.bytes], Instant::now())),
            Step::Damaged => Ok((vec![7; 1], Instant::now())),
            Step::Fail(error) => Err(error),
            Step::Stall => {
                thread::sleep(Duration::from_secs(3600));
                Err(CameraError::Gone)
            }
        }
    }
}

fn pictures(count: usize) -> Opening {
    Opening::Deliver(vec![Step::Picture; count])
}

fn source(fake: Fake, choice: Choice) -> CameraSource<Fake> {
    CameraSource::new(fake, choice, Wish::default())
}

/// The next frame's sequence number, and what was said while waiting for it.
fn next_frame(source: &mut CameraSource<Fake>, pool: &FramePool) -> (u64, Vec<String>) {
    let mut said = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        match source.next(pool).unwrap() {
            Event::Frame { frame, .. } => return (frame.seq, said),
            Event::Waiting(reason) => said.extend(reason),
            Event::End => panic!("a camera does not end"),
        }
    }
    panic!("no frame came, but: {said:?}");
}

fn first_error(mut source: CameraSource<Fake>) -> String {
    let pool = FramePool::new();
    loop {
        match source.next(&pool) {
            Err(error) => return format!("{error:#}"),
            Ok(Event::Waiting(_)) => {}
            Ok(event) => panic!("{event:?}"),
        }
    }
}

#[test]
fn the_first_camera_that_opens_and_gives_a_picture_is_used() {
    let fake = Fake::with(&[
        (0, &[Opening::Refuse(CameraError::Busy)]),
        (1, &[Opening::Deliver(vec![Step::Fail(CameraError::Gone)])]),
        (3, &[pictures(5)]),
        (4, &[pictures(5)]),
    ]);
    let mut source = source(fake, Choice::First);
    next_frame(&mut source, &FramePool::new());
    assert_eq!(source.name(), "Camera 3");
}

#[test]
fn a_format_that_is_refused_makes_room_for_the_next_one() {
    let fake = Fake {
        refused: Some(Encoding::Rgb),
        ..Fake::with(&[(0, &[pictures(5)])])
    };
    let mut source = source(fake, Choice::First);
    next_frame(&mut source, &FramePool::new());
}

#[test]
fn without_a_camera_the_error_says_what_to_do_instead() {
    let error = first_error(source(Fake::with(&[]), Choice::First));
    assert!(
        error.contains("no camera") && error.contains("--source"),
        "{error}"
    );
}

#[test]
fn when_no_camera_works_each_is_named_with_its_reason() {
    let fake = Fake::with(&[
        (0, &[Opening::Refuse(CameraError::Busy)]),
        (2, &[Opening::Refuse(CameraError::Denied)]),
    ]);
    let error = first_error(source(fake, Choice::First));
    for part in [
        "Camera 0 (cam:0)",
        "another program",
        "Camera 2",
        "permission",
    ] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[test]
fn when_all_formats_are_refused_they_are_listed() {
    let refused = || Opening::Refuse(CameraError::Refused("no bandwidth".into()));
    let fake = Fake::with(&[(0, &[refused(), refused()])]);
    let error = first_error(source(fake, Choice::First));
    for part in ["RGB 2x2 at 30 fps", "grey 2x2 at 30 fps", "no bandwidth"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[test]
fn asking_for_a_camera_that_is_not_there_lists_those_that_are() {
    let fake = Fake::with(&[(1, &[pictures(5)])]);
    let error = first_error(source(fake, Choice::Index(7)));
    assert!(
        error.contains("cam:7") && error.contains("cam:1"),
        "{error}"
    );
}

#[test]
fn damaged_pictures_are_counted_and_skipped() {
    let steps = vec![Step::Picture, Step::Damaged, Step::Damaged, Step::Picture];
    let fake = Fake::with(&[(0, &[Opening::Deliver(steps)])]);
    let mut source = source(fake, Choice::First);
    let pool = FramePool::new();
    let (first, _) = next_frame(&mut source, &pool);
    let (second, _) = next_frame(&mut source, &pool);
    assert_eq!(second - first, 3, "the gap shows what was lost");
    assert_eq!(source.losses().damaged, 2);
}

#[test]
fn an_unplugged_camera_is_waited_for_and_read_again_when_it_is_back() {
    let unplugged = Opening::Deliver(vec![Step::Picture, Step::Fail(CameraError::Gone)]);
    let fake = Fake::with(&[(0, &[unplugged])]);
    let mut source = source(fake, Choice::First);
    let pool = FramePool::new();
    let (first, _) = next_frame(&mut source, &pool);

    let gone = loop {
        if let Event::Waiting(Some(reason)) = source.next(&pool).unwrap() {
            break reason;
        }
    };
    assert!(
        gone.contains("Camera 0") && gone.contains("unplugged"),
        "{gone}"
    );

    let mut cameras = source.driver.cameras.lock().unwrap();
    cameras.insert(0, [pictures(3)].into());
    drop(cameras);
    let (next, said) = next_frame(&mut source, &pool);
    assert!(next > first, "sequence numbers go on");
    assert!(
        said.iter().all(|reason| reason.contains("waiting for")),
        "{said:?}"
    );
}

#[test]
fn a_camera_that_comes_back_in_another_socket_is_known_by_its_name() {
    let unplugged = Opening::Deliver(vec![Step::Picture, Step::Fail(CameraError::Gone)]);
    let mut fake = Fake::with(&[(2, &[unplugged]), (0, &[pictures(5)])]);
    fake.name = |index| match index {
        0 => "Another camera".into(),
        _ => "Camera".into(),
    };
    let mut source = source(fake, Choice::Index(2));
    let pool = FramePool::new();
    next_frame(&mut source, &pool);
    while !matches!(source.next(&pool).unwrap(), Event::Waiting(Some(_))) {}

    let mut cameras = source.driver.cameras.lock().unwrap();
    cameras.insert(7, [pictures(3)].into());
    drop(cameras);
    next_frame(&mut source, &pool);
    let State::Running(running) = &source.state else {
        panic!("it gave a frame, but does not run");
    };
    assert_eq!(running.capture.device.index, 7);
}

#[test]
fn a_camera_that_fails_is_opened_anew() {
    let failing = Opening::Deliver(vec![
        Step::Picture,
        Step::Fail(CameraError::Failed("input/output error".into())),
    ]);
    let fake = Fake::with(&[(0, &[failing, pictures(3)])]);
    let mut source = source(fake, Choice::First);
    let pool = FramePool::new();
    let (first, _) = next_frame(&mut source, &pool);
    let (second, _) = next_frame(&mut source, &pool);
    assert!(second > first);
}

#[test]
fn a_stalled_camera_is_noticed_and_does_not_hold_up_the_end() {
    let fake = Fake::with(&[(0, &[pictures(1)])]);
    let mut source = source(fake, Choice::First);
    let pool = FramePool::new();
    next_frame(&mut source, &pool);
    let stalled = loop {
        if let Event::Waiting(Some(reason)) = source.next(&pool).unwrap() {
            break reason;
        }
    };
    assert!(stalled.contains("gives no picture"), "{stalled}");
    let began = Instant::now();
    drop(source);
    assert!(began.elapsed() < Duration::from_secs(1));
}

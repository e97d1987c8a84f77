//! What drawing the whole screen takes: `cargo bench --bench overlay`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use signcam::base::frame::{Frame, Rect};
use signcam::overlay::{Canvas, Figures, Overlay, Scene, Spelled};
use signcam::recognize::motion::Movement;
use signcam::recognize::{Reading, ReadingTimes};

fn screen(c: &mut Criterion) {
    for (width, height) in [(640, 480), (1280, 720)] {
        let mut frame = Frame::empty();
        frame.resize(width, height);
        let reading = Reading {
            seq: 0,
            captured: Instant::now(),
            time: Duration::ZERO,
            letter: Some("V".into()),
            confidence: 0.94,
            top: vec![("V".into(), 0.94), ("U".into(), 0.03), ("K".into(), 0.02)],
            hand: Some(Rect {
                x0: 0.2,
                y0: 0.2,
                x1: 0.5,
                y1: 0.6,
            }),
            joints: None,
            movement: Movement::None,
            steps: None,
            times: ReadingTimes::default(),
        };
        let mut overlay = Overlay::new().expect("the embedded fonts are sound");
        let mut pixels = vec![0; width * height];
        let mut shown = 0_u32;
        c.bench_function(&format!("screen {width}x{height}"), |b| {
            b.iter(|| {
                shown += 1;
                let mut canvas = Canvas {
                    width,
                    height,
                    pixels: &mut pixels,
                };
                let scene = Scene {
                    frame: black_box(&frame),
                    reading: Some(&reading),
                    guide: None,
                    mirror: true,
                    stages: &[],
                    spelled: Some(Spelled {
                        text: "SIGNED LETTERS BECOME TEXT THAT SCROLLS",
                        open: 0,
                        pending: Some(("V", 0.4)),
                        words: &[],
                    }),
                    figures: Some(Figures {
                        camera_fps: 30.0 + f64::from(shown % 10) / 10.0,
                        infer: Duration::from_micros(6000 + u64::from(shown % 1000)),
                        ..Figures::default()
                    }),
                    keys: &[],
                    help: false,
                    joints: false,
                    chart: false,
                    practice: None,
                    hint: Some("h  keys    q  quit"),
                    message: None,
                    recording: Some(Duration::from_secs(12)),
                    tally: None,
                };
                overlay.draw(&mut canvas, &scene);
            });
        });
    }
}

criterion_group!(benches, screen);
criterion_main!(benches);

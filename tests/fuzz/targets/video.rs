//! A recording of any bytes: its index, then its pictures.
#![no_main]

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use signcam::base::frame::FramePool;
use signcam::base::mp4::read_index;
use signcam::source::{Event, Pace, video};

/// Pictures to play at most.
const PICTURES: usize = 16;

static FILE: OnceLock<PathBuf> = OnceLock::new();

fuzz_target!(
    init: {
        let folder = tempfile::tempdir().unwrap().keep();
        FILE.set(folder.join("fuzzed.mp4")).unwrap();
    },
    |bytes: &[u8]| {
        let Some(index) = read_index(&mut Cursor::new(bytes)).unwrap() else {
            return;
        };
        for sample in &index.samples {
            assert!(sample.offset + u64::from(sample.size) <= bytes.len() as u64);
        }
        // Files of another make would start ffmpeg.
        let path = FILE.get().unwrap();
        fs::write(path, bytes).unwrap();
        let Ok(mut source) = video::open(path, Pace::Max) else {
            return;
        };
        let pool = FramePool::new();
        for _ in 0..PICTURES {
            match source.next(&pool) {
                Ok(Event::Frame { frame, .. }) => {
                    assert_eq!(frame.pixels.len(), frame.width * frame.height * 3);
                }
                Ok(Event::Waiting(_)) => {}
                Ok(Event::End) | Err(_) => break,
            }
        }
    }
);

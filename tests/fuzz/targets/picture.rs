//! A picture file of any bytes.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use signcam::base::picture::{Picture, check_head};

static FILE: OnceLock<PathBuf> = OnceLock::new();

fuzz_target!(
    init: {
        let folder = tempfile::tempdir().unwrap().keep();
        FILE.set(folder.join("fuzzed.jpg")).unwrap();
    },
    |bytes: &[u8]| {
        let path = FILE.get().unwrap();
        fs::write(path, bytes).unwrap();
        let head = check_head(path);
        if let Ok(picture) = Picture::decode(path) {
            assert_eq!(picture.pixels.len(), picture.width * picture.height * 3);
            assert!(head.is_ok(), "a picture whose head was refused");
        }
    }
);

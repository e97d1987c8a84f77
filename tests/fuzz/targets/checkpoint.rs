//! A checkpoint one of whose files is any bytes: the trainer goes on from it or says why not.
#![no_main]

#[path = "../trainer.rs"]
mod trainer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use trainer::{FILES, trainer};

static CHECKPOINT: OnceLock<PathBuf> = OnceLock::new();

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in FILES {
        // Copying in the kernel fails where the fuzzer's alarm interrupts it; this goes on.
        let content = fs::read(from.join(name)).unwrap();
        fs::write(to.join(name), content).unwrap();
    }
}

fuzz_target!(
    init: {
        let folder = tempfile::tempdir().unwrap().keep();
        let sound = folder.join("sound");
        trainer().save(&sound).unwrap();
        CHECKPOINT.set(sound).unwrap();
    },
    |bytes: &[u8]| {
        let Some((&file, content)) = bytes.split_first() else {
            return;
        };
        let sound = CHECKPOINT.get().unwrap();
        let damaged = sound.with_file_name("damaged");
        copy(sound, &damaged);
        fs::write(damaged.join(FILES[usize::from(file) % FILES.len()]), content).unwrap();
        if let Ok(trainer) = trainer().resume(&damaged) {
            trainer.averaged();
            let _ = trainer.blended(&[damaged]);
        }
    }
);

//! Command lines of any words, one a line, for both programs; the lines that an ffmpeg process
//! writes; and lists of words to suggest from.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use signcam::cli::Cli;
use signcam::recognize::words::Words;
use signcam::source::video::read_ffmpeg_log;
use signcam::train::run::hand::HandArgs;
use signcam::train::run::options::TrainArgs;

static LIST: OnceLock<PathBuf> = OnceLock::new();

/// What `train` takes.
#[derive(Parser)]
struct Letters {
    #[command(flatten)]
    args: TrainArgs,
}

/// What `train hand` takes.
#[derive(Parser)]
struct Hand {
    #[command(flatten)]
    _args: HandArgs,
}

fuzz_target!(
    init: {
        let folder = tempfile::tempdir().unwrap().keep();
        LIST.set(folder.join("words.txt")).unwrap();
    },
    |text: &str| {
        let words = || ["program"].into_iter().chain(text.lines().take(24));
        let _ = Cli::try_parse_from(words());
        if let Ok(letters) = Letters::try_parse_from(words()) {
            let _ = letters.args.resolve(None);
        }
        let _ = Hand::try_parse_from(words());
        read_ffmpeg_log(text);
        let list = LIST.get().unwrap();
        fs::write(list, text).unwrap();
        if let Ok(mut words) = Words::load(list) {
            for beginning in text.split_whitespace().take(8) {
                for word in words.suggest(beginning) {
                    assert!(word.starts_with(&beginning.to_uppercase()));
                }
            }
        }
    }
);

//! Command lines of any words, one a line, for both programs; and the lines that an ffmpeg process
//! writes.
#![no_main]

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use signcam::cli::Cli;
use signcam::source::video::read_ffmpeg_log;

#[cfg(feature = "train")]
mod train {
    use clap::Parser;
    use signcam::train::finder::run::HandArgs;
    use signcam::train::options::TrainArgs;

    #[derive(Parser)]
    pub struct Letters {
        #[command(flatten)]
        pub args: TrainArgs,
    }

    #[derive(Parser)]
    pub struct Hand {
        #[command(flatten)]
        _args: HandArgs,
    }
}

fuzz_target!(|text: &str| {
    let words = || ["program"].into_iter().chain(text.lines().take(24));
    let _ = Cli::try_parse_from(words());
    #[cfg(feature = "train")]
    {
        if let Ok(letters) = train::Letters::try_parse_from(words()) {
            let _ = letters.args.resolve(None);
        }
        let _ = train::Hand::try_parse_from(words());
    }
    read_ffmpeg_log(text);
});

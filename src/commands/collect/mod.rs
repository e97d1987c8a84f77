//! `signcam collect`: pictures of one's own signs, taken before the camera, for training.
//!
//! - `names`: what can be a signer's or a label's name.
//! - `folder`: pictures and their table on disk.
//! - `takes`: what is collected next, and when.
//! - `booth`: the screen's side, and the keys.
//!
//! Nothing leaves the machine, and nothing that is there is overwritten.

mod booth;
pub mod folder;
mod names;
mod takes;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::Args;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::base::frame::{Frame, Rect};
use crate::commands::inputs::{ReaderArgs, SourceArgs};
use crate::live::{Guide, Live, Reader};
use crate::recognize::{Reading, Recognizer};
use crate::sink::window::Window;
use crate::source::{DEFAULT_FPS, Pace};
use crate::stats::Stats;
use booth::{Booth, Order};
use folder::{Folder, TABLE};
use takes::{Labels, Takes};

/// What `signcam collect` takes.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// The folder for pictures, which is made where there is none: DIR/<signer>/<LABEL>/<number>.jpg,
    /// with a table of all in DIR/hands.csv
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Who signs. Training and evaluation tell people apart by this name
    #[arg(long, value_name = "NAME")]
    signer: String,
    /// What to collect, instead of the letters that the model knows: own gestures, another alphabet
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    label: Vec<Arc<str>>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    reader: ReaderArgs,
    /// Show the picture as the camera sees it, not as a mirror would; it is stored so in any case
    #[arg(long)]
    no_mirror: bool,
}

/// Collects until the person before the screen quits, the source ends, or a signal comes.
///
/// # Errors
/// When a name cannot be a folder's, the folder cannot be read or written, or as watching.
pub fn collect(args: &CollectArgs, interrupted: Arc<AtomicBool>) -> Result<()> {
    let origin = args.source.origin();
    let recognizer = args.reader.recognizer(&origin)?;
    let labels = Labels::new(match args.label.is_empty() {
        true => recognizer.model().labels().to_vec(),
        false => args.label.clone(),
    })?;
    let takes = Takes::new(Folder::open(&args.folder, &args.signer)?, labels);
    let place = takes.folder().place();
    eprintln!(
        "Pictures go to {} on this machine and nowhere else; F1 in the window lists the keys.",
        place.display()
    );
    let pace = args.source.pace(Pace::RealTime { fps: DEFAULT_FPS });
    let (shutter, shots) = shutter();
    let title = format!("signcam collect: {origin}");
    let mut booth = Booth::new(
        takes,
        shutter.clone(),
        shots,
        Box::new(move |width, height| {
            let window = Window::open(&title, width, height, Order::of)
                .context("collecting shows the camera's picture")?;
            Ok(Box::new(window))
        }),
        !args.no_mirror,
    )?;
    let live = Live {
        source: args.source.open(pace)?,
        reader: photographer(recognizer, shutter),
        guide: args.reader.guide.map(Guide::around),
        speller: None,
        practice: None,
        keep_all: false,
        interrupted,
        stats: Stats::new(),
    };
    let result = live.run_before(&mut booth);
    eprint!("{}", summary(booth.takes()));
    result
}

/// What there is now, and what can be done with it.
fn summary(takes: &Takes) -> String {
    let counts: Vec<_> = takes
        .counts()
        .filter(|(_, count)| count.pictures > 0)
        .collect();
    if counts.is_empty() {
        return "There are no pictures yet.\n".into();
    }
    let pictures: usize = counts.iter().map(|(_, count)| count.pictures).sum();
    let of_each: Vec<_> = (counts.iter())
        .map(|(label, count)| format!("{label} {}", count.pictures))
        .collect();
    let once: Vec<_> = counts
        .iter()
        .filter(|(_, count)| count.takes < 2)
        .map(|(label, _)| label.to_string())
        .collect();
    let advice = match once.is_empty() {
        true => String::new(),
        false => format!(
            "One take only: {}. The second take of each is held back, to measure by.\n",
            once.join(" ")
        ),
    };
    format!(
        "{pictures} pictures in {}: {}\n{advice}{} is read by `train --data` and by \
         `signcam eval --boxes`.\n",
        takes.folder().place().display(),
        of_each.join(", "),
        takes.folder().table().with_file_name(TABLE).display(),
    )
}

/// A frame that was asked for, as the camera sees it, with its hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Three bytes a pixel.
    pub pixels: Vec<u8>,
    /// The hand's box in this very frame.
    pub hand: Option<Rect>,
}

/// Asks the thread that reads for the next frame that it has read.
#[derive(Debug, Clone)]
struct Shutter {
    open: Arc<AtomicBool>,
    shots: Sender<Shot>,
}

fn shutter() -> (Shutter, Receiver<Shot>) {
    let (shots, taken) = bounded(1);
    let open = Arc::default();
    (Shutter { open, shots }, taken)
}

impl Shutter {
    /// Asks for one frame.
    fn press(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Hands a frame over, where one was asked for.
    fn expose(&self, frame: &Frame, hand: Option<Rect>) {
        if self.open.swap(false, Ordering::AcqRel) {
            // One that was not fetched yet does as well.
            let _ = self.shots.try_send(Shot {
                width: frame.width,
                height: frame.height,
                pixels: frame.pixels.clone(),
                hand,
            });
        }
    }
}

/// Reads as watching does, and hands over the frames that are asked for.
fn photographer(mut recognizer: Recognizer, shutter: Shutter) -> Box<dyn Reader> {
    Box::new(move |frame: &Frame, guide: Rect| -> Result<Reading> {
        let reading = recognizer.read_guided(frame, guide)?;
        shutter.expose(frame, reading.hand);
        Ok(reading)
    })
}

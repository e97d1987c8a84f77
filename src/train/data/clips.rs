//! Frames of clips whose hands are known, taken out of the videos once.
//!
//! A folder of clips holds `clips.csv` (columns `path`, `signer`, `split`: `train`, or `dev` or `val`) and
//! `boxes.csv` (`path`, `frame`: the frame's number from 0, `hand`: 0 for the one that signs, `x0`, `y0`, `x1`, `y1`
//! in fractions of the frame). Only the frames that have a box are read.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::dataset::{Exclude, Split};
use super::store::shrunk;
use crate::base::files::{open_bounded, write_whole};
use crate::base::frame::{Frame, FramePool, Rect};
use crate::base::hash::Fnv;
use crate::base::picture::Picture;
use crate::source::{Event, Pace, video};

/// The table of clips in their folder.
const CLIPS_CSV: &str = "clips.csv";

/// The table of hands beside it.
const BOXES_CSV: &str = "boxes.csv";

/// A table of more bytes than this is refused unread.
const MAX_TABLE: u64 = 1 << 30;

/// Frames are kept at most this wide and high, in pixels.
const LONG_SIDE: usize = 720;

/// Quality of the kept frames' JPEG.
const QUALITY: u8 = 93;

/// How far beyond the frame a box may lie, in fractions of the frame.
const REACH: f32 = 2.0;

/// A frame of a clip with the places of its hands.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipFrame {
    /// Where the frame lies as a picture.
    pub path: PathBuf,
    /// Who is in the clip.
    pub signer: Arc<str>,
    /// The hands' boxes in fractions of the frame, that of the hand that signs first; at least one.
    pub hands: Vec<Rect>,
}

#[derive(Debug, Deserialize)]
struct ClipRow {
    path: String,
    signer: String,
    split: String,
}

#[derive(Deserialize)]
struct BoxRow {
    path: String,
    frame: u64,
    hand: u32,
    x0: f32,
    y0: f32,
    x1: f32,
    y1: f32,
}

/// The hands of a clip's frames by the frame's number, each with its own number.
type Hands = BTreeMap<u64, Vec<(u32, Rect)>>;

/// The clips of a folder whose hands are known.
#[derive(Debug)]
pub struct Clips {
    /// Where the videos lie.
    folder: PathBuf,
    /// Where their frames go.
    kept: PathBuf,
    clips: Vec<(ClipRow, Split, Hands)>,
}

impl Clips {
    /// Reads the tables in `folder`, leaving out excluded signers. Frames will lie in the folder `kept`.
    ///
    /// # Errors
    /// When a table cannot be read or makes no sense, or names no clip with boxes.
    pub fn open(folder: &Path, kept: &Path, exclude: &[Exclude]) -> Result<Self> {
        let mut hands = read_boxes(&folder.join(BOXES_CSV))?;
        let table = folder.join(CLIPS_CSV);
        let mut clips = Vec::new();
        for (line, row) in rows::<ClipRow>(&table)? {
            let at = || format!("{}, line {line}", table.display());
            let split = Split::parse(&row.split).with_context(at)?;
            let inside = Path::new(&row.path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            ensure!(inside, "{}: {} does not lie in the folder", at(), row.path);
            let excluded = exclude.iter().any(|e| e.matches_signer(&row.signer));
            if let Some(frames) = hands.remove(&row.path).filter(|_| !excluded) {
                clips.push((row, split, frames));
            }
        }
        ensure!(
            !clips.is_empty(),
            "{} names no clip that {BOXES_CSV} has boxes of",
            table.display()
        );
        Ok(Clips {
            folder: folder.to_owned(),
            kept: kept.to_owned(),
            clips,
        })
    }

    /// What tells these clips from others, by name: how many there are, and a hash of their names, sizes, signers and
    /// boxes. Where the folder lies does not matter.
    pub fn fingerprint(&self) -> BTreeMap<String, String> {
        let mut hash = Fnv::default();
        for (row, split, frames) in &self.clips {
            hash.add_bytes(row.path.as_bytes());
            hash.add(fs::metadata(self.folder.join(&row.path)).map_or(0, |file| file.len()));
            hash.add_bytes(row.signer.as_bytes());
            hash.add(*split as u64);
            for (number, hands) in frames {
                hash.add(*number);
                for (hand, place) in hands {
                    hash.add(u64::from(*hand));
                    for edge in [place.x0, place.y0, place.x1, place.y1] {
                        hash.add(u64::from(edge.to_bits()));
                    }
                }
            }
        }
        let of = |split| self.clips.iter().filter(|(_, of, _)| *of == split).count();
        BTreeMap::from([
            (
                "clips to learn from".to_owned(),
                of(Split::Train).to_string(),
            ),
            (
                "clips to be judged by".to_owned(),
                of(Split::Val).to_string(),
            ),
            (
                "clips by name, size, signer and box".to_owned(),
                format!("#{:016x}", hash.value()),
            ),
        ])
    }

    /// The frames of one split that have boxes, taken out of the videos unless they lie there already; the number of
    /// ready clips and of all is told to `done`, whose error ends it.
    ///
    /// # Errors
    /// When a video cannot be decoded or is shorter than its boxes say, or a picture cannot be written.
    pub fn frames(
        &self,
        split: Split,
        done: impl Fn(usize, usize) -> Result<()> + Sync,
    ) -> Result<Vec<ClipFrame>> {
        let clips: Vec<_> = self
            .clips
            .iter()
            .filter(|(_, of, _)| *of == split)
            .collect();
        let ready = AtomicUsize::new(0);
        clips
            .par_iter()
            .try_for_each(|(row, _, frames)| -> Result<()> {
                take_out(
                    &self.folder.join(&row.path),
                    &self.kept.join(&row.path),
                    frames,
                )?;
                done(ready.fetch_add(1, Ordering::Relaxed) + 1, clips.len())
            })?;
        let all = clips.into_iter().flat_map(|(row, _, frames)| {
            let signer: Arc<str> = row.signer.as_str().into();
            let within = self.kept.join(&row.path);
            frames.iter().map(move |(number, hands)| {
                let mut hands = hands.clone();
                hands.sort_by_key(|(hand, _)| *hand);
                ClipFrame {
                    path: picture_path(&within, *number),
                    signer: Arc::clone(&signer),
                    hands: hands.into_iter().map(|(_, place)| place).collect(),
                }
            })
        });
        Ok(all.collect())
    }
}

/// The hands of each clip.
fn read_boxes(table: &Path) -> Result<HashMap<String, Hands>> {
    let mut hands: HashMap<String, Hands> = HashMap::new();
    for (line, row) in rows::<BoxRow>(table)? {
        let hand = Rect {
            x0: row.x0,
            y0: row.y0,
            x1: row.x1,
            y1: row.y1,
        };
        let edges = [hand.x0, hand.y0, hand.x1, hand.y1];
        ensure!(
            hand.x0 < hand.x1
                && hand.y0 < hand.y1
                && edges.iter().all(|e| (-REACH..=1.0 + REACH).contains(e)),
            "{}, line {line}: {hand:?} is no box in fractions of a frame",
            table.display()
        );
        let frames = hands.entry(row.path).or_default();
        frames.entry(row.frame).or_default().push((row.hand, hand));
    }
    Ok(hands)
}

/// The rows of a table with their line numbers.
fn rows<T: DeserializeOwned>(table: &Path) -> Result<Vec<(u64, T)>> {
    let shown = table.display();
    let file = open_bounded(table, MAX_TABLE).with_context(|| format!("cannot open {shown}"))?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file);
    let rows = reader.deserialize().enumerate().map(|(at, row)| {
        let line = at as u64 + 2;
        let row = row.with_context(|| format!("{shown}, line {line}"))?;
        Ok((line, row))
    });
    rows.collect()
}

fn picture_path(kept: &Path, number: u64) -> PathBuf {
    kept.join(format!("{number:06}.jpg"))
}

/// Writes those of a clip's frames that are not there yet.
fn take_out(clip: &Path, kept: &Path, frames: &Hands) -> Result<()> {
    let missing: Vec<u64> = frames
        .keys()
        .copied()
        .filter(|&number| !picture_path(kept, number).is_file())
        .collect();
    let Some(&last) = missing.last() else {
        return Ok(());
    };
    fs::create_dir_all(kept).with_context(|| format!("cannot make {}", kept.display()))?;
    let mut source = video::open(clip, Pace::Max)?;
    let pool = FramePool::new();
    let mut count = 0;
    loop {
        match source.next(&pool)? {
            Event::Frame { frame, .. } => {
                if missing.binary_search(&count).is_ok() {
                    write_whole(&picture_path(kept, count), &encode(&frame)?)?;
                }
                if count == last {
                    return Ok(());
                }
                count += 1;
            }
            Event::Waiting(_) => {}
            Event::End => bail!(
                "{} ends after {count} frames, but {BOXES_CSV} has a box in its frame {last}",
                clip.display()
            ),
        }
    }
}

fn encode(frame: &Frame) -> Result<Vec<u8>> {
    let picture = Picture {
        width: frame.width,
        height: frame.height,
        pixels: frame.pixels.clone(),
    };
    let factor = picture.width.max(picture.height) as f32 / LONG_SIDE as f32;
    let picture = shrunk(picture, factor)?;
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
        &picture.pixels,
        u32::try_from(picture.width)?,
        u32::try_from(picture.height)?,
        ExtendedColorType::Rgb8,
    )?;
    Ok(jpeg)
}

#[cfg(all(test, feature = "record"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sink::record::{Hurry, Recorder};

    /// A folder with a clip of frames in growing brightness, 20 a step, and these rows in its tables.
    fn folder(boxes: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("ann/a.mp4");
        fs::create_dir_all(clip.parent().unwrap()).unwrap();
        let mut recorder = Recorder::start(&clip, 64, 48, Hurry::None).unwrap();
        for at in 0..8_u32 {
            let grey = vec![(20 * at + 40) * 0x0001_0101; 64 * 48];
            let time = Duration::from_millis(40 * u64::from(at));
            recorder.push(&grey, time).unwrap();
        }
        recorder.finish().unwrap();
        let clips = "path,signer,split\nann/a.mp4,ann,dev\nann/none.mp4,ann,train\n";
        fs::write(folder.path().join(CLIPS_CSV), clips).unwrap();
        let boxes = format!("path,frame,hand,x0,y0,x1,y1\n{boxes}");
        fs::write(folder.path().join(BOXES_CSV), boxes).unwrap();
        folder
    }

    #[test]
    fn only_frames_with_boxes_are_taken_and_the_signing_hand_comes_first() {
        let folder = folder(
            "ann/a.mp4,5,1,0.6,0.6,0.9,0.9\nann/a.mp4,5,0,0.1,0.1,0.3,0.4\nann/a.mp4,2,0,0.2,0.2,0.5,0.5\n",
        );
        let kept = folder.path().join("kept");
        let read = || {
            let clips = Clips::open(folder.path(), &kept, &[]).unwrap();
            clips.frames(Split::Val, |_, _| Ok(())).unwrap()
        };
        let frames = read();
        assert_eq!(frames.len(), 2);
        for (frame, grey) in frames.iter().zip([80_u8, 140]) {
            let picture = Picture::decode(&frame.path).unwrap();
            assert_eq!((picture.width, picture.height), (64, 48));
            let middle = picture.pixels[(24 * 64 + 32) * 3];
            assert!(middle.abs_diff(grey) < 8, "{middle} for {grey}");
            assert_eq!(&*frame.signer, "ann");
        }
        assert_eq!(frames[1].hands.len(), 2);
        assert_eq!(frames[1].hands[0].x0, 0.1);
        // What is there is not decoded again.
        fs::remove_file(folder.path().join("ann/a.mp4")).unwrap();
        assert_eq!(read(), frames);
    }

    #[test]
    fn a_box_beyond_a_clips_end_and_a_clip_outside_the_folder_are_errors_that_name_them() {
        let late = folder("ann/a.mp4,8,0,0.1,0.1,0.3,0.4\n");
        let error = |folder: &Path| {
            let clips = Clips::open(folder, &folder.join("kept"), &[]);
            let result = clips.and_then(|clips| clips.frames(Split::Val, |_, _| Ok(())));
            format!("{:#}", result.unwrap_err())
        };
        let message = error(late.path());
        assert!(
            message.contains("a.mp4") && message.contains('8'),
            "{message}"
        );
        let outside = folder("../b.mp4,0,0,0.1,0.1,0.3,0.4\n");
        let clips = "path,signer,split\n../b.mp4,ann,train\n";
        fs::write(outside.path().join(CLIPS_CSV), clips).unwrap();
        assert!(error(outside.path()).contains("../b.mp4"));
    }
}

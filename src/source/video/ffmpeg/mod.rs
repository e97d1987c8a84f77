//! Any video that an installed `ffmpeg` decodes.
//!
//! One process writes raw pictures to its standard output. Its `showinfo` filter writes a line for
//! every picture to standard error before that picture comes out: with its size and its time
//! stamp, which raw video cannot carry.

mod log;
mod probe;

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::common::{check_size, ffmpeg_name};
use crate::base::frame::FramePool;
use crate::source::pace::{Pace, Pacer};
use crate::source::stream::{Event, Losses, Sound, Source};
use log::{Log, Stamp};

/// Decoded pictures that may wait to be taken.
const AHEAD: usize = 2;

/// How long the process may take from one picture to the next.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// How long to wait for a picture at a stretch.
const PATIENCE: Duration = Duration::from_millis(50);

/// A video that ends so much before its length is short of something: the last picture is shown for a
/// while, and sound may be longer.
const SHORT_OF: Duration = Duration::from_millis(500);

/// Makes pixels square, as wide as they are shown, and then says what comes out. Only shapes that
/// cameras and broadcasts have are believed.
const FILTERS: &str = "scale=w='if(between(sar,0.25,4),max(round(iw*sar),1),iw)':h=ih:eval=frame,\
                       setsar=1,showinfo";

/// How versions of ffmpeg are asked for every picture once, with its own time and in its own size:
/// from 5.1 on, from 4.4 on, and before, where pictures cannot keep another size than the first.
const AS_THEY_ARE: [&[&str]; 3] = [
    &["-autoscale", "0", "-fps_mode", "passthrough"],
    &["-autoscale", "0", "-vsync", "passthrough"],
    &["-vsync", "passthrough"],
];

/// Plays a video through an `ffmpeg` process.
pub(super) struct Ffmpeg {
    path: PathBuf,
    name: String,
    process: Process,
    pictures: Receiver<Result<Picture>>,
    give_back: Sender<Vec<u8>>,
    log: Log,
    /// How long the process may be silent, and has been.
    silence: Duration,
    silent: Duration,
    pacer: Pacer,
    /// A picture that is not due yet.
    held: Option<Picture>,
    seq: u64,
    /// When the last picture came.
    last: Duration,
    ended: bool,
    /// What is wrong with the video, once it ended.
    damage: Option<Damage>,
}

/// What ffmpeg could not read.
struct Damage {
    text: String,
    missing: u64,
}

/// A decoded picture, three bytes a pixel.
struct Picture {
    stamp: Stamp,
    pixels: Vec<u8>,
    decode: Duration,
}

/// Ends the process with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ffmpeg {
    /// Starts `program`, an ffmpeg, on a video and waits for the first picture. A process that is
    /// silent for longer than `silence` is given up.
    pub fn open(program: &str, path: &Path, pace: Pace, silence: Duration) -> Result<Self> {
        let mut versions = AS_THEY_ARE.iter().peekable();
        loop {
            let Some(options) = versions.next() else {
                bail!("this version of ffmpeg is not known");
            };
            match Self::start(program, path, pace, silence, options) {
                Err(error)
                    if versions.peek().is_some()
                        && ["fps_mode", "autoscale"]
                            .iter()
                            .any(|option| error.to_string().contains(option)) => {}
                result => return result,
            }
        }
    }

    fn start(
        program: &str,
        path: &Path,
        pace: Pace,
        silence: Duration,
        as_they_are: &[&str],
    ) -> Result<Self> {
        let name = path.display().to_string();
        let child = Command::new(program)
            .args(["-hide_banner", "-nostats", "-nostdin"])
            .args(["-loglevel", "repeat+level+info"])
            // However much is damaged, what can be read is read, and the rest is told.
            .args(["-max_error_rate", "1"])
            .args(["-protocol_whitelist", "file", "-i"])
            .arg(ffmpeg_name(path))
            .args(["-map", "0:v:0", "-vf", FILTERS])
            .args(as_they_are)
            .args(["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match child {
            Ok(child) => Process(child),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{name} is no recording of signcam, and other videos are decoded by ffmpeg, which \
                 is not on the PATH: install it (https://ffmpeg.org) or use a folder of pictures"
            ),
            Err(error) => return Err(error).context("cannot start ffmpeg"),
        };
        let (stdout, stderr) = (process.0.stdout.take(), process.0.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            bail!("cannot read what ffmpeg writes");
        };

        let log = Log::default();
        let (put_stamp, stamps) = unbounded();
        let (put_picture, pictures) = bounded(AHEAD);
        let (give_back, spare) = unbounded();
        let notes = log.clone();
        thread::Builder::new()
            .name("ffmpeg-log".into())
            .spawn(move || notes.read(stderr, &put_stamp))?;
        let reader = Pictures {
            stdout,
            path: path.to_owned(),
            stamps,
            spare,
            one_size: !as_they_are.contains(&"-autoscale"),
        };
        thread::Builder::new()
            .name("ffmpeg".into())
            .spawn(move || reader.run(&put_picture))?;

        let mut source = Ffmpeg {
            path: path.to_owned(),
            name,
            process,
            pictures,
            give_back,
            log,
            silence,
            silent: Duration::ZERO,
            pacer: Pacer::new(pace),
            held: None,
            seq: 0,
            last: Duration::ZERO,
            ended: false,
            damage: None,
        };
        source.held = match source.pictures.recv_timeout(silence) {
            Ok(Ok(picture)) => Some(picture),
            Ok(Err(error)) => return Err(error.context(source.name)),
            Err(RecvTimeoutError::Timeout) => bail!(
                "ffmpeg gave no picture of {} within {} s",
                source.name,
                silence.as_secs_f32()
            ),
            Err(RecvTimeoutError::Disconnected) => {
                bail!(
                    "ffmpeg cannot read {}: {}",
                    source.name,
                    source.log.why_no_picture()
                )
            }
        };
        Ok(source)
    }

    /// Waits for the next picture; `None` where there is none yet.
    fn receive(&mut self) -> Result<Option<Received>> {
        match self.pictures.recv_timeout(PATIENCE) {
            Ok(Ok(picture)) => {
                self.silent = Duration::ZERO;
                Ok(Some(Received::Picture(picture)))
            }
            Ok(Err(error)) => Err(error.context(format!(
                "cannot read on in {} ({})",
                self.name,
                self.log.reason("without an error of ffmpeg's")
            ))),
            Err(RecvTimeoutError::Timeout) => {
                // Summed up instead of taken from a clock, which goes on while the program is
                // stopped.
                self.silent += PATIENCE;
                ensure!(
                    self.silent < self.silence,
                    "ffmpeg gave no more pictures of {} for {} s, after {}: {}",
                    self.name,
                    self.silence.as_secs_f32(),
                    self.seq,
                    self.log.reason("it says nothing")
                );
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.process.0.wait().context("cannot wait for ffmpeg")?;
                ensure!(
                    status.success(),
                    "ffmpeg gave up on {}: {}",
                    self.name,
                    self.log.reason("it does not say why")
                );
                Ok(Some(Received::End))
            }
        }
    }

    /// Finds out what is missing, once everything was read.
    fn assess(&mut self) {
        let log = self.log.clone();
        let notes = log.notes();
        let mut faults = Vec::new();
        let mut missing = 0;
        if let Some((has, whole)) = probe::cut_off_avi(&self.path) {
            faults.push(format!("the file is cut off after {has} of {whole} bytes"));
        }
        if let Some(first) = &notes.first {
            let whole = notes.duration.unwrap_or_default();
            match probe::frames(&self.path) {
                Some(all) if all > self.seq => {
                    missing = all - self.seq;
                    faults.push(format!("{missing} of {all} pictures are missing"));
                }
                None if whole > self.last + SHORT_OF => faults.push(format!(
                    "it ends after {:.1} of {:.1} s",
                    self.last.as_secs_f64(),
                    whole.as_secs_f64()
                )),
                _ => {}
            }
            let times = match notes.errors {
                1 => "an error".into(),
                errors => format!("{errors} errors"),
            };
            faults.push(format!("ffmpeg met {times} ({first})"));
        }
        self.damage = (!faults.is_empty()).then(|| Damage {
            text: format!(
                "{} is damaged: {}; letters read from damaged pictures are not to be trusted",
                self.name,
                faults.join(", ")
            ),
            missing,
        });
    }
}

/// What [`Ffmpeg::receive`] got.
enum Received {
    Picture(Picture),
    End,
}

impl Source for Ffmpeg {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, pool: &FramePool) -> Result<Event> {
        if self.held.is_none() {
            match self.receive()? {
                Some(Received::Picture(picture)) => self.held = Some(picture),
                Some(Received::End) => {
                    if !self.ended {
                        self.ended = true;
                        self.assess();
                        if let Some(damage) = &self.damage {
                            tracing::warn!("{}", damage.text);
                        }
                    }
                    return Ok(Event::End);
                }
                None => return Ok(Event::Waiting(None)),
            }
        }
        let due = |picture: &Picture| self.pacer.due(picture.stamp.time);
        let Some(captured) = self.held.as_ref().and_then(due) else {
            return Ok(Event::Waiting(None));
        };
        let Some(mut picture) = self.held.take() else {
            return Ok(Event::Waiting(None));
        };
        let frame = pool.fill(|frame| {
            frame.seq = self.seq;
            frame.captured = captured;
            frame.time = picture.stamp.time;
            frame.width = picture.stamp.width;
            frame.height = picture.stamp.height;
            std::mem::swap(&mut frame.pixels, &mut picture.pixels);
            Ok::<(), anyhow::Error>(())
        })?;
        self.seq += 1;
        self.last = picture.stamp.time;
        // Nobody takes buffers any more once the process has ended.
        let _ = self.give_back.send(picture.pixels);
        Ok(Event::Frame {
            frame,
            decode: picture.decode,
        })
    }

    fn losses(&self) -> Losses {
        Losses {
            damaged: self.damage.as_ref().map_or(0, |damage| damage.missing),
            ..Losses::default()
        }
    }

    fn damage(&self) -> Option<String> {
        self.damage.as_ref().map(|damage| damage.text.clone())
    }

    fn sound(&self) -> Option<Sound> {
        let notes = self.log.notes();
        notes.sound.then(|| Sound {
            path: self.path.clone(),
            pictures_start: notes.start,
        })
    }
}

/// Reads pictures as they come, each after its stamp.
struct Pictures<Out> {
    stdout: Out,
    path: PathBuf,
    stamps: Receiver<Stamp>,
    spare: Receiver<Vec<u8>>,
    /// Whether ffmpeg makes all pictures as large as the first, whatever their stamps say.
    one_size: bool,
}

impl<Out: Read> Pictures<Out> {
    /// Reads until the process or the pictures' taker is gone.
    fn run(mut self, pictures: &Sender<Result<Picture>>) {
        let mut first = None;
        while let Ok(stamp) = self.stamps.recv() {
            let size = (stamp.width, stamp.height);
            let picture = self.read(stamp).and_then(|picture| {
                ensure!(
                    !self.one_size || *first.get_or_insert(size) == size,
                    "its pictures change their size, which ffmpeg shows from version 4.4 on: \
                     install a newer one"
                );
                Ok(picture)
            });
            let failed = picture.is_err();
            if pictures.send(picture).is_err() || failed {
                return;
            }
        }
        if let Ok(1..) = self.stdout.read(&mut [0]) {
            let error = anyhow::anyhow!("ffmpeg wrote more than the pictures that it spoke of");
            // Whoever is gone does not care.
            let _ = pictures.send(Err(error));
        }
    }

    fn read(&mut self, stamp: Stamp) -> Result<Picture> {
        check_size(stamp.width, stamp.height, &self.path)?;
        let mut pixels = self.spare.try_recv().unwrap_or_default();
        pixels.resize(stamp.width * stamp.height * 3, 0);
        let begun = Instant::now();
        self.stdout
            .read_exact(&mut pixels)
            .context("ffmpeg ended in the middle of a picture")?;
        Ok(Picture {
            stamp,
            pixels,
            decode: begun.elapsed(),
        })
    }
}

#[cfg(fuzzing)]
pub(super) use log::read_text;

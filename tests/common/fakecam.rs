//! Runs the program before a camera that exists only in `tests/fakecam.c`.
//! Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde_json::Value;
use tempfile::TempDir;

pub const WIDTH: usize = 320;
pub const HEIGHT: usize = 240;

/// Nothing here takes so long, unless what is tested is broken.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A picture of one colour.
pub fn jpeg(colour: [u8; 3], width: usize, height: usize) -> Vec<u8> {
    let pixels = colour.repeat(width * height);
    let (width, height) = (width as u32, height as u32);
    let mut jpeg = Vec::new();
    JpegEncoder::new(&mut jpeg)
        .write_image(&pixels, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    jpeg
}

/// A camera that sees one colour.
pub struct FakeCamera {
    library: &'static Path,
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl FakeCamera {
    /// A camera that sends MJPEG pictures of one colour; `None`, with the reason printed, where
    /// there is no C compiler to make it with.
    pub fn seeing(colour: [u8; 3]) -> Option<Self> {
        Self::sending("MJPG", &jpeg(colour, WIDTH, HEIGHT))
    }

    /// A camera that sends the same picture again and again, coded as `format`.
    pub fn sending(format: &str, picture: &[u8]) -> Option<Self> {
        let library = library()?;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("000"), picture).unwrap();
        let camera = FakeCamera {
            library,
            folder,
            settings: Vec::new(),
        };
        let camera = camera.with("FAKECAM_FORMAT", format);
        Some(camera.with("FAKECAM_SIZE", format!("{WIDTH}x{HEIGHT}")))
    }

    /// Sends another picture after those before, and then all of them again.
    pub fn and(self, picture: &[u8]) -> Self {
        let at = fs::read_dir(self.folder.path()).unwrap().count();
        fs::write(self.folder.path().join(format!("{at:03}")), picture).unwrap();
        self
    }

    /// No camera at all, whatever the machine has.
    pub fn none() -> Option<Self> {
        let camera = Self::sending("MJPG", &[])?;
        fs::remove_file(camera.folder.path().join("000")).unwrap();
        Some(camera)
    }

    /// Sets one of the variables that `tests/fakecam.c` lists.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Starts the program with this camera plugged in.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_signcam"))
            .args(arguments)
            .env("LD_PRELOAD", self.library)
            .env("FAKECAM_FRAMES", self.folder.path())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env_remove("SIGNCAM_LOG")
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let messages = Arc::new(Mutex::new(String::new()));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let heard = Arc::clone(&messages);
        thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
                heard.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Running {
            child,
            lines: Some(lines),
            messages,
        }
    }
}

/// The program, running.
pub struct Running {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
    messages: Arc<Mutex<String>>,
}

impl Running {
    /// The next `count` readings; lines of what they spell are passed over.
    pub fn readings(&mut self, count: usize) -> Vec<Value> {
        let lines = self.lines.as_mut().unwrap().lines();
        let readings: Vec<Value> = lines
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
            .filter(|line| line["event"].is_null())
            .take(count)
            .collect();
        assert_eq!(readings.len(), count, "it ended: {}", self.messages());
        readings
    }

    /// All that it prints.
    pub fn text(&mut self) -> String {
        let mut text = String::new();
        let lines = self.lines.as_mut().unwrap();
        lines.read_to_string(&mut text).unwrap();
        text
    }

    /// What it said on stderr so far.
    pub fn messages(&self) -> String {
        self.messages.lock().unwrap().clone()
    }

    /// Waits until it says something on stderr.
    pub fn wait_for_message(&self, part: &str) {
        let began = Instant::now();
        while !self.messages().contains(part) {
            assert!(
                began.elapsed() < FOR_EVER,
                "no {part:?} in: {}",
                self.messages()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        // The shell's own, since not every machine has a program of that name.
        let kill = format!("kill -s {name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.unwrap().success());
    }

    /// Closes the pipe that it writes readings to.
    pub fn stop_reading(&mut self) {
        self.lines = None;
    }

    /// Waits until it has ended; returns how, and all that it said on stderr.
    pub fn end(mut self) -> (ExitStatus, String) {
        if let Some(mut lines) = self.lines.take() {
            thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        }
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // Its last words are read by a thread of their own.
                thread::sleep(Duration::from_millis(100));
                return (status, self.messages());
            }
            assert!(
                began.elapsed() < FOR_EVER,
                "it does not end: {}",
                self.messages()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The compiled camera.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compile = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join(format!("fakecam-{}.so", std::process::id()));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let compiled = Command::new(&compiler)
            .args([
                "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
            ])
            .arg(&library)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakecam.c"))
            .args(["-ldl", "-lpthread"])
            .output();
        match compiled {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{said}");
                Some(library)
            }
            Err(error) => {
                let why = format!("the fake camera needs a C compiler, but {compiler}: {error}");
                // The build machine has one: there, nothing is left out in silence.
                assert!(std::env::var_os("CI").is_none(), "{why}");
                // Not by `eprintln`, whose words are shown of tests that fail only.
                let _ = writeln!(std::io::stderr(), "skipped: {why}");
                None
            }
        }
    };
    LIBRARY.get_or_init(compile).as_deref()
}

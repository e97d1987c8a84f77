//! What is seen stays here: the program talks to nobody and leaves nothing behind unasked.
//! And what it is made of is accounted for.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{GREEN, RED, colour_model, paint, signcam};

/// Pictures, a model that reads them, and a home that is empty.
fn scene(folder: &Path) {
    let pictures = folder.join("pictures");
    for (name, colour) in [("1.png", RED), ("2.png", GREEN), ("3.png", RED)] {
        paint(&pictures.join(name), colour, colour);
    }
    colour_model(folder);
    fs::create_dir(folder.join("home")).unwrap();
}

/// A run of each kind that needs neither camera nor display.
fn runs() -> &'static [&'static [&'static str]] {
    &[
        &["--headless", "--pace", "max", "--source", "pictures"],
        &[
            "--headless",
            "--pace",
            "max",
            "--source",
            "pictures",
            "--model",
            "colours.onnx",
            "--box",
            "0.3,0.3,0.4,0.4",
        ],
        &["predict", "pictures/1.png"],
        &["bench", "--frames", "5", "--source", "pictures"],
        #[cfg(feature = "record")]
        &["render", "pictures", ASKED],
    ]
}

/// The one file that a run is asked to write.
const ASKED: &str = "clip.gif";

/// Asks the kernel itself, since a library may open connections in ways of its own.
#[test]
#[cfg(target_os = "linux")]
fn no_run_asks_for_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    scene(folder.path());
    for &arguments in runs() {
        let log = folder.path().join("calls.txt");
        let traced = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-e",
                "trace=socket,connect,bind,sendto,sendmsg",
                "-e",
                "signal=none",
                "-o",
            ])
            .arg(&log)
            .arg(env!("CARGO_BIN_EXE_signcam"))
            .args(arguments)
            .current_dir(folder.path())
            .output();
        let ended = match traced {
            Ok(ended) => ended,
            Err(error) => {
                eprintln!("skipped: asking the kernel for connections needs strace: {error}");
                return;
            }
        };
        let said = String::from_utf8_lossy(&ended.stderr);
        if said.contains("ptrace") {
            eprintln!("skipped: strace may not look at programs here: {said}");
            return;
        }
        assert!(ended.status.success(), "{arguments:?}: {said}");
        let calls = fs::read_to_string(&log).unwrap();
        assert_eq!(calls, "", "{arguments:?}");
    }
}

#[test]
fn a_run_leaves_no_file_that_was_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    scene(folder.path());
    let home = folder.path().join("home");
    let before = names(folder.path());
    for &arguments in runs() {
        signcam()
            .args(arguments)
            .current_dir(folder.path())
            .envs(["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"].map(|name| (name, &home)))
            .assert()
            .success();
        if arguments.contains(&ASKED) {
            fs::remove_file(folder.path().join(ASKED)).unwrap();
        }
        assert_eq!(names(folder.path()), before, "{arguments:?}");
        assert!(names(&home).is_empty(), "{arguments:?}: {:?}", names(&home));
    }
}

/// The most talkative log holds words, not pictures: a few hundred bytes a frame at most.
#[test]
fn logs_hold_no_pictures() {
    let folder = tempfile::tempdir().unwrap();
    scene(folder.path());
    for &arguments in runs() {
        let output = signcam()
            .args(arguments)
            .current_dir(folder.path())
            .env("SIGNCAM_LOG", "signcam=trace")
            .assert()
            .success()
            .get_output()
            .clone();
        // The smallest picture here has 14,400 bytes.
        let said = output.stderr.len() + output.stdout.len();
        assert!(said < 14_400, "{arguments:?} said {said} bytes");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_dependency_has_its_reason() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
    let (manifest, reasons) = (
        read("Cargo.toml").unwrap(),
        read("CONTRIBUTING.md").unwrap(),
    );
    let mut in_dependencies = false;
    let mut count = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && let Some((name, _)) = line.split_once(" = ") {
            count += 1;
            let named = reasons
                .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
                .any(|word| word == name);
            assert!(named, "CONTRIBUTING.md does not say what {name} is for");
        }
    }
    assert!(count > 20, "{count} dependencies were found");
}

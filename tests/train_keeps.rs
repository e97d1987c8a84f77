//! `train` loses nothing: what was there before stays, and what was learned is kept, whoever ends it and
//! wherever it writes. On pictures that are drawn here.
#![cfg(feature = "train")]

#[path = "common/training.rs"]
mod training;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use signcam::model::Model;
use training::{content, draw, draw_with_frames, pets, train};

/// What is trained, in a size that takes seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Letters,
    Finder,
    Sequences,
}

impl Kind {
    /// The words behind `train`, but for where it writes; about `steps` steps.
    fn words(self, data: &Path, steps: usize) -> Vec<String> {
        let words = match self {
            Kind::Letters => {
                "--data DATA --backbone none --size 32 --batch 8 --augment none --epochs N"
            }
            Kind::Finder => "hand --data DATA --backbone none --size 64 --batch 2 --steps N",
            Kind::Sequences => "sequence --data DATA --clips DATA/clips.csv --steps N",
        };
        let count = match self {
            // Four batches an epoch.
            Kind::Letters => steps.div_ceil(4),
            _ => steps,
        };
        let data = data.to_str().unwrap();
        (words.split(' '))
            .map(|word| match word {
                "N" => count.to_string(),
                word => word.replace("DATA", data),
            })
            .collect()
    }

    fn run(self, data: &Path, out: &Path, steps: usize) -> Command {
        let mut command = train();
        command.args(self.words(data, steps)).arg("--out").arg(out);
        command
    }

    /// The same as a process that goes on beside the test.
    #[cfg(unix)]
    fn start(self, data: &Path, out: &Path, steps: usize, more: &[&str]) -> std::process::Child {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_train"));
        command.args(self.words(data, steps)).arg("--out").arg(out);
        command.args(more).stderr(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::null());
        command.spawn().unwrap()
    }

    /// Draws what it learns from.
    fn draw(self, folder: &Path) {
        match self {
            Kind::Letters => draw(folder),
            _ => draw_with_frames(folder),
        }
    }
}

/// The steps that the checkpoint of `network` holds; 0 without one.
#[cfg(unix)]
fn steps_kept(network: &Path) -> u64 {
    let progress = network.with_extension("checkpoint").join("progress.json");
    let text = fs::read_to_string(progress).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    json["step"].as_u64().unwrap_or(0)
}

/// Waits until the checkpoint of `network` holds more than `steps` steps, while `child` works on it.
#[cfg(unix)]
fn wait_for_checkpoint(child: &mut std::process::Child, network: &Path, steps: u64) {
    while steps_kept(network) <= steps {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before its checkpoint: {ended:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_run_takes_the_place_of_another_by_force_only() {
    for kind in [Kind::Letters, Kind::Finder] {
        let folder = tempfile::tempdir().unwrap();
        kind.draw(folder.path());
        let made = folder.path().join("made");
        fs::create_dir(&made).unwrap();
        let out = made.join("mine.onnx");
        kind.run(folder.path(), &out, 4).assert().success();
        let first = content(&made);
        let again = || {
            let mut command = kind.run(folder.path(), &out, 4);
            command.args(["--seed", "2"]);
            command
        };
        again().assert().code(1).stderr(contains("--force"));
        assert!(content(&made) == first, "{kind:?}: something was touched");
        // The checkpoint alone, as a run that was stopped leaves it, is not another run's to take.
        for name in ["mine.onnx", "mine.f32.onnx"] {
            fs::remove_file(made.join(name)).unwrap();
        }
        fs::remove_dir_all(made.join("mine.report")).unwrap();
        let stopped = content(&made);
        again()
            .assert()
            .code(1)
            .stderr(contains("mine.checkpoint").and(contains("--resume")));
        assert!(content(&made) == stopped, "{kind:?}: something was touched");
        again().arg("--force").assert().success();
        assert!(content(&made) != first, "{kind:?}: it is the same network");
    }
}

#[test]
fn without_a_name_a_run_finds_one_that_nothing_has() {
    let folder = tempfile::tempdir().unwrap();
    pets(folder.path());
    draw_with_frames(&folder.path().join("frames"));
    let shipped = folder.path().join("models");
    fs::create_dir(&shipped).unwrap();
    for name in ["asl.onnx", "hand.onnx"] {
        fs::write(shipped.join(name), "the shipped one").unwrap();
    }
    for (kind, data, names) in [
        (Kind::Letters, "pets", ["pets.onnx", "pets-2.onnx"]),
        (Kind::Finder, "frames", ["hand.onnx", "hand-2.onnx"]),
    ] {
        for name in names {
            let mut command = train();
            command
                .current_dir(folder.path())
                .args(kind.words(data.as_ref(), 2));
            command.assert().success().stdout(contains(name));
            assert!(folder.path().join(name).exists(), "{name}");
        }
    }
    assert!(Model::load(&folder.path().join("pets-2.onnx")).is_ok());
    for (_, content) in content(&shipped) {
        assert_eq!(content, b"the shipped one");
    }
    // Two names are taken, and there is nothing to go on from under a third.
    for name in ["hand.checkpoint", "hand-2.checkpoint"] {
        fs::remove_dir_all(folder.path().join(name)).unwrap();
    }
    train()
        .current_dir(folder.path())
        .args(Kind::Finder.words("frames".as_ref(), 2))
        .arg("--resume")
        .assert()
        .code(1)
        .stderr(contains("hand.checkpoint").and(contains("--out")));
}

#[test]
fn a_place_that_cannot_be_written_to_is_told_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    draw_with_frames(folder.path());
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let before = content(folder.path());
    let mut places = vec![
        (folder.path().to_owned(), "is a folder"),
        (folder.path().join("missing/mine.onnx"), "no folder"),
        (file.join("mine.onnx"), "no folder"),
        (file.clone(), "--force"),
    ];
    if cfg!(target_os = "linux") {
        places.push(("/proc/mine.onnx".into(), "nothing can be written"));
    }
    for kind in [Kind::Letters, Kind::Finder, Kind::Sequences] {
        for (out, told) in &places {
            kind.run(folder.path(), out, 4)
                .assert()
                .code(1)
                .stderr(contains(*told).and(contains("step").not()));
        }
        let out = folder.path().join("mine.onnx");
        kind.run(folder.path(), &out, 4)
            .arg("--report")
            .arg(&file)
            .assert()
            .code(1)
            .stderr(contains("--report"));
        kind.run(folder.path(), &out, 4)
            .arg("--resume")
            .assert()
            .code(1)
            .stderr(contains("there is no checkpoint"));
        assert!(
            content(folder.path()) == before,
            "{kind:?}: something was left behind"
        );
    }
}

#[test]
fn a_finder_goes_on_only_with_the_options_and_data_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    draw_with_frames(&data);
    let out = folder.path().join("mine.onnx");
    Kind::Finder.run(&data, &out, 2).assert().success();
    let made = content(folder.path());
    Kind::Finder
        .run(&data, &out, 3)
        .args(["--resume", "--force"])
        .assert()
        .code(1)
        .stderr(contains("mine.checkpoint"))
        .stderr(contains("steps: 2, now 3"));
    let table = fs::read_to_string(data.join("hands.csv")).unwrap();
    let fewer: Vec<&str> = table
        .lines()
        .filter(|line| !line.contains("dov/A"))
        .collect();
    fs::write(data.join("hands.csv"), fewer.join("\n")).unwrap();
    Kind::Finder
        .run(&data, &out, 2)
        .args(["--resume", "--force"])
        .assert()
        .code(1)
        .stderr(contains("A to learn from: 16, now 12"));
    fs::write(data.join("hands.csv"), table).unwrap();
    assert!(content(folder.path()) == made, "something was touched");
}

/// What stops a run at its terminal, or from outside, ends it after a step; the line that it prints
/// takes it up again, to the very network that an unbroken run makes.
#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_it_learned_and_says_how_to_go_on() {
    const STEPS: usize = 24;
    for kind in [Kind::Letters, Kind::Finder] {
        let folder = tempfile::tempdir().unwrap();
        kind.draw(folder.path());
        let [whole, broken] = ["whole.onnx", "broken.onnx"].map(|name| folder.path().join(name));
        kind.run(folder.path(), &whole, STEPS).assert().success();
        for signal in ["-INT", "-TERM"] {
            let kept = steps_kept(&broken);
            // Often enough that the test knows when it has begun to learn.
            let mut more = vec!["--checkpoint-every", "0.0001"];
            if signal == "-TERM" {
                more.push("--resume");
            }
            let mut child = kind.start(folder.path(), &broken, STEPS, &more);
            wait_for_checkpoint(&mut child, &broken, kept);
            let mut kill = std::process::Command::new("kill");
            kill.arg(signal).arg(child.id().to_string());
            assert!(kill.status().unwrap().success());
            let output = child.wait_with_output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{kind:?}: {told}");
            assert!(told.contains("interrupted after step"), "{kind:?}: {told}");
            assert!(!broken.exists(), "{kind:?} went on to the end");
            let line = told.trim_end().lines().last().unwrap();
            assert!(
                line.contains("--resume") && line.contains("broken.onnx"),
                "{kind:?}: {told}"
            );
            assert_eq!(line.matches("--resume").count(), 1);
            if signal == "-TERM" {
                let mut shell = std::process::Command::new("sh");
                assert!(shell.arg("-c").arg(line).status().unwrap().success());
            }
        }
        assert!(
            fs::read(whole).unwrap() == fs::read(broken).unwrap(),
            "{kind:?}: it is another network"
        );
    }
}

/// A run that is killed leaves what was there before and its checkpoint, whenever it is, and goes on from
/// that to the very network that an unbroken run makes.
#[cfg(unix)]
#[test]
fn a_killed_run_leaves_what_was_there_and_goes_on_from_its_checkpoint() {
    const STEPS: usize = 16;
    for kind in [Kind::Letters, Kind::Finder] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        kind.draw(&data);
        let made = folder.path().join("made");
        fs::create_dir(&made).unwrap();
        let [whole, mine] = ["whole.onnx", "mine.onnx"].map(|name| made.join(name));
        kind.run(&data, &whole, STEPS).assert().success();
        // An older network, which the killed run is to replace.
        kind.run(&data, &mine, 2)
            .args(["--seed", "7"])
            .assert()
            .success();
        let its_own = |path: &Path| {
            let path = path.strip_prefix(&made).unwrap().to_str().unwrap();
            path.starts_with("mine.checkpoint") || path.ends_with(".lock")
        };
        let others = || {
            let mut all = content(&made);
            all.retain(|(path, _)| !its_own(path));
            all
        };
        let before = others();
        fs::remove_dir_all(mine.with_extension("checkpoint")).unwrap();
        let often = ["--force", "--checkpoint-every", "0.0001"];
        for (kept, more) in [(0, &[][..]), (2, &["--resume"]), (5, &["--resume"])] {
            let more = [&often, more].concat();
            let mut child = kind.start(&data, &mine, STEPS, &more);
            wait_for_checkpoint(&mut child, &mine, kept);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(others() == before, "{kind:?}: something was touched");
        }
        let kept = steps_kept(&mine);
        assert!(kept < STEPS as u64, "{kind:?} was not killed in its middle");
        kind.run(&data, &mine, STEPS)
            .args(["--force", "--resume"])
            .assert()
            .success();
        assert!(
            fs::read(whole).unwrap() == fs::read(mine).unwrap(),
            "{kind:?}: it is another network"
        );
        let left = || fs::read_dir(&made).unwrap().map(|entry| entry.unwrap());
        let names: Vec<PathBuf> = left().map(|entry| entry.file_name().into()).collect();
        assert_eq!(names.len(), 8, "two runs' files alone: {names:?}");
    }
}

/// Runs the test `name` of this file again where it may mount file systems that nobody else sees; `true`
/// there, `false` once that is done, or where a reason was printed why it cannot be.
#[cfg(target_os = "linux")]
fn may_mount(name: &str) -> bool {
    const INSIDE: &str = "SIGNCAM_TEST_MAY_MOUNT";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mount = "mount -t tmpfs none /mnt";
    let unshares = [&["-m"][..], &["-r", "-m"]].map(|options| {
        let mut command = std::process::Command::new("unshare");
        command.args(options);
        command
    });
    for mut unshare in unshares {
        let mut trial = std::process::Command::new(unshare.get_program());
        trial.args(unshare.get_args()).args(["sh", "-c", mount]);
        if !trial.output().is_ok_and(|output| output.status.success()) {
            continue;
        }
        let status = unshare
            .arg(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(INSIDE, "yes")
            .status()
            .unwrap();
        assert!(status.success(), "{name}, where it may mount: {status}");
        return false;
    }
    println!("{name} is left out: nothing can be mounted here, as root or with `unshare -r -m`");
    false
}

#[cfg(target_os = "linux")]
fn mount(options: &str, at: &Path) {
    let mut command = std::process::Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "none"]).arg(at);
    assert!(command.status().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_disk_that_is_only_read_a_run_does_not_begin() {
    if !may_mount("on_a_disk_that_is_only_read_a_run_does_not_begin") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [data, disk] = ["data", "disk"].map(|name| folder.path().join(name));
    fs::create_dir(&disk).unwrap();
    draw_with_frames(&data);
    mount("size=1m", &disk);
    fs::write(disk.join("mine.onnx"), "an older network").unwrap();
    mount("remount,ro", &disk);
    let before = content(&disk);
    for kind in [Kind::Letters, Kind::Finder, Kind::Sequences] {
        kind.run(&data, &disk.join("other.onnx"), 4)
            .assert()
            .code(1)
            .stderr(contains("nothing can be written").and(contains("step").not()));
        assert!(content(&disk) == before);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_disk_with_too_little_room_a_run_does_not_begin() {
    if !may_mount("on_a_disk_with_too_little_room_a_run_does_not_begin") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [data, disk] = ["data", "disk"].map(|name| folder.path().join(name));
    fs::create_dir(&disk).unwrap();
    draw_with_frames(&data);
    mount("size=2m", &disk);
    fs::write(disk.join("mine.onnx"), "an older network").unwrap();
    let before = content(&disk);
    for kind in [Kind::Letters, Kind::Finder, Kind::Sequences] {
        kind.run(&data, &disk.join("other.onnx"), 4)
            .assert()
            .code(1)
            .stderr(contains("has room for").and(contains("step").not()));
        assert!(content(&disk) == before, "{kind:?}: something was touched");
    }
}

/// A disk that fills up while a run learns: what was there and the last whole checkpoint stay, and once
/// there is room again the run goes on to the very network that an unbroken run makes.
#[cfg(target_os = "linux")]
#[test]
fn on_a_disk_that_fills_up_a_run_keeps_its_last_checkpoint() {
    use std::io::Write;

    const STEPS: usize = 16;
    if !may_mount("on_a_disk_that_fills_up_a_run_keeps_its_last_checkpoint") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [data, disk] = ["data", "disk"].map(|name| folder.path().join(name));
    fs::create_dir(&disk).unwrap();
    draw_with_frames(&data);
    mount("size=200m", &disk);
    for kind in [Kind::Letters, Kind::Finder] {
        let whole = folder.path().join(format!("{kind:?}.onnx"));
        kind.run(&data, &whole, STEPS).assert().success();
        let mine = disk.join("mine.onnx");
        fs::write(&mine, "an older network").unwrap();
        let often = ["--force", "--checkpoint-every", "0.0001"];
        let mut child = kind.start(&data, &mine, STEPS, &often);
        wait_for_checkpoint(&mut child, &mine, 0);
        let filler = disk.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        let part = vec![0; 1 << 16];
        while child.try_wait().unwrap().is_none() {
            if file.write_all(&part).is_err() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{kind:?}: {told}");
        assert!(told.contains("cannot write"), "{kind:?}: {told}");
        assert_eq!(fs::read_to_string(&mine).unwrap(), "an older network");
        assert!(steps_kept(&mine) > 0, "{kind:?}: {told}");
        drop(file);
        fs::remove_file(filler).unwrap();
        kind.run(&data, &mine, STEPS)
            .args(["--force", "--resume"])
            .assert()
            .success();
        assert!(
            fs::read(whole).unwrap() == fs::read(&mine).unwrap(),
            "{kind:?}: it is another network"
        );
        for entry in fs::read_dir(&disk).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => fs::remove_dir_all(path).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        }
    }
}

//! Where a run writes. What was there before stays, and what can be known about a place is known
//! before the training, not after it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Serialize, Serializer};

use super::trainer::{checkpoint_bytes, has_checkpoint};

/// The files and folders of one run, all named after its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The int8 network.
    pub network: PathBuf,
    /// The folder of the report.
    pub report: PathBuf,
    /// The folder of the checkpoint.
    pub checkpoint: PathBuf,
}

/// Named by its network.
impl Serialize for Places {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.network.serialize(serializer)
    }
}

/// What a run may do with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing: each name must be free.
    Keep,
    /// Go on from the checkpoint; the other names must be free.
    Resume,
    /// Replace it.
    Replace,
    /// Go on from the checkpoint and replace the rest.
    ResumeAndReplace,
}

impl Existing {
    /// As the options `--resume` and `--force` say.
    pub fn of(resume: bool, force: bool) -> Existing {
        match (resume, force) {
            (false, false) => Existing::Keep,
            (true, false) => Existing::Resume,
            (false, true) => Existing::Replace,
            (true, true) => Existing::ResumeAndReplace,
        }
    }
}

/// The places of a run, for as long as it is held: no other run takes them meanwhile.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    _locked: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // It is empty; left behind it would be in nobody's way.
        let _ = fs::remove_file(&self.path);
    }
}

impl Places {
    /// The places of a run whose network goes to `network`; the report goes beside it unless
    /// `report` says otherwise.
    pub fn of(network: PathBuf, report: Option<PathBuf>) -> Places {
        Places {
            checkpoint: network.with_extension("checkpoint"),
            report: report.unwrap_or_else(|| network.with_extension("report")),
            network,
        }
    }

    /// Places in the current folder: for a new run the first name that nothing has yet, `pets`,
    /// `pets-2`, `pets-3` …; with `resume` the last one that has a checkpoint.
    ///
    /// # Errors
    /// When there is no checkpoint to go on from.
    pub fn unnamed(name: &str, report: Option<PathBuf>, resume: bool) -> Result<Places> {
        let mut last = None;
        for number in 1.. {
            let network = match number {
                1 => format!("{name}.onnx"),
                _ => format!("{name}-{number}.onnx"),
            };
            let places = Places::of(network.into(), report.clone());
            if resume && has_checkpoint(&places.checkpoint) {
                last = Some(places);
            } else if !places.all().iter().any(|path| path.exists()) {
                if !resume {
                    return Ok(places);
                }
                break;
            }
        }
        last.with_context(|| {
            format!(
                "--resume needs a checkpoint, and there is no {name}.checkpoint in the current folder: \
                 name the network of the run that is to go on with --out"
            )
        })
    }

    /// The places of the fold `number` of a run that leaves signers out in turn.
    pub fn fold(&self, number: usize) -> Places {
        let named = |ending: &str| self.network.with_extension(format!("fold{number}{ending}"));
        Places {
            network: named(".onnx"),
            report: named(".report"),
            checkpoint: named(""),
        }
    }

    /// Where what a run makes of its data before it learns is kept for runs to come, `what` it is: `pets.frames`.
    pub fn beside(&self, what: &str) -> PathBuf {
        self.network.with_extension(what)
    }

    /// The network in f32, which is written beside the other.
    fn network_f32(&self) -> PathBuf {
        self.network.with_extension("f32.onnx")
    }

    /// All of them.
    fn all(&self) -> [PathBuf; 4] {
        [
            self.network.clone(),
            self.network_f32(),
            self.report.clone(),
            self.checkpoint.clone(),
        ]
    }

    /// Checks that there is a checkpoint here.
    ///
    /// # Errors
    /// When there is none.
    pub fn ensure_checkpoint(&self) -> Result<()> {
        ensure!(
            has_checkpoint(&self.checkpoint),
            "--resume has nothing to go on from: there is no checkpoint {}; leave it out to begin anew",
            self.checkpoint.display()
        );
        Ok(())
    }

    /// Takes these places for a run of a network of so many `parameters`, its weights and statistics.
    ///
    /// # Errors
    /// When something is there that must stay, a name is a folder's or a file's where the other
    /// belongs, the place cannot be written to, has too little room, or another run has it.
    pub fn claim(&self, existing: Existing, parameters: usize) -> Result<Claim> {
        let network = self.network.display();
        ensure!(
            !self.network.is_dir(),
            "--out must name a file, but {network} is a folder: add a name, as in {}",
            self.network.join("network.onnx").display()
        );
        ensure!(
            self.network.file_name().is_some(),
            "--out must name a file, which {network:?} does not"
        );
        for folder in [&self.report, &self.checkpoint] {
            ensure!(
                !folder.is_file(),
                "a folder goes to {}, but a file is there: move it, or name others with --out and \
                 --report",
                folder.display()
            );
        }
        self.check_existing(existing)?;
        let claim = self.lock()?;
        self.check_report()?;
        // The old checkpoint stays until the new one is whole.
        let checkpoints = match has_checkpoint(&self.checkpoint) {
            true => 1,
            false => 2,
        };
        // In f32 and in int8, and what describes them.
        let networks = 5 * parameters as u64 + (1 << 20);
        let needed = checkpoints * checkpoint_bytes(parameters) + networks;
        let folder = folder_of(&self.network);
        let free = fs4::available_space(folder).with_context(|| {
            format!("cannot tell how much room there is in {}", folder.display())
        })?;
        ensure!(
            free >= needed,
            "{} has room for {} MB, but the networks and two checkpoints, of which one is being \
             written, need {} MB: make room, or name another place with --out",
            folder.display(),
            free / 1_000_000,
            needed.div_ceil(1_000_000)
        );
        Ok(claim)
    }

    fn check_existing(&self, existing: Existing) -> Result<()> {
        let mut taken = Vec::new();
        match existing {
            Existing::Replace | Existing::ResumeAndReplace => return Ok(()),
            Existing::Keep => {
                if has_checkpoint(&self.checkpoint) {
                    bail!(
                        "{} is the checkpoint of another run: --resume goes on with that run, --out \
                         names another place, --force begins anew and replaces it",
                        self.checkpoint.display()
                    );
                }
            }
            Existing::Resume => {}
        }
        for path in [self.network.clone(), self.network_f32()] {
            if path.exists() {
                taken.push(path);
            }
        }
        if self.report.join("report.json").exists() {
            taken.push(self.report.clone());
        }
        let names: Vec<String> = taken
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        ensure!(
            taken.is_empty(),
            "{} {} there already: name another place with --out, or replace {} with --force",
            names.join(" and "),
            if taken.len() == 1 { "is" } else { "are" },
            if taken.len() == 1 { "it" } else { "them" },
        );
        Ok(())
    }

    /// A file that only one run can hold, and a trial whether the folder can be written to.
    fn lock(&self) -> Result<Claim> {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.network.file_name().unwrap_or_default());
        name.push(".lock");
        let path = self.network.with_file_name(name);
        let folder = folder_of(&self.network);
        ensure!(
            folder.is_dir(),
            "cannot write {}: there is no folder {}; make it first",
            self.network.display(),
            folder.display()
        );
        let file = File::create(&path).with_context(|| {
            format!(
                "nothing can be written to {}: name another place with --out",
                folder.display()
            )
        })?;
        match file.try_lock() {
            // Some network drives know no locks: then nobody is told.
            Ok(()) | Err(fs::TryLockError::Error(_)) => {}
            Err(fs::TryLockError::WouldBlock) => bail!(
                "another run that writes {} is under way: wait for its end, or name another place \
                 with --out",
                self.network.display()
            ),
        }
        Ok(Claim {
            path,
            _locked: file,
        })
    }

    /// A trial whether the report's folder can be made and written to; it stays as it was.
    fn check_report(&self) -> Result<()> {
        let made = !self.report.exists();
        let trial = self.report.join(".trial");
        let tried = fs::create_dir_all(&self.report).and_then(|()| File::create(&trial));
        let _ = fs::remove_file(&trial);
        if made {
            let _ = fs::remove_dir(&self.report);
        }
        tried.map(|_| ()).with_context(|| {
            format!(
                "the report cannot be written to {}: name another place with --report",
                self.report.display()
            )
        })
    }
}

/// What a network that learned from `data` is called: as the folder or the table is.
pub fn name_of(data: &Path) -> String {
    let whole = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    let name = match data.is_file() {
        true => whole.file_stem(),
        false => whole.file_name(),
    };
    name.map_or("network".into(), |name| name.to_string_lossy().into_owned())
}

/// The folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: usize = 100;

    fn told(places: &Places, existing: Existing, parameters: usize) -> String {
        match places.claim(existing, parameters) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn what_is_there_is_replaced_by_force_only() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path().join("pets.onnx"), None);
        assert_eq!(told(&places, Existing::Keep, SMALL), "");
        let file = folder.path().join("pets.f32.onnx");
        let report = folder.path().join("pets.report");
        for path in [&file, &report] {
            if path == &report {
                fs::create_dir(&report).unwrap();
                fs::write(report.join("report.json"), "{}").unwrap();
            } else {
                fs::write(path, "a network").unwrap();
            }
            for existing in [Existing::Keep, Existing::Resume] {
                let told = told(&places, existing, SMALL);
                assert!(told.contains("--force"), "{told}");
                assert!(told.contains(&path.display().to_string()), "{told}");
            }
            assert_eq!(told(&places, Existing::Replace, SMALL), "");
            assert_eq!(told(&places, Existing::ResumeAndReplace, SMALL), "");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "a network");
    }

    #[test]
    fn two_runs_do_not_write_the_same_network() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path().join("pets.onnx"), None);
        let first = places.claim(Existing::Keep, SMALL).unwrap();
        let told_second = told(&places, Existing::Keep, SMALL);
        assert!(told_second.contains("under way"), "{told_second}");
        drop(first);
        assert_eq!(told(&places, Existing::Keep, SMALL), "");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn too_little_room_is_told_before_the_training() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path().join("pets.onnx"), None);
        let told = told(&places, Existing::Keep, 1 << 56);
        assert!(
            told.contains("room for") && told.contains("--out"),
            "{told}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

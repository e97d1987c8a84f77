//! Labelled pictures in folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use crate::base::picture::{READ, Sieve};
use crate::model::NOTHING;

/// The label of pictures of a hand that signs no letter; counted as [`NOTHING`], unless the model
/// has a class of this name.
const OTHER: &str = "other";

/// A picture, who signs in it, and what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Labelled {
    pub path: PathBuf,
    pub signer: Arc<str>,
    pub label: Arc<str>,
    /// Whether it shows no letter, nor anything else that is a class.
    pub is_nothing: bool,
}

/// The pictures under `folder`, by signer and label, in path order.
///
/// # Errors
/// When the folder cannot be read, holds no pictures, or a label is none of `known` and does not
/// stand for no letter.
pub(super) fn labelled_pictures(folder: &Path, known: &[Arc<str>]) -> Result<Vec<Labelled>> {
    ensure!(
        folder.is_dir(),
        "there is no folder {} to evaluate",
        folder.display()
    );
    let top = folders_in(folder)?;
    let mut one_signer = false;
    for inner in &top {
        one_signer |= !pictures_in(inner, &mut Sieve::default())?.is_empty();
    }
    let mut pictures = Vec::new();
    let mut sieve = Sieve::default();
    if one_signer {
        let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        add_signer(&mut pictures, &mut sieve, &name(&whole), &top, known)?;
    } else {
        for signer in &top {
            let labels = folders_in(signer)?;
            add_signer(&mut pictures, &mut sieve, &name(signer), &labels, known)?;
        }
    }
    ensure!(
        !pictures.is_empty(),
        "there are no pictures in {0}: they are looked for in {0}/<signer>/<LABEL>/ and \
         {0}/<LABEL>/; {1}",
        folder.display(),
        sieve.left_out().unwrap_or(format!("{READ} are read"))
    );
    sieve.warn();
    Ok(pictures)
}

fn add_signer(
    pictures: &mut Vec<Labelled>,
    sieve: &mut Sieve,
    signer: &str,
    labels: &[PathBuf],
    known: &[Arc<str>],
) -> Result<()> {
    let signer: Arc<str> = signer.into();
    for folder in labels {
        let paths = pictures_in(folder, sieve)?;
        let label = name(folder);
        if paths.is_empty() {
            continue;
        }
        let is_nothing = is_no_letter(&label, known);
        if !is_nothing && !known.iter().any(|known| **known == *label) {
            let known: BTreeSet<&str> = known.iter().map(|known| &**known).collect();
            bail!(
                "{} is named after no label of the model; it knows {}, and other and nothing \
                 stand for no letter",
                folder.display(),
                known.into_iter().collect::<Vec<_>>().join(" ")
            );
        }
        let label: Arc<str> = label.into();
        pictures.extend(paths.into_iter().map(|path| Labelled {
            path,
            signer: Arc::clone(&signer),
            label: Arc::clone(&label),
            is_nothing,
        }));
    }
    Ok(())
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, |path| path.is_dir())
}

fn pictures_in(folder: &Path, sieve: &mut Sieve) -> Result<Vec<PathBuf>> {
    entries(folder, |path| sieve.takes(path))
}

/// A folder's entries that are wanted, sorted, hidden ones left out.
fn entries(folder: &Path, mut wanted: impl FnMut(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut list = || {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !name(&path).starts_with('.') && wanted(&path) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok::<_, std::io::Error>(paths)
    };
    list().with_context(|| format!("cannot list the folder {}", folder.display()))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Whether a label stands for no letter, with a model of these labels.
pub(super) fn is_no_letter(label: &str, known: &[Arc<str>]) -> bool {
    label == NOTHING || label == OTHER && !known.iter().any(|known| **known == *label)
}

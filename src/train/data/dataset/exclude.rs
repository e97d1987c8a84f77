//! Which pictures of a CSV to leave out.

use std::ffi::OsStr;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
use glob::Pattern;
use serde::{Serialize, Serializer};

/// Leaves pictures out by signer, label and name: `SIGNER`, `SIGNER/LABEL` or
/// `SIGNER/LABEL/PICTURE`, each with `*`, `?` and `[…]` as in a shell. `massey_*` leaves those
/// signers out, `nihal108/[MN]` two letters of one, `*/digit_0` a source class of everybody,
/// `goshattrv/R/0331[678]` three pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclude {
    signer: Pattern,
    label: Option<Pattern>,
    picture: Option<Pattern>,
}

/// A picture that may be left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Who signs.
    pub signer: &'a str,
    /// The picture's class.
    pub label: &'a str,
    /// The finer class that the source gave it.
    pub source_class: Option<&'a str>,
    /// The picture's file, of which the name counts, without folders and extension.
    pub path: &'a Path,
}

impl Exclude {
    /// Whether a picture is left out. The label's pattern may match the label or the source's
    /// class.
    pub(super) fn matches(&self, picture: Candidate) -> bool {
        let label = |pattern: &Pattern| {
            let class = picture.source_class;
            pattern.matches(picture.label) || class.is_some_and(|class| pattern.matches(class))
        };
        let name = picture.path.file_stem().and_then(OsStr::to_str);
        let name = |pattern: &Pattern| name.is_some_and(|name| pattern.matches(name));
        self.signer.matches(picture.signer)
            && self.label.as_ref().is_none_or(label)
            && self.picture.as_ref().is_none_or(name)
    }

    /// Whether every picture of a signer is left out.
    pub(super) fn matches_signer(&self, signer: &str) -> bool {
        self.label.is_none() && self.signer.matches(signer)
    }
}

impl FromStr for Exclude {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let pattern = |part: &str| {
            Pattern::new(part).with_context(|| format!("{part:?} is not a pattern of names"))
        };
        let mut parts = text.splitn(3, '/');
        Ok(Exclude {
            signer: pattern(parts.next().unwrap_or_default())?,
            label: parts.next().map(pattern).transpose()?,
            picture: parts.next().map(pattern).transpose()?,
        })
    }
}

impl std::fmt::Display for Exclude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.signer)?;
        for part in self.label.iter().chain(&self.picture) {
            write!(f, "/{part}")?;
        }
        Ok(())
    }
}

impl Serialize for Exclude {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, signer: &str, label: &str, class: Option<&str>) -> bool {
        let picture = Candidate {
            signer,
            label,
            source_class: class,
            path: Path::new("hands/00017.jpg"),
        };
        pattern.parse::<Exclude>().unwrap().matches(picture)
    }

    #[test]
    fn a_signer_pattern_leaves_out_every_label_of_those_signers_only() {
        assert!(matches("massey_*", "massey_hand1", "A", None));
        assert!(!matches("massey_*", "henhunhan", "A", None));
    }

    #[test]
    fn a_label_pattern_leaves_out_that_label_of_those_signers_only() {
        assert!(matches("nihal108/[MN]", "nihal108", "N", None));
        assert!(!matches("nihal108/[MN]", "nihal108", "A", None));
        assert!(!matches("nihal108/[MN]", "sulistyo", "N", None));
    }

    #[test]
    fn a_source_class_is_left_out_for_everybody() {
        assert!(matches("*/digit_0", "sulistyo", "other", Some("digit_0")));
        assert!(!matches("*/digit_0", "sulistyo", "other", Some("digit_1")));
    }

    #[test]
    fn a_picture_pattern_leaves_out_those_pictures_of_that_label_only() {
        assert!(matches("ann/A/0001[67]", "ann", "A", None));
        assert!(!matches("ann/A/0001[68]", "ann", "A", None));
        assert!(!matches("ann/B/00017", "ann", "A", None));
        assert!(!matches("ann/A/00017.jpg", "ann", "A", None));
    }

    #[test]
    fn a_pattern_is_shown_as_it_was_given() {
        for pattern in ["massey_*", "nihal108/[MN]", "goshattrv/R/0331[678]"] {
            assert_eq!(pattern.parse::<Exclude>().unwrap().to_string(), pattern);
        }
    }

    #[test]
    fn a_broken_pattern_is_refused_and_named() {
        let error = "signer/[".parse::<Exclude>().unwrap_err();
        assert!(format!("{error:#}").contains("\"[\""), "{error:#}");
    }
}

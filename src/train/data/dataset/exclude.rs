//! Which pictures of a CSV to leave out.

use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use glob::Pattern;
use serde::{Serialize, Serializer};

/// Leaves pictures out by signer and label: `SIGNER` or `SIGNER/LABEL`, each with `*`, `?` and
/// `[…]` as in a shell. `massey_*` leaves those signers out, `nihal108/[MN]` two letters of one,
/// `*/digit_0` a source class of everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclude {
    signer: Pattern,
    label: Option<Pattern>,
}

impl Exclude {
    /// Whether a picture of this signer is left out. The label's pattern may match the label or
    /// the finer class that the source gave it.
    pub(super) fn matches(&self, signer: &str, label: &str, source_class: Option<&str>) -> bool {
        self.signer.matches(signer)
            && self.label.as_ref().is_none_or(|pattern| {
                pattern.matches(label) || source_class.is_some_and(|class| pattern.matches(class))
            })
    }

    /// Whether every picture of a signer is left out.
    pub(in crate::train::data) fn matches_signer(&self, signer: &str) -> bool {
        self.label.is_none() && self.signer.matches(signer)
    }
}

impl FromStr for Exclude {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let pattern = |part: &str| {
            Pattern::new(part).with_context(|| format!("{part:?} is not a pattern of names"))
        };
        let (signer, label) = match text.split_once('/') {
            Some((signer, label)) => (signer, Some(label)),
            None => (text, None),
        };
        ensure!(
            label.is_none_or(|label| !label.contains('/')),
            "{text:?} names more than a signer and a label"
        );
        Ok(Exclude {
            signer: pattern(signer)?,
            label: label.map(pattern).transpose()?,
        })
    }
}

impl std::fmt::Display for Exclude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.signer)?;
        match &self.label {
            Some(label) => write!(f, "/{label}"),
            None => Ok(()),
        }
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
        let pattern = pattern.parse::<Exclude>().unwrap();
        pattern.matches(signer, label, class)
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
    fn a_pattern_is_shown_as_it_was_given() {
        for pattern in ["massey_*", "nihal108/[MN]"] {
            assert_eq!(pattern.parse::<Exclude>().unwrap().to_string(), pattern);
        }
    }

    #[test]
    fn a_broken_pattern_is_refused_and_named() {
        for (text, named) in [("signer/[", "\"[\""), ("ann/A/00017", "ann/A/00017")] {
            let error = text.parse::<Exclude>().unwrap_err();
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}

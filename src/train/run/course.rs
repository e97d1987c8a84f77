//! The options that decide a run's steps, kept with its checkpoints: only the same run goes on from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trainer::read_note;

/// What a run keeps with its checkpoints besides weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept<T> {
    /// What decides its steps.
    pub course: Course,
    /// How long it has learned, all its parts together.
    pub learned: Duration,
    /// What is to be known of the network that learns.
    pub network: T,
}

impl<T: DeserializeOwned> Kept<T> {
    /// Reads it from the checkpoint in the folder `path`.
    ///
    /// # Errors
    /// When there is no checkpoint, it is damaged, or it is another kind of network's.
    pub fn read(path: &Path) -> Result<Self> {
        serde_json::from_str(&read_note(path)?)
            .context("it is another kind of network's, or of another version of this program")
    }

    /// Reads it from the checkpoint that a run which takes `course` is to go on from.
    ///
    /// # Errors
    /// As [`Kept::read`], and when that checkpoint's run took another course.
    pub fn resume(path: &Path, course: &Course) -> Result<Self> {
        let read = || -> Result<Self> {
            let kept = Self::read(path)?;
            kept.course.ensure_same(course)?;
            Ok(kept)
        };
        read().with_context(|| {
            format!(
                "cannot resume from the checkpoint {}: give the options and the data of its run, or start anew elsewhere, without --resume",
                path.display()
            )
        })
    }
}

/// What a fact about the data is named with.
const DATA: &str = "pictures: ";

/// Options by name, with their values as JSON; those that are not set are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course(BTreeMap<String, String>);

impl Course {
    /// All of `options` but those whose names are in `but`; an option within another is named
    /// `outer.inner`.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn of(options: &impl Serialize, but: &[&str]) -> Result<Self> {
        // By way of text, in which 0.1 stays 0.1 whatever its precision.
        let value: Value = serde_json::from_str(&serde_json::to_string(options)?)?;
        let mut course = BTreeMap::new();
        flatten(String::new(), value, &mut course);
        course.retain(|name, _| !but.contains(&name.as_str()));
        Ok(Course(course))
    }

    /// Adds what the data are, as [`Dataset::fingerprint`] says it.
    ///
    /// [`Dataset::fingerprint`]: crate::train::data::dataset::Dataset::fingerprint
    pub fn add_data(&mut self, facts: BTreeMap<String, String>) {
        let named = facts.into_iter();
        self.0
            .extend(named.map(|(name, fact)| (format!("{DATA}{name}"), fact)));
    }

    /// Whether it says what the data are; earlier versions of this program did not note it.
    fn knows_data(&self) -> bool {
        self.0.keys().any(|name| name.starts_with(DATA))
    }

    /// Checks that `now` takes the same steps as the run that these options were kept of.
    ///
    /// # Errors
    /// When an option differs, by its name and both values.
    pub fn ensure_same(&self, now: &Course) -> Result<()> {
        let text = |course: &Course, name: &str| match course.0.get(name) {
            Some(value) => value.clone(),
            None => "not set".to_owned(),
        };
        let names: BTreeSet<&String> = self.0.keys().chain(now.0.keys()).collect();
        let different: Vec<String> = names
            .into_iter()
            .filter(|name| self.knows_data() || !name.starts_with(DATA))
            .filter(|name| self.0.get(*name) != now.0.get(*name))
            .map(|name| format!("{name}: {}, now {}", text(self, name), text(now, name)))
            .collect();
        ensure!(
            different.is_empty(),
            "its run had other options or data ({})",
            different.join("; ")
        );
        Ok(())
    }
}

fn flatten(name: String, value: Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = match name.as_str() {
                    "" => field,
                    outer => format!("{outer}.{field}"),
                };
                flatten(name, value, into);
            }
        }
        value => {
            into.insert(name, value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_named_with_both_values() {
        let options = |augment: &str, small: Value| {
            let options =
                json!({"augment": augment, "small": small, "rate": 0.1f32, "out": augment});
            Course::of(&options, &["out"]).unwrap()
        };
        let kept = options("rough", json!({"epochs": 3, "size": 128}));
        kept.ensure_same(&kept.clone()).unwrap();
        let now = options("rooms", Value::Null);
        let error = kept.ensure_same(&now).unwrap_err().to_string();
        for part in [
            r#"augment: "rough", now "rooms""#,
            "small.epochs: 3, now not set",
            "small.size: 128, now not set",
        ] {
            assert!(error.contains(part), "{error}");
        }
        for part in ["out:", "rate:"] {
            assert!(!error.contains(part), "{error}");
        }
    }

    #[test]
    fn other_data_are_named_unless_the_checkpoint_does_not_know_its_own() {
        let facts = |cats: &str| BTreeMap::from([("cat to learn from".into(), cats.into())]);
        let old = Course::default();
        let [mut kept, mut now] = [Course::default(), Course::default()];
        kept.add_data(facts("24"));
        now.add_data(facts("23"));
        old.ensure_same(&now).unwrap();
        kept.ensure_same(&kept.clone()).unwrap();
        let error = kept.ensure_same(&now).unwrap_err().to_string();
        assert!(error.contains("cat to learn from: 24, now 23"), "{error}");
    }

    #[test]
    fn a_course_survives_its_checkpoint() {
        #[derive(Serialize)]
        struct Options {
            ema: f32,
            exclude: Vec<&'static str>,
        }
        let options = Options {
            ema: 0.998,
            exclude: vec!["ann/A"],
        };
        let course = Course::of(&options, &[]).unwrap();
        let text = serde_json::to_string(&course).unwrap();
        assert_eq!(serde_json::from_str::<Course>(&text).unwrap(), course);
        assert!(text.contains("0.998\""), "{text}");
    }
}

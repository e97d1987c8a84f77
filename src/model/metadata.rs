//! What a model file says about itself, in its `metadata_props`: read here and written from here,
//! so that the trainer and the program cannot disagree on a key or a unit.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::base::frame::{Rect, Region};

/// The largest input a network may have, in pixels a side.
pub const MAX_INPUT_SIZE: usize = 1024;

/// The label of pictures that show no letter.
pub const NOTHING: &str = "nothing";

/// Whether a label is one of the 26 letters.
pub fn is_letter(label: &str) -> bool {
    matches!(label.as_bytes(), [b'A'..=b'Z'])
}

/// The most labels a model may have.
const MAX_LABELS: usize = 4096;

/// How a picture becomes a network's input: a square of `input_size` RGB pixels, each byte `p`
/// of which is read as `(p / 255 - mean) / std`, with the mean and deviation of its channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    /// Height and width of the input, in pixels.
    pub input_size: usize,
    /// Subtracted from a byte's 255th: of red, green and blue.
    pub mean: [f32; 3],
    /// Divides the difference: of red, green and blue.
    pub std: [f32; 3],
    /// The crop's side as a multiple of the hand box's larger side.
    pub crop_scale: f32,
}

impl Preprocessing {
    /// The mean of all networks made here: 114 of 255, so that the int8 input's zero point is
    /// a byte's value and a convolution's zero padding is exactly this grey.
    pub const MEAN: f32 = 114.0 / 255.0;

    /// The standard deviation of all networks made here, in 255ths of a byte: the mean of
    /// ImageNet's three.
    pub const STD: f32 = 0.226;

    /// Preprocessing with the mean and deviation that all networks made here share.
    pub fn new(input_size: usize, crop_scale: f32) -> Self {
        Preprocessing {
            input_size,
            mean: [Self::MEAN; 3],
            std: [Self::STD; 3],
            crop_scale,
        }
    }

    /// Writes a crop's normalised channels, one after the other (`[3, size, size]`), to `out`.
    /// What exceeds the shorter of the two is left alone.
    pub fn normalise(&self, crop: &[u8], out: &mut [f32]) {
        let plane = out.len() / 3;
        if plane == 0 {
            return;
        }
        for (channel, plane) in out.chunks_exact_mut(plane).take(3).enumerate() {
            let factor = 1.0 / (255.0 * self.std[channel]);
            let offset = self.mean[channel] / self.std[channel];
            for (value, pixel) in plane.iter_mut().zip(crop.chunks_exact(3)) {
                *value = f32::from(pixel[channel]) * factor - offset;
            }
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            (1..=MAX_INPUT_SIZE).contains(&self.input_size),
            "its input_size is {}, but must be 1 to {MAX_INPUT_SIZE} pixels",
            self.input_size
        );
        ensure!(
            self.mean.iter().all(|mean| mean.is_finite())
                && self.std.iter().all(|&std| std.is_finite() && std > 0.0),
            "its mean {} or std {} is no number to normalise with",
            channels_text(self.mean),
            channels_text(self.std)
        );
        ensure!(
            (0.1..=10.0).contains(&self.crop_scale),
            "its crop_scale is {}, but must be 0.1 to 10",
            self.crop_scale
        );
        Ok(())
    }
}

/// What of a picture a network reads: the key `reads` of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// A hand: a square around its box
    #[default]
    Hand,
    /// The whole picture, squeezed into a square
    Squeezed,
    /// The square in the picture's middle
    Cut,
}

impl Reads {
    /// Whether it is the whole picture, so that no hand is looked for.
    pub fn is_whole(self) -> bool {
        self != Reads::Hand
    }

    /// What becomes the network's input, where the hand, or what else is to be read, lies in `place`
    /// of a picture of `width` x `height` pixels. `crop_scale` is the network's, for hands.
    pub fn region(self, place: Rect, crop_scale: f32, width: usize, height: usize) -> Region {
        match self {
            Reads::Hand => place.square(crop_scale, width, height).into(),
            Reads::Squeezed => place.region(width, height),
            Reads::Cut => place.middle(width, height).into(),
        }
    }
}

/// Its value in a file.
impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reads::Hand => "hand",
            Reads::Squeezed => "squeezed",
            Reads::Cut => "cut",
        })
    }
}

impl FromStr for Reads {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Reads> {
        [Reads::Hand, Reads::Squeezed, Reads::Cut]
            .into_iter()
            .find(|reads| reads.to_string() == text.trim())
            .with_context(|| format!("its reads is {text:?}, but must be hand, squeezed or cut"))
    }
}

/// What a letter network's file says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// What the outputs mean, in order; [`NOTHING`] for no letter.
    pub labels: Vec<String>,
    /// How a picture becomes the input.
    pub preprocessing: Preprocessing,
    /// What of it does.
    pub reads: Reads,
    /// Under what terms the weights may be used; empty where the file does not say.
    pub license: String,
    /// The commit of this project that trained it; empty where the file does not say.
    pub training_commit: String,
    /// The training data in a sentence; empty where the file does not say.
    pub data: String,
}

impl Metadata {
    /// Metadata of a network of hands made here.
    pub fn new(labels: Vec<String>, preprocessing: Preprocessing) -> Self {
        Metadata {
            labels,
            preprocessing,
            reads: Reads::Hand,
            license: String::new(),
            training_commit: String::new(),
            data: String::new(),
        }
    }

    /// Keys and values as they stand in a file: at its end, and the labels last, so that a file
    /// that lost any of its end cannot be read.
    ///
    /// # Errors
    /// When [`Metadata::from_props`] would refuse them.
    pub fn to_props(&self) -> Result<Vec<(&'static str, String)>> {
        self.check()?;
        let Preprocessing {
            input_size,
            mean,
            std,
            crop_scale,
        } = self.preprocessing;
        Ok(vec![
            ("license", self.license.clone()),
            ("training_commit", self.training_commit.clone()),
            ("data", self.data.clone()),
            ("input_size", input_size.to_string()),
            ("mean", channels_text(mean)),
            ("std", channels_text(std)),
            ("crop_scale", crop_scale.to_string()),
            ("reads", self.reads.to_string()),
            ("labels", serde_json::to_string(&self.labels)?),
        ])
    }

    /// Reads a file's keys and values.
    ///
    /// # Errors
    /// When keys that are needed to read pictures are missing, naming all of them, or a value
    /// makes no sense.
    pub fn from_props(props: &BTreeMap<String, String>) -> Result<Self> {
        let reads: Reads = match props.get("reads") {
            Some(reads) => reads.parse()?,
            None => Reads::default(),
        };
        let needs_crop_scale = (!reads.is_whole()).then_some("crop_scale");
        let keys = ["labels", "input_size", "mean", "std"].into_iter();
        check_needed(props, keys.chain(needs_crop_scale))?;
        let text = |key: &str| props.get(key).cloned().unwrap_or_default();
        let labels = needed(props, "labels")?;
        // There is no hand's box to scale where the whole picture is read.
        let crop_scale = match reads.is_whole() && !props.contains_key("crop_scale") {
            true => 1.0,
            false => number(props, "crop_scale")?,
        };
        let metadata = Metadata {
            labels: serde_json::from_str(labels)
                .context("its labels are no JSON array of strings")?,
            preprocessing: Preprocessing {
                input_size: number(props, "input_size")?,
                mean: channels(props, "mean")?,
                std: channels(props, "std")?,
                crop_scale,
            },
            reads,
            license: text("license"),
            training_commit: text("training_commit"),
            data: text("data"),
        };
        metadata.check()?;
        Ok(metadata)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            (2..=MAX_LABELS).contains(&self.labels.len()),
            "it has {} labels, but 2 to {MAX_LABELS} make sense",
            self.labels.len()
        );
        let mut seen = HashSet::new();
        for label in &self.labels {
            if label.is_empty() || !seen.insert(label) {
                bail!("its label {label:?} is empty or stands there twice");
            }
        }
        self.preprocessing.check()
    }
}

/// Refuses a file that lacks any of these keys.
///
/// # Errors
/// Naming all that are missing.
pub(super) fn check_needed<'a>(
    props: &BTreeMap<String, String>,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let missing: Vec<&str> = (keys.into_iter())
        .filter(|&key| !props.contains_key(key))
        .collect();
    ensure!(
        missing.is_empty(),
        "its metadata_props lack {}; docs/models.md says what each means and how to write it \
         into the file",
        missing.join(", ")
    );
    Ok(())
}

pub(super) fn needed<'a>(props: &'a BTreeMap<String, String>, key: &str) -> Result<&'a str> {
    check_needed(props, [key])?;
    Ok(&props[key])
}

/// A number for all channels, or an array of one each for red, green and blue.
pub(super) fn channels(props: &BTreeMap<String, String>, key: &str) -> Result<[f32; 3]> {
    let value = needed(props, key)?;
    if !value.trim_start().starts_with('[') {
        return Ok([number(props, key)?; 3]);
    }
    serde_json::from_str(value).with_context(|| {
        format!("its {key} is {value:?}, which is neither a number nor an array of three")
    })
}

/// As [`channels`] reads it.
pub(super) fn channels_text(values: [f32; 3]) -> String {
    match values {
        [red, green, blue] if red == green && red == blue => red.to_string(),
        [red, green, blue] => format!("[{red}, {green}, {blue}]"),
    }
}

pub(super) fn number<T: FromStr>(props: &BTreeMap<String, String>, key: &str) -> Result<T> {
    let value = needed(props, key)?;
    value
        .trim()
        .parse()
        .map_err(|_| anyhow::anyhow!("its {key} is {value:?}, which is no number of its kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata {
            license: "MIT".into(),
            data: "drawn, \"quoted\"".into(),
            ..Metadata::new(
                vec!["A".into(), "\u{d6}".into(), NOTHING.into()],
                Preprocessing::new(160, 1.35),
            )
        }
    }

    fn props(metadata: &Metadata) -> BTreeMap<String, String> {
        let props = metadata.to_props().unwrap();
        props.into_iter().map(|(k, v)| (k.into(), v)).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = metadata();
        assert_eq!(Metadata::from_props(&props(&written)).unwrap(), written);
    }

    #[test]
    fn a_missing_or_senseless_value_is_named() {
        for (key, value) in [
            ("labels", None),
            ("labels", Some("A, B")),
            ("labels", Some("[\"A\"]")),
            ("labels", Some("[\"A\", \"A\"]")),
            ("input_size", None),
            ("input_size", Some("-3")),
            ("input_size", Some("1000000000")),
            ("mean", Some("NaN")),
            ("mean", Some("[0.5, 0.5]")),
            ("std", Some("[0.2, 0.2, -0.2]")),
            ("std", Some("0")),
            ("crop_scale", Some("wide")),
            ("crop_scale", Some("0")),
            ("reads", Some("whole")),
        ] {
            let mut props = props(&metadata());
            match value {
                Some(value) => props.insert(key.into(), value.into()),
                None => props.remove(key),
            };
            let error = format!("{:#}", Metadata::from_props(&props).unwrap_err());
            assert!(error.contains(key.trim_end_matches('s')), "{key}: {error}");
        }
    }

    #[test]
    fn a_network_of_whole_pictures_needs_no_crop_scale() {
        let whole = Metadata {
            reads: Reads::Squeezed,
            ..metadata()
        };
        let mut props = props(&whole);
        assert_eq!(Metadata::from_props(&props).unwrap(), whole);
        props.remove("crop_scale");
        let read = Metadata::from_props(&props).unwrap();
        assert_eq!(read.reads, Reads::Squeezed);
        props.remove("reads");
        assert!(Metadata::from_props(&props).is_err(), "a hand needs one");
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let error = Metadata::from_props(&BTreeMap::new()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("labels, input_size, mean, std, crop_scale"),
            "{error}"
        );
    }

    #[test]
    fn each_channel_may_have_a_mean_and_deviation_of_its_own() {
        let mut props = props(&metadata());
        props.insert("mean".into(), "[0.2, 0.4, 0.6]".into());
        props.insert("std".into(), "[0.1, 0.2, 0.4]".into());
        let read = Metadata::from_props(&props).unwrap();
        let mut out = [0.0; 3];
        read.preprocessing.normalise(&[51, 0, 255], &mut out);
        for (value, expected) in out.into_iter().zip([0.0, -2.0, 1.0]) {
            assert!((value - expected).abs() < 1e-5, "{out:?}");
        }
        let again = self::props(&read);
        assert_eq!(Metadata::from_props(&again).unwrap(), read);
    }

    #[test]
    fn the_mean_grey_becomes_zero() {
        let mut out = vec![9.0; 3];
        Preprocessing::new(1, 1.0).normalise(&[114; 3], &mut out);
        assert!(out.iter().all(|v| v.abs() < 1e-6), "{out:?}");
    }
}

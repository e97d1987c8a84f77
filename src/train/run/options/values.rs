//! What single options can be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::train::data::augment::Recipe;
use crate::train::data::loader::Balance;
use crate::train::network::block::Mode;
use crate::train::network::mobilenet::MobileNet;

/// Which recipe to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The tutorial's: frozen backbone, mean of its map, 64 units with ReLU, dropout 0.5, softmax
    Notebook,
    /// Frozen backbone, one layer on top: minutes
    Transfer,
    /// Every layer learns, crops vary strongly: for signers who are in no training picture
    Finetune,
    /// A trained network learns one signer, or new classes, from few pictures: minutes
    Adapt,
}

/// What normalises activations while a network learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistics {
    /// Mean and deviation of each batch: for many pictures of many signers
    Batch,
    /// What the network was trained with; network files hold nothing else
    Fixed,
}

impl Statistics {
    /// How units that learn are used.
    pub fn mode(self) -> Mode {
        match self {
            Statistics::Batch => Mode::Train,
            Statistics::Fixed => Mode::Tune,
        }
    }
}

/// How training crops are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Not at all
    None,
    /// Rotation 20°, shift 0.2, zoom 0.2, brightness, mirror
    Notebook,
    /// New rooms, cameras and hands
    Rooms,
    /// The same, turned further, lit worse, more often far away or moving
    RoughRooms,
}

impl Augment {
    /// Its ranges and chances.
    pub fn recipe(self) -> Recipe {
        match self {
            Augment::None => Recipe::NONE,
            Augment::Notebook => Recipe::NOTEBOOK,
            Augment::Rooms => Recipe::ROOMS,
            Augment::RoughRooms => Recipe::ROUGH_ROOMS,
        }
    }
}

/// How often each signer is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BalanceBy {
    /// Every picture once an epoch
    Pictures,
    /// A signer as often as the square root of their pictures
    Root,
    /// Every signer equally often
    Signers,
}

impl From<BalanceBy> for Balance {
    fn from(by: BalanceBy) -> Balance {
        match by {
            BalanceBy::Pictures => Balance::Pictures,
            BalanceBy::Root => Balance::Root,
            BalanceBy::Signers => Balance::Signers,
        }
    }
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// The processor
    Cpu,
    /// An NVIDIA GPU
    #[cfg(feature = "train-cuda")]
    Cuda,
    /// Any GPU, through Vulkan, Metal or DirectX
    #[cfg(feature = "train-wgpu")]
    Wgpu,
}

/// What the backbone's weights start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backbone {
    /// Random weights.
    Random,
    /// torchvision's file.
    File(PathBuf),
}

impl Backbone {
    /// Fills a backbone with these weights.
    ///
    /// # Errors
    /// When their file cannot be read or is another network's.
    pub fn fill(&self, net: MobileNet, device: &Device) -> Result<MobileNet> {
        match self {
            Backbone::Random => Ok(net),
            Backbone::File(path) => net.load_imagenet(path, device),
        }
    }
}

impl FromStr for Backbone {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Backbone, Self::Err> {
        Ok(match text {
            "none" => Backbone::Random,
            path => Backbone::File(path.into()),
        })
    }
}

impl Serialize for Backbone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Backbone::Random => serializer.serialize_str("none"),
            Backbone::File(path) => path.serialize(serializer),
        }
    }
}

/// Which of the backbone's units do not learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// Every unit learns.
    None,
    /// No unit learns.
    All,
    /// The lowest ones do not learn.
    Lowest(usize),
}

impl Freeze {
    /// How many of `units` do not learn, from the lowest.
    pub fn units(self, units: usize) -> usize {
        match self {
            Freeze::None => 0,
            Freeze::All => units,
            Freeze::Lowest(frozen) => frozen.min(units),
        }
    }
}

impl FromStr for Freeze {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Freeze> {
        match text {
            "none" => Ok(Freeze::None),
            "all" => Ok(Freeze::All),
            _ => text
                .parse()
                .map(Freeze::Lowest)
                .context("expected none, all or how many of the lowest units"),
        }
    }
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Freeze::None => f.write_str("none"),
            Freeze::All => f.write_str("all"),
            Freeze::Lowest(units) => units.fmt(f),
        }
    }
}

impl Serialize for Freeze {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Leave-signers-out evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Folds {
    /// Groups of signers, each left out once.
    pub count: usize,
}

impl FromStr for Folds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Folds> {
        const DEFAULT: usize = 5;
        let count = match text.split_once('=') {
            None if text == "signers" => DEFAULT,
            Some(("signers", count)) => count
                .parse()
                .with_context(|| format!("{count:?} is not a number of groups"))?,
            _ => bail!("expected signers, or signers=N for N groups of them"),
        };
        ensure!(count >= 2, "leaving signers out takes at least two groups");
        Ok(Folds { count })
    }
}

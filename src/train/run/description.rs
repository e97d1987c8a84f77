//! What a network is apart from its weights: kept with its checkpoints, read from its file.

use serde::{Deserialize, Serialize};

use crate::model::Reads;

/// What a letter network is, but for its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// What its outputs mean, in order.
    pub labels: Vec<String>,
    /// Width of the dense layer before the last one, where there is one.
    pub hidden: Option<usize>,
    /// Whether the hand's points are a second output.
    pub points: bool,
    /// Its input's side, in pixels.
    pub size: usize,
    /// The crop's side as a multiple of the hand box's larger side.
    pub crop_scale: f32,
    /// What of a picture it reads.
    #[serde(default)]
    pub reads: Reads,
}

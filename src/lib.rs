//! Reads American Sign Language fingerspelling letters from a camera, live.
//!
//! A frame's way through the crate:
//!
//! ```text
//! source ──▶ mailbox ──▶ recognize ──▶ Reading ──▶ sink
//! (camera,   (newest     (hand, crop,  (letter,    (window, JSON lines,
//!  video,     wins,       letter)       confidence, recorder)
//!  pictures)  counted)                  box, times)
//! ```
//!
//! - [`frame`]: pixels with a sequence number and a capture time, and the geometry of boxes.
//! - [`picture`]: picture files, decoded.
//! - [`source`]: where frames come from, behind one trait.
//! - [`mailbox`]: hands the newest frame from one thread to another and counts what it replaces.
//! - [`model`]: loads an ONNX file with its labels and preprocessing, refuses what does not fit.
//! - [`int8`]: quantised operators for the model runtime; knows nothing of signs.
//! - [`recognize`]: frame in, [`recognize::Reading`] out.
//! - [`overlay`]: draws a reading into a framebuffer.
//! - `mp4` (feature `record`): recordings, written and read.
//! - [`sink`]: where readings and pictures go.
//! - [`stats`]: times per stage, rates, drops.
//! - [`live`]: the threads, wired together.
//! - [`files`]: files written whole or not at all.
//! - [`predict`], [`eval`]: the commands that read picture files.
//! - `render` (feature `record`): the overlay on an existing video.
//! - [`watch`], [`mod@bench`]: the commands that watch a source; [`inputs`]: the options they share.
//! - `latency` (features `camera` and `window`): from the screen through the camera to the program.
//! - `collect` (feature `window`): labelled pictures of one's own signs.
//! - [`cli`]: the command line.
//! - [`train`]: makes the models; what learns needs the feature `train`.
//!
//! Dependencies point one way: `frame` ◀ `source`, `recognize`, `overlay`, `sink` ◀ `live` ◀ `cli`.

pub mod bench;
#[cfg(feature = "camera")]
pub mod cameras;
pub mod cli;
#[cfg(feature = "window")]
pub mod collect;
pub mod eval;
pub mod files;
pub mod frame;
pub mod inputs;
pub mod int8;
#[cfg(all(feature = "camera", feature = "window"))]
pub mod latency;
pub mod live;
pub mod machine;
pub mod mailbox;
pub mod model;
#[cfg(feature = "record")]
pub mod mp4;
pub mod overlay;
pub mod picture;
pub mod predict;
pub mod recognize;
#[cfg(feature = "record")]
pub mod render;
pub mod sink;
pub mod source;
pub mod stats;
pub mod train;
pub mod watch;

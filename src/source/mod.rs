//! Where frames come from: one trait, an implementation for each kind of origin.

#[cfg(feature = "camera")]
pub mod camera;
pub mod clips;
pub mod demo;
mod origin;
mod pace;
pub mod pictures;
mod size;
mod stream;
mod turn;
pub mod video;

pub use origin::{OpenOptions, Origin, open, shows_stills};
pub use pace::{Pace, Pacer};
pub use size::Size;
pub use stream::{DEFAULT_FPS, Event, Losses, MOST_PIXELS, Sound, Source};
pub use turn::Turn;

//! Where pictures and readings go.

pub mod lines;
#[cfg(feature = "record")]
pub mod record;
pub mod screen;
#[cfg(feature = "window")]
pub mod window;

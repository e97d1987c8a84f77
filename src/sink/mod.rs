//! Where pictures and readings go.

pub mod lines;
pub mod screen;
#[cfg(feature = "window")]
pub mod window;

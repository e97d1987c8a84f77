//! Where pictures and readings go.

#[cfg(feature = "window")]
pub mod clipboard;
#[cfg(feature = "window")]
pub mod display;
pub mod keyboard;
pub mod lines;
pub mod null;
#[cfg(feature = "record")]
pub mod record;
pub mod screen;
#[cfg(feature = "window")]
pub mod window;

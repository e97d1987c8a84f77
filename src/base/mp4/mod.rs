//! Fragmented MP4 (ISO/IEC 14496-12) with one H.264 track: written as it is recorded, read back.
//!
//! A fragment, once written, stands on its own: a file cut off anywhere plays up to its last
//! complete fragment. Every fragment carries its start time, and sample times are differences of
//! absolute times, so that rounding never adds up.
//!
//! The reader takes exactly what the writer makes and nothing else; it trusts no number in the
//! file and takes no more memory than the file has bytes.

mod format;
mod reader;
mod writer;

pub use format::Track;
pub use reader::{Index, Sample, read_index};
pub use writer::Writer;

#[cfg(test)]
mod tests;

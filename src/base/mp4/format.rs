//! What writer and reader agree on.

/// Ticks a second: the customary clock of video, 11 µs a tick.
pub(super) const TIMESCALE: u32 = 90_000;

/// Sample flags (8.8.3.1): depends on no other sample; depends on others and is no sync sample.
pub(super) const KEY: u32 = 0x0200_0000;
pub(super) const DELTA: u32 = 0x0101_0000;

/// `tfhd` flag: data offsets count from the start of the `moof` box.
pub(super) const FROM_MOOF: u32 = 0x02_0000;
/// `trun` flags: a data offset, and each sample's duration, size and flags.
pub(super) const RUN_FIELDS: u32 = 0x0701;

/// What a decoder must know before the first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The sequence parameter set, without start code.
    pub sps: Vec<u8>,
    /// The picture parameter set, without start code.
    pub pps: Vec<u8>,
}

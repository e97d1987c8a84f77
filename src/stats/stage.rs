//! The stages of a frame that are timed.

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From a frame's capture until somebody began to decode it: the driver and waiting.
    CaptureWait,
    /// A source's bytes into pixels.
    Decode,
    /// Finding or following the hand.
    Find,
    /// Cropping and resizing.
    Preprocess,
    /// The letter network.
    Infer,
    /// Drawing letter, box and figures over the frame.
    Overlay,
    /// Handing a picture to the window until it took it.
    Blit,
    /// Handing a picture to the recorder.
    Record,
    /// From a frame's capture until it was shown (or its line printed, without a window).
    AgeAtPresent,
}

/// Every stage with its name in reports, in a frame's order.
pub(super) const STAGES: [(Stage, &str); 9] = [
    (Stage::CaptureWait, "capture_wait"),
    (Stage::Decode, "decode"),
    (Stage::Find, "find"),
    (Stage::Preprocess, "preprocess"),
    (Stage::Infer, "infer"),
    (Stage::Overlay, "overlay"),
    (Stage::Blit, "blit"),
    (Stage::Record, "record"),
    (Stage::AgeAtPresent, "age_at_present"),
];

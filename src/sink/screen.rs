//! What a screen is to the program, whatever draws it.

use std::time::Duration;

use anyhow::Result;

/// Shows pictures and tells what the person before it wants.
pub trait Screen {
    /// Shows a picture of `height * width` pixels `0x00RRGGBB`; returns once it is handed over.
    ///
    /// # Errors
    /// When the screen is gone.
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()>;

    /// What was asked for since the last call, in order. To be called often.
    fn actions(&mut self) -> Vec<Action>;
}

/// Takes what is shown, for a file.
pub trait Recording {
    /// Takes a picture of `height * width` pixels `0x00RRGGBB`, the size it was started with,
    /// without waiting. `time` grows from picture to picture.
    ///
    /// # Errors
    /// Once, when the recording has ended early; it stays what it was until then.
    fn push(&mut self, pixels: &[u32], time: Duration) -> Result<()>;

    /// Pictures that were left out so far because the encoder was busy.
    fn dropped(&self) -> u64;

    /// Completes the file and says what it holds.
    ///
    /// # Errors
    /// When the file cannot be completed.
    fn finish(self: Box<Self>) -> Result<String>;
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Ends the program; so does closing the window.
    Quit,
    /// Shows or hides the list of keys.
    ToggleHelp,
    /// Mirrors the picture or does not.
    ToggleMirror,
    /// Shows or hides rates and times.
    ToggleFigures,
    /// Shows or hides what each stage took.
    ToggleStages,
    /// Writes a space after what was spelled.
    Space,
    /// Deletes the last letter.
    Delete,
    /// Deletes all that was spelled.
    Clear,
    /// Takes the first of the suggested words.
    Complete,
    /// Copies the text.
    Copy,
    /// Moves the guide box by steps, as seen on the screen: right and down.
    MoveGuide(f32, f32),
    /// Makes the guide box larger (by steps above 0) or smaller.
    ResizeGuide(f32),
}

/// The keys and what they do, in words.
pub const KEYS: [(&str, &str); 11] = [
    ("q, Esc", "quit"),
    ("h", "show or hide this help"),
    ("m", "mirror"),
    ("f", "figures"),
    ("l", "latency of each stage"),
    ("space", "end the word; so does lowering the hand"),
    ("Backspace, Del", "delete a letter, delete all"),
    ("Tab", "take the first word offered"),
    ("c", "copy the text"),
    ("arrows", "move the box"),
    ("+ -", "resize the box"),
];

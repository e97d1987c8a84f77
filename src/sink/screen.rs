//! What a screen is to the program, whatever draws it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::keyboard::Symbol;

/// Shows pictures and tells what the person before it wants, in the words of the program's part
/// that asks: an [`Action`], unless it has words of its own.
pub trait Screen<A = Action> {
    /// Shows a picture of `height * width` pixels `0x00RRGGBB`; returns once it is handed over.
    ///
    /// # Errors
    /// When the screen is gone.
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()>;

    /// What was asked for since the last call, in order. To be called often.
    fn actions(&mut self) -> Vec<A>;
}

/// What was done with the keyboard, or to the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// A key that types something; held down, it repeats.
    Typed(Symbol),
    /// A key went down; held down, it repeats.
    Down(Key),
    /// A key was let go.
    Up(Key),
    /// The window was closed.
    Closed,
}

/// Keys that mean something by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The escape key.
    Escape,
    /// The left arrow.
    Left,
    /// The right arrow.
    Right,
    /// The arrow up.
    Up,
    /// The arrow down.
    Down,
    /// The space bar.
    Space,
    /// The key that deletes backwards.
    Backspace,
    /// The key that deletes forwards.
    Delete,
    /// The tabulator.
    Tab,
    /// The first function key.
    F1,
}

/// Takes what is shown, for a file.
pub trait Recording: Send {
    /// The file it goes to.
    fn path(&self) -> &Path;

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
    /// Shows or hides how letters are held.
    ToggleChart,
    /// Shows or hides the hand's joints.
    ToggleJoints,
    /// Starts a recording, or ends the one that runs.
    ToggleRecording,
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

impl Action {
    /// What a press means in the window that watches.
    pub fn of(press: Press) -> Option<Action> {
        Some(match press {
            Press::Closed | Press::Down(Key::Escape) => Action::Quit,
            Press::Down(Key::Backspace) => Action::Delete,
            Press::Down(Key::Delete) => Action::Clear,
            Press::Down(Key::Tab) => Action::Complete,
            Press::Down(Key::Left) => Action::MoveGuide(-1.0, 0.0),
            Press::Down(Key::Right) => Action::MoveGuide(1.0, 0.0),
            Press::Down(Key::Up) => Action::MoveGuide(0.0, -1.0),
            Press::Down(Key::Down) => Action::MoveGuide(0.0, 1.0),
            Press::Typed(symbol) => match symbol.latin {
                'q' => Action::Quit,
                'h' => Action::ToggleHelp,
                'm' => Action::ToggleMirror,
                'a' => Action::ToggleChart,
                'j' => Action::ToggleJoints,
                'f' => Action::ToggleFigures,
                'l' => Action::ToggleStages,
                'r' => Action::ToggleRecording,
                'c' => Action::Copy,
                ' ' => Action::Space,
                '+' | '=' => Action::ResizeGuide(1.0),
                '-' | '_' => Action::ResizeGuide(-1.0),
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// The keys and what they do, in words.
pub const KEYS: &[(&str, &str)] = &[
    ("q, Esc", "quit"),
    ("h", "show or hide this help"),
    ("m", "mirror"),
    ("a", "how each letter is held"),
    ("j", "the hand's joints"),
    ("f", "figures"),
    ("l", "latency of each stage"),
    #[cfg(feature = "record")]
    ("r", "start or stop a recording"),
    ("space", "end the word; so does lowering the hand"),
    ("Backspace, Del", "delete a letter, delete all"),
    ("Tab", "take the first word offered"),
    ("c", "copy the text"),
    ("arrows", "move the box"),
    ("+ -", "resize the box"),
];

//! The desktop's clipboard.

use anyhow::{Context, Result};

/// The desktop's clipboard, opened when the first text is copied. Some desktops ask this program
/// for the text whenever somebody pastes it: it must live as long as the window.
#[derive(Default)]
pub struct Clipboard {
    opened: Option<arboard::Clipboard>,
}

impl Clipboard {
    /// Puts a text on the clipboard.
    ///
    /// # Errors
    /// When the desktop has no clipboard, or it does not take the text.
    pub fn copy(&mut self, text: &str) -> Result<()> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            none => {
                let opened = arboard::Clipboard::new().context("there is no clipboard here")?;
                none.insert(opened)
            }
        };
        opened
            .set_text(text)
            .context("the clipboard does not take the text")
            // What fails once may be gone: the next text opens it again.
            .inspect_err(|_| self.opened = None)
    }
}

//! The window on the desktop.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use minifb::{InputCallback, Key, ScaleMode, Window as Surface, WindowOptions};

use super::screen::{Action, Screen};

/// A window with the video in it.
pub struct Window {
    surface: Surface,
    pressed: Arc<Mutex<Vec<Action>>>,
}

impl Window {
    /// Opens a window of `width` x `height` pixels; its picture scales with it.
    ///
    /// # Errors
    /// When there is no display.
    pub fn open(title: &str, width: usize, height: usize) -> Result<Window> {
        let options = WindowOptions {
            resize: true,
            scale_mode: ScaleMode::AspectRatioStretch,
            ..WindowOptions::default()
        };
        let mut surface = Surface::new(title, width, height, options).map_err(|error| {
            anyhow!(
                "cannot open a window: {error}; without a display, use --headless to print \
                 readings instead"
            )
        })?;
        // Any other target makes it sleep after a picture was shown, which delays the next one.
        surface.set_target_fps(0);
        let pressed = Arc::default();
        surface.set_input_callback(Box::new(Keys(Arc::clone(&pressed))));
        Ok(Window { surface, pressed })
    }
}

impl Screen for Window {
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()> {
        self.surface
            .update_with_buffer(pixels, width, height)
            .context("the window is gone")
    }

    fn actions(&mut self) -> Vec<Action> {
        self.surface.update();
        let mut pressed = self.pressed.lock().unwrap_or_else(|held| held.into_inner());
        let mut actions = std::mem::take(&mut *pressed);
        if !self.surface.is_open() {
            actions.push(Action::Quit);
        }
        actions
    }
}

/// Hears of each key, also of one that is released before anybody asks.
struct Keys(Arc<Mutex<Vec<Action>>>);

impl Keys {
    fn push(&self, action: Option<Action>) {
        let mut pressed = self.0.lock().unwrap_or_else(|held| held.into_inner());
        pressed.extend(action);
    }
}

impl InputCallback for Keys {
    fn add_char(&mut self, typed: u32) {
        self.push(char::from_u32(typed).and_then(typed_action));
    }

    fn set_key_state(&mut self, key: Key, pressed: bool) {
        if pressed {
            self.push(key_action(key));
        }
    }
}

/// Letters and signs are taken as typed, wherever they lie on the keyboard.
fn typed_action(typed: char) -> Option<Action> {
    Some(match typed.to_ascii_lowercase() {
        'q' => Action::Quit,
        'h' => Action::ToggleHelp,
        'm' => Action::ToggleMirror,
        'f' => Action::ToggleFigures,
        'l' => Action::ToggleStages,
        'c' => Action::Copy,
        ' ' => Action::Space,
        '+' | '=' => Action::ResizeGuide(1.0),
        '-' | '_' => Action::ResizeGuide(-1.0),
        _ => return None,
    })
}

fn key_action(key: Key) -> Option<Action> {
    Some(match key {
        Key::Escape => Action::Quit,
        Key::Backspace => Action::Delete,
        Key::Delete => Action::Clear,
        Key::Tab => Action::Complete,
        Key::Left => Action::MoveGuide(-1.0, 0.0),
        Key::Right => Action::MoveGuide(1.0, 0.0),
        Key::Up => Action::MoveGuide(0.0, -1.0),
        Key::Down => Action::MoveGuide(0.0, 1.0),
        _ => return None,
    })
}

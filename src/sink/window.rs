//! The window on the desktop.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use minifb::{InputCallback, ScaleMode, Window as Surface, WindowOptions};

use super::screen::{Action, Key, Press, Screen};

/// What a press means; `None` for nothing.
type Meaning<A> = fn(Press) -> Option<A>;

/// A window with the video in it, and with keys that mean an `A` each.
pub struct Window<A = Action> {
    surface: Surface,
    asked: Arc<Mutex<Vec<A>>>,
    meaning: Meaning<A>,
}

impl<A: 'static> Window<A> {
    /// Opens a window of `width` x `height` pixels; its picture scales with it. `meaning` says
    /// what is asked for by a press.
    ///
    /// # Errors
    /// When there is no display.
    pub fn open(title: &str, width: usize, height: usize, meaning: Meaning<A>) -> Result<Self> {
        let options = WindowOptions {
            resize: true,
            scale_mode: ScaleMode::AspectRatioStretch,
            ..WindowOptions::default()
        };
        let mut surface = Surface::new(title, width, height, options)
            .map_err(|error| anyhow!("cannot open a window: {error}; it takes a display"))?;
        // Any other target makes it sleep after a picture was shown, which delays the next one.
        surface.set_target_fps(0);
        let asked = Arc::default();
        surface.set_input_callback(Box::new(Keys {
            asked: Arc::clone(&asked),
            meaning,
        }));
        Ok(Window {
            surface,
            asked,
            meaning,
        })
    }
}

impl<A: 'static> Screen<A> for Window<A> {
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()> {
        self.surface
            .update_with_buffer(pixels, width, height)
            .context("the window is gone")
    }

    fn actions(&mut self) -> Vec<A> {
        self.surface.update();
        let mut asked = self.asked.lock().unwrap_or_else(|held| held.into_inner());
        let mut actions = std::mem::take(&mut *asked);
        if !self.surface.is_open() {
            actions.extend((self.meaning)(Press::Closed));
        }
        actions
    }
}

/// Hears of each key, also of one that is released before anybody asks.
struct Keys<A> {
    asked: Arc<Mutex<Vec<A>>>,
    meaning: Meaning<A>,
}

impl<A> Keys<A> {
    fn push(&self, press: Press) {
        let mut asked = self.asked.lock().unwrap_or_else(|held| held.into_inner());
        asked.extend((self.meaning)(press));
    }
}

impl<A> InputCallback for Keys<A> {
    fn add_char(&mut self, typed: u32) {
        if let Some(typed) = char::from_u32(typed) {
            self.push(Press::Typed(typed));
        }
    }

    fn set_key_state(&mut self, key: minifb::Key, pressed: bool) {
        if let Some(key) = known(key) {
            self.push(if pressed {
                Press::Down(key)
            } else {
                Press::Up(key)
            });
        }
    }
}

fn known(key: minifb::Key) -> Option<Key> {
    Some(match key {
        minifb::Key::Escape => Key::Escape,
        minifb::Key::Left => Key::Left,
        minifb::Key::Right => Key::Right,
        minifb::Key::Up => Key::Up,
        minifb::Key::Down => Key::Down,
        minifb::Key::Space => Key::Space,
        minifb::Key::Backspace => Key::Backspace,
        minifb::Key::Tab => Key::Tab,
        minifb::Key::F1 => Key::F1,
        _ => return None,
    })
}

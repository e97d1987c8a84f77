//! The window on the desktop.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use minifb::{InputCallback, ScaleMode, Window as Surface, WindowOptions};

use super::display;
use super::keyboard::Symbol;
use super::screen::{Action, Key, Press, Screen};

/// What a press means; `None` for nothing.
type Meaning<A> = fn(Press) -> Option<A>;

/// A window with the video in it, and with keys that mean an `A` each.
pub struct Window<A = Action> {
    surface: Surface,
    shrinker: Shrinker,
    asked: Arc<Mutex<Vec<A>>>,
    meaning: Meaning<A>,
}

impl<A: 'static> Window<A> {
    /// Opens a window for pictures of `width` x `height` pixels: of their size, a multiple of it
    /// on fine displays, or as large as there is room for. Its picture scales with it. `meaning` says what is asked for by a
    /// press.
    ///
    /// # Errors
    /// When there is no display.
    pub fn open(title: &str, width: usize, height: usize, meaning: Meaning<A>) -> Result<Self> {
        let options = WindowOptions {
            resize: true,
            scale_mode: ScaleMode::AspectRatioStretch,
            ..WindowOptions::default()
        };
        let size = (width, height);
        let room = display::room();
        let (width, height) = (room.as_ref()).map_or(size, |room| {
            fitted((width * room.scale, height * room.scale), room.size)
        });
        let mut surface = Surface::new(title, width, height, options)
            .map_err(|error| anyhow!("cannot open a window: {error}; it takes a display"))?;
        drop(room);
        // Any other target makes it sleep after a picture was shown, which delays the next one.
        surface.set_target_fps(0);
        let asked = Arc::default();
        surface.set_input_callback(Box::new(Keys {
            asked: Arc::clone(&asked),
            meaning,
            place: None,
        }));
        Ok(Window {
            surface,
            shrinker: Shrinker::default(),
            asked,
            meaning,
        })
    }
}

impl<A: 'static> Screen<A> for Window<A> {
    fn show(&mut self, pixels: &[u32], width: usize, height: usize) -> Result<()> {
        let size = (width, height);
        let (width, height) = fitted(size, self.surface.get_size());
        let pixels = match (width, height) == size {
            true => pixels,
            false => self.shrinker.shrink(pixels, size, (width, height))?,
        };
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

/// A picture's size, made smaller where that is needed to fit into `room`, in its proportions.
fn fitted((width, height): (usize, usize), room: (usize, usize)) -> (usize, usize) {
    let scale = (room.0 as f64 / width as f64).min(room.1 as f64 / height as f64);
    if scale >= 1.0 {
        return (width, height);
    }
    let side = |pixels: usize| ((pixels as f64 * scale).round() as usize).max(1);
    (side(width), side(height))
}

/// Makes pictures smaller, so that text on them can still be read: the window's own scaling leaves
/// rows and columns out, or on Windows puts them together bit by bit.
#[derive(Default)]
struct Shrinker {
    resizer: Resizer,
    pixels: Vec<u32>,
}

impl Shrinker {
    fn shrink(
        &mut self,
        pixels: &[u32],
        from: (usize, usize),
        to: (usize, usize),
    ) -> Result<&[u32]> {
        self.pixels.resize(to.0 * to.1, 0);
        let bytes = bytemuck::cast_slice(pixels);
        let source = TypedImageRef::<U8x4>::from_buffer(from.0 as u32, from.1 as u32, bytes)?;
        let bytes = bytemuck::cast_slice_mut(&mut self.pixels);
        let mut target = TypedImage::<U8x4>::from_buffer(to.0 as u32, to.1 as u32, bytes)?;
        // The unused byte is no opacity.
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false);
        (self.resizer)
            .resize_typed(&source, &mut target, &options)
            .context("cannot scale a picture")?;
        Ok(&self.pixels)
    }
}

/// Hears of each key, also of one that is released before anybody asks.
struct Keys<A> {
    asked: Arc<Mutex<Vec<A>>>,
    meaning: Meaning<A>,
    /// The letter on the key that went down last, as a Latin keyboard has it, as long as it is
    /// down and what it types has not come. Systems that tell of a key after what it types, or
    /// tell of no key that has no Latin letter, leave this empty.
    place: Option<char>,
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
            let symbol = Symbol::new(typed, self.place.take());
            self.push(Press::Typed(symbol));
        }
    }

    fn set_key_state(&mut self, key: minifb::Key, pressed: bool) {
        self.place = letter_of(key).filter(|_| pressed);
        if let Some(key) = known(key) {
            self.push(if pressed {
                Press::Down(key)
            } else {
                Press::Up(key)
            });
        }
    }
}

/// The small letter that a key types on a Latin keyboard.
fn letter_of(key: minifb::Key) -> Option<char> {
    let letters = minifb::Key::A as u8..=minifb::Key::Z as u8;
    let at = key as u8;
    letters
        .contains(&at)
        .then(|| char::from(b'a' + (at - letters.start())))
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
        minifb::Key::Delete => Key::Delete,
        minifb::Key::Tab => Key::Tab,
        minifb::Key::F1 => Key::F1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the keys mean that these calls tell of.
    fn heard(tell: impl FnOnce(&mut Keys<Press>)) -> Vec<Press> {
        let asked = Arc::default();
        tell(&mut Keys {
            asked: Arc::clone(&asked),
            meaning: Some,
            place: None,
        });
        std::mem::take(&mut *asked.lock().unwrap())
    }

    #[test]
    fn a_picture_larger_than_its_room_is_fitted_in_its_proportions() {
        assert_eq!(fitted((1920, 1080), (1366, 768)), (1365, 768));
        assert_eq!(fitted((640, 480), (640, 400)), (533, 400));
        assert_eq!(fitted((640, 480), (1366, 768)), (640, 480));
        assert_eq!(fitted((1920, 4), (10, 10)), (10, 1));
    }

    #[test]
    fn shrinking_keeps_what_every_pixel_says() {
        // Lines of one pixel: leaving every other column out would leave all white or all black.
        let lines: Vec<u32> = (0..64 * 64)
            .map(|at| if at % 2 == 0 { 0xff_ffff } else { 0 })
            .collect();
        let mut shrinker = Shrinker::default();
        let shrunk = shrinker.shrink(&lines, (64, 64), (32, 32)).unwrap();
        let grey = |pixel: u32| (pixel.to_le_bytes()[..3].iter()).all(|&c| (96..160).contains(&c));
        assert_eq!(shrunk.len(), 32 * 32);
        assert!(shrunk.iter().all(|&pixel| grey(pixel)), "{:x}", shrunk[40]);
    }

    fn typed(typed: char, latin: char) -> Press {
        Press::Typed(Symbol { typed, latin })
    }

    #[test]
    fn a_letter_of_another_script_means_the_latin_one_of_its_key() {
        // Where the system names the key before what it types.
        let bulgarian = heard(|keys| {
            keys.set_key_state(minifb::Key::W, true);
            keys.add_char('у' as u32);
            keys.set_key_state(minifb::Key::W, false);
        });
        assert_eq!(bulgarian, [typed('у', 'w')]);
        // Where it names none.
        assert_eq!(heard(|keys| keys.add_char('η' as u32)), [typed('η', 'h')]);
    }

    #[test]
    fn a_key_of_before_does_not_count_for_what_is_typed_now() {
        // Where the system names the key after what it types, and only on Latin layouts.
        let switched = heard(|keys| {
            keys.add_char('q' as u32);
            keys.set_key_state(minifb::Key::Q, true);
            keys.set_key_state(minifb::Key::Q, false);
            keys.add_char('ф' as u32);
        });
        assert_eq!(switched, [typed('q', 'q'), typed('ф', 'a')]);
    }
}

//! How much room the desktop has for a window.

/// The room for a window. It is to be kept until the window is open: an X server whose last
/// program says goodbye starts anew, and refuses the next one meanwhile.
pub struct Room {
    /// The largest width and height, in pixels, of a window's content that is visible as a whole.
    pub size: (usize, usize),
    /// How many of the display's pixels a picture's pixel takes each way: more than 1 where they
    /// are so small that a picture would be, too.
    pub scale: usize,
    #[cfg(target_os = "linux")]
    _server: x11rb::rust_connection::RustConnection,
}

/// What room there is; `None` where the desktop does not say. macOS keeps windows within the display
/// and scales them itself.
#[cfg(not(any(target_os = "linux", windows)))]
pub fn room() -> Option<Room> {
    None
}

/// What room there is; `None` where Windows does not say.
#[cfg(windows)]
pub fn room() -> Option<Room> {
    use crate::base::win32;
    let scale = win32::scale();
    Some(Room {
        size: win32::work_area().ok()?,
        // Pixels of even sizes keep texts legible.
        scale: (scale as usize).max(1),
    })
}

/// What room there is; `None` where the desktop does not say. Wayland's desktops are asked through
/// the X server that they bring for older programs.
#[cfg(target_os = "linux")]
pub fn room() -> Option<Room> {
    linux::room().ok()
}

#[cfg(target_os = "linux")]
mod linux {
    use anyhow::{Context, Result};
    use x11rb::connection::Connection;
    use x11rb::protocol::randr::ConnectionExt as _;
    use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, Window};

    use super::Room;

    /// What window managers put around a window, in pixels: no more than this by their usual
    /// themes. What it is exactly is only known once the window is there.
    const FRAME: (usize, usize) = (16, 48);

    /// Asks the X server that the environment names.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub fn room() -> Result<Room> {
        let (server, screen) = x11rb::connect(None)?;
        let size = size(&server, screen)?;
        Ok(Room {
            size,
            scale: 1,
            _server: server,
        })
    }

    fn size(server: &impl Connection, screen: usize) -> Result<(usize, usize)> {
        let screen = (server.setup().roots.get(screen)).context("there is no such screen")?;
        let property = |name: &str| -> Result<Vec<usize>> {
            let atom = server.intern_atom(true, name.as_bytes())?.reply()?.atom;
            if atom == x11rb::NONE {
                return Ok(Vec::new());
            }
            // 4 numbers are a rectangle, the first desktop's.
            let values = server.get_property(false, screen.root, atom, AtomEnum::ANY, 0, 4)?;
            let values = values.reply()?;
            let values = values.value32().map(|values| values.map(|n| n as usize));
            Ok(values.map(Iterator::collect).unwrap_or_default())
        };
        let whole = (
            screen.width_in_pixels.into(),
            screen.height_in_pixels.into(),
        );
        let mut room = smallest_monitor(server, screen.root).unwrap_or(whole);
        // What panels and docks leave.
        if let [_, _, width, height] = property("_NET_WORKAREA")?[..] {
            room = (room.0.min(width), room.1.min(height));
        }
        if !property("_NET_SUPPORTING_WM_CHECK")?.is_empty() {
            room = (
                room.0.saturating_sub(FRAME.0),
                room.1.saturating_sub(FRAME.1),
            );
        }
        Ok(room)
    }

    /// The window manager decides on which of several monitors a window opens: it shall fit all.
    fn smallest_monitor(server: &impl Connection, root: Window) -> Result<(usize, usize)> {
        let monitors = server.randr_get_monitors(root, true)?.reply()?.monitors;
        let sizes = monitors
            .iter()
            .map(|monitor| (usize::from(monitor.width), usize::from(monitor.height)));
        let smallest = sizes.min_by_key(|(width, height)| width * height);
        smallest.context("no monitor is in use")
    }
}

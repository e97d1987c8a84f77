//! What only Windows' own interface tells or does, each call with why it is safe.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use windows_sys::Win32::Foundation::{FALSE, RECT, TRUE};
use windows_sys::Win32::System::Com::CoIncrementMTAUsage;
use windows_sys::Win32::System::Console::{
    CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT, SetConsoleCtrlHandler,
};
use windows_sys::Win32::UI::HiDpi::GetDpiForSystem;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    AdjustWindowRect, SPI_GETWORKAREA, SetProcessDPIAware, SystemParametersInfoW,
    WS_OVERLAPPEDWINDOW,
};
use windows_sys::core::BOOL;

/// The longest that Windows waits for a program whose console is closed is 5 s, or 20 s at a shutdown.
const PATIENCE: Duration = Duration::from_secs(20);

/// Set when the console is closed.
static CLOSING: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Sets `closing` when the console is closed, the user logs off or the system shuts down, and lets
/// the program end by itself then. Without it, Windows ends the program at once.
///
/// # Errors
/// When Windows takes no more handlers.
pub fn on_closed_console(closing: &Arc<AtomicBool>) -> Result<()> {
    CLOSING.get_or_init(|| Arc::clone(closing));
    // SAFETY: the handler is a function, which stays where it is.
    let taken = unsafe { SetConsoleCtrlHandler(Some(on_event), TRUE) };
    ensure!(taken != FALSE, std::io::Error::last_os_error());
    Ok(())
}

/// Runs on a thread that Windows makes for it. Windows ends the program once this has returned.
unsafe extern "system" fn on_event(event: u32) -> BOOL {
    match event {
        CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT => {
            if let Some(closing) = CLOSING.get() {
                closing.store(true, Ordering::Release);
            }
            std::thread::sleep(PATIENCE);
            TRUE
        }
        // The next handler's.
        _ => FALSE,
    }
}

/// Windows' scale of texts and symbols, 1 for 100 %, after which this program's windows are not
/// enlarged by Windows, which blurs them. To be called before the first window is opened.
pub fn scale() -> f64 {
    const DPI_OF_SCALE_1: f64 = 96.0;
    static AWARE: Once = Once::new();
    // SAFETY: neither call takes or gives memory.
    unsafe {
        AWARE.call_once(|| {
            // It fails where somebody has said so before, which is as good.
            SetProcessDPIAware();
        });
        f64::from(GetDpiForSystem()) / DPI_OF_SCALE_1
    }
}

/// Width and height, in pixels, of the largest window's content that is visible as a whole on the
/// first display.
///
/// # Errors
/// When Windows does not tell.
pub fn work_area() -> Result<(usize, usize)> {
    let mut area = RECT::default();
    let mut frame = RECT::default();
    let at = ptr::from_mut(&mut area).cast();
    // SAFETY: both calls write to a RECT, as they do by their description, and keep no pointer.
    let told = unsafe {
        SystemParametersInfoW(SPI_GETWORKAREA, 0, at, 0) != FALSE
            && AdjustWindowRect(&mut frame, WS_OVERLAPPEDWINDOW, FALSE) != FALSE
    };
    ensure!(told, std::io::Error::last_os_error());
    let side = |area: i32, frame: i32| usize::try_from(area - frame).context("there is no room");
    Ok((
        side(area.right - area.left, frame.right - frame.left)?,
        side(area.bottom - area.top, frame.bottom - frame.top)?,
    ))
}

/// Lets every thread of the program use what Windows offers as COM objects, such as cameras, also
/// those that never asked for it.
pub fn share_com() {
    static SHARED: Once = Once::new();
    SHARED.call_once(|| {
        let mut cookie = ptr::null_mut();
        // SAFETY: the call writes a cookie to where it is told. Nobody gives it back: COM stays until
        // the program ends.
        let result = unsafe { CoIncrementMTAUsage(&mut cookie) };
        if result < 0 {
            tracing::debug!("COM is not shared: {result:#010x}");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use windows_sys::Win32::System::Console::CTRL_C_EVENT;

    use super::*;

    #[test]
    fn a_closed_console_asks_to_end_and_gives_the_time_for_it() {
        let closing = Arc::default();
        on_closed_console(&closing).unwrap();
        // SAFETY: it is called as Windows calls it, on a thread of its own.
        let handler = std::thread::spawn(|| unsafe { on_event(CTRL_CLOSE_EVENT) });
        let began = Instant::now();
        while !closing.load(Ordering::Acquire) {
            assert!(began.elapsed() < PATIENCE, "nobody was asked to end");
            std::thread::yield_now();
        }
        assert!(!handler.is_finished(), "Windows would end the program now");
    }

    #[test]
    fn ctrl_c_is_left_to_the_other_handler() {
        // SAFETY: as above.
        assert_eq!(unsafe { on_event(CTRL_C_EVENT) }, FALSE);
    }

    #[test]
    fn windows_tells_how_much_room_there_is_and_how_fine_the_display_is() {
        assert!(scale() >= 1.0);
        let (width, height) = work_area().unwrap();
        assert!(width > 100 && height > 100, "{width} x {height}");
    }
}

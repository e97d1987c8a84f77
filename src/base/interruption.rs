//! Asks to end, from outside the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// A flag that Ctrl-C, the signals to terminate and a console that is closed set; asked a second
/// time, they end at once. Windows lets a program whose console is closed go on for 5 s, in which
/// what was begun can be completed.
///
/// # Errors
/// When the operating system does not tell of signals.
pub fn interruption() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::AcqRel) {
            std::process::exit(130);
        }
    })
    .context("cannot listen to Ctrl-C")?;
    // After the other handler, so that it is asked before that.
    #[cfg(windows)]
    super::win32::on_closed_console(&interrupted)
        .context("cannot listen to the end of the console")?;
    Ok(interrupted)
}

//! The terminal that stderr may be.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// Whether stderr is a terminal that takes control sequences. Windows' console is told to, the first
/// time.
pub fn takes_sequences() -> bool {
    static TAKES: OnceLock<bool> = OnceLock::new();
    *TAKES.get_or_init(|| std::io::stderr().is_terminal() && switched_on())
}

#[cfg(windows)]
fn switched_on() -> bool {
    // Terminals that are no consoles of Windows, such as Cygwin's, say so.
    nu_ansi_term::enable_ansi_support().is_ok() || std::env::var_os("TERM").is_some()
}

#[cfg(not(windows))]
fn switched_on() -> bool {
    true
}

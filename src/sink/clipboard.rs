//! The desktop's clipboard, through the programs that desktops bring for it.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What puts its standard input on the clipboard, as far as it is installed: a program, its
/// arguments, and the variable that says whether its kind of desktop runs.
const PROGRAMS: [(&str, &[&str], Option<&str>); 5] = [
    ("wl-copy", &[], Some("WAYLAND_DISPLAY")),
    ("xclip", &["-selection", "clipboard"], Some("DISPLAY")),
    ("xsel", &["--clipboard", "--input"], Some("DISPLAY")),
    ("pbcopy", &[], None),
    ("clip.exe", &[], None),
];

/// Puts a text on the clipboard and says by which program.
///
/// # Errors
/// When there is none, or it fails.
pub fn copy(text: &str) -> Result<&'static str> {
    for (program, arguments, desktop) in PROGRAMS {
        if desktop.is_some_and(|variable| std::env::var_os(variable).is_none()) {
            continue;
        }
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        // Some stay, to hand the text over when it is asked for: they must hold nothing of ours.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut running) = command.spawn() else {
            continue;
        };
        let failed = || format!("cannot copy the text with {program}");
        let mut input = running.stdin.take().with_context(failed)?;
        input.write_all(text.as_bytes()).with_context(failed)?;
        drop(input);
        let status = running.wait().with_context(failed)?;
        if !status.success() {
            bail!("{}: it ended with {status}", failed());
        }
        return Ok(program);
    }
    bail!("there is no clipboard here: install wl-clipboard, xclip or xsel")
}

//! Names that become folders: of signers and of labels.

use anyhow::{Result, ensure};

use crate::base::files::is_device_name;

/// The longest name, in bytes; file systems take 255.
const LONGEST: usize = 64;

/// Characters that some system takes for something else in a file's name.
const SPECIAL: &[char] = &['/', '\\', ':', '*', '?', '"', '<', '>', '|'];

/// Refuses what is no plain folder name on every system: pictures are copied from one to another.
///
/// # Errors
/// Says what is wrong with the name.
pub fn check_name(name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "a name has at least one character");
    ensure!(name.len() <= LONGEST, "a name has at most {LONGEST} bytes");
    ensure!(
        !name.contains(SPECIAL) && !name.chars().any(char::is_control),
        "a name has none of {} and no control characters: it becomes a folder",
        SPECIAL.iter().collect::<String>()
    );
    ensure!(
        !name.starts_with('.') && !name.ends_with('.'),
        "a name starts and ends with no dot: it becomes a folder"
    );
    ensure!(
        name.trim() == name,
        "a name starts and ends with no space: it becomes a folder"
    );
    ensure!(
        !is_device_name(name),
        "{name} is a device's name on Windows: take another"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_gestures_and_other_alphabets_are_names() {
        for name in [
            "A",
            "thumbs up",
            "nothing",
            "ñ",
            "Ж",
            "お",
            "1",
            "a.b",
            "COM10",
            "consul",
        ] {
            check_name(name).unwrap();
        }
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_folder_somewhere_is_refused() {
        let long = "x".repeat(65);
        for name in [
            "", " ", ".", "..", "../x", "a/b", "a\\b", "C:", "a\0b", "a\nb", ".hidden", "a.", "a ",
            " a", "NUL", "nul", "con.txt", "LPT1", "com¹", "a*", &long,
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}

//! Names that become folders: of signers and of labels.

use anyhow::{Result, ensure};

/// The longest name, in bytes; file systems take 255.
const LONGEST: usize = 64;

/// Characters that some system takes for something else in a file's name.
const SPECIAL: &[char] = &['/', '\\', ':', '*', '?', '"', '<', '>', '|'];

/// Names that Windows keeps for devices, whatever follows a dot.
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

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
        !is_device(name),
        "{name} is a device's name on Windows: take another"
    );
    Ok(())
}

/// Whether Windows takes a name for a device's, such as `nul`, `COM1` or `aux.txt`.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let port = ["COM", "LPT"].iter().any(|port| {
        (stem.strip_prefix(port)).is_some_and(|number| {
            let mut digits = number.chars();
            digits
                .next()
                .is_some_and(|digit| "0123456789¹²³".contains(digit))
                && digits.next().is_none()
        })
    });
    port || DEVICES.contains(&&*stem)
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

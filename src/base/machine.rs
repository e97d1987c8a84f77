//! What a program runs on: figures of one machine say nothing about another.

use std::fs;
use std::process::Command;

/// The processor's name as the operating system gives it, else its architecture.
pub fn processor() -> String {
    let name = if cfg!(target_os = "linux") {
        from_cpuinfo(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    } else if cfg!(target_os = "macos") {
        let asked = Command::new("sysctl")
            .args(["-n", "machdep.cpu.brand_string"])
            .output();
        asked
            .ok()
            .and_then(|said| String::from_utf8(said.stdout).ok())
    } else {
        std::env::var("PROCESSOR_IDENTIFIER").ok()
    };
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The first processor's name; ARM boards name the board instead.
fn from_cpuinfo(text: &str) -> Option<String> {
    ["model name", "Model"].iter().find_map(|key| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == *key).then(|| value.trim().to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_name_is_found_in_what_linux_tells() {
        let x86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.00GHz\n";
        assert_eq!(from_cpuinfo(x86).as_deref(), Some("Some CPU @ 2.00GHz"));
        let arm = "processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Some Board Rev 1.4\n";
        assert_eq!(from_cpuinfo(arm).as_deref(), Some("Some Board Rev 1.4"));
        assert_eq!(from_cpuinfo(""), None);
    }
}

//! What a program runs on: figures of one machine say nothing about another.

use std::fs;
use std::process::Command;

/// The processor's name as it gives it itself or the operating system does, else its architecture.
pub fn processor() -> String {
    from_cpuid()
        .or_else(from_system)
        .map(|name| name.trim_matches(['\0', ' ', '\n']).to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The brand string of x86 processors, which is the same under every system.
#[cfg(target_arch = "x86_64")]
fn from_cpuid() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    const HIGHEST: u32 = 0x8000_0000;
    const BRAND: std::ops::RangeInclusive<u32> = 0x8000_0002..=0x8000_0004;
    if __cpuid(HIGHEST).eax < *BRAND.end() {
        return None;
    }
    let registers = BRAND
        .map(__cpuid)
        .flat_map(|r| [r.eax, r.ebx, r.ecx, r.edx]);
    String::from_utf8(registers.flat_map(u32::to_le_bytes).collect()).ok()
}

#[cfg(not(target_arch = "x86_64"))]
fn from_cpuid() -> Option<String> {
    None
}

fn from_system() -> Option<String> {
    if cfg!(target_os = "linux") {
        from_cpuinfo(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    } else if cfg!(target_os = "macos") {
        let asked = Command::new("sysctl")
            .args(["-n", "machdep.cpu.brand_string"])
            .output();
        String::from_utf8(asked.ok()?.stdout).ok()
    } else {
        std::env::var("PROCESSOR_IDENTIFIER").ok()
    }
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

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    #[test]
    fn an_x86_processor_names_itself_as_linux_does() {
        let told = from_cpuinfo(&fs::read_to_string("/proc/cpuinfo").unwrap());
        assert_eq!(processor(), told.unwrap());
    }

    #[test]
    fn the_processors_name_is_found_in_what_linux_tells() {
        let x86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.00GHz\n";
        assert_eq!(from_cpuinfo(x86).as_deref(), Some("Some CPU @ 2.00GHz"));
        let arm = "processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Some Board Rev 1.4\n";
        assert_eq!(from_cpuinfo(arm).as_deref(), Some("Some Board Rev 1.4"));
        assert_eq!(from_cpuinfo(""), None);
    }
}

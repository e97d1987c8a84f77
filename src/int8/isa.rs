//! Which instructions the kernels use.

use anyhow::{Result, bail};

/// A kernel family. All families give identical bytes; they differ in speed only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// x86-64 with AVX-512 (F, BW, VL) and its dot product of bytes (VNNI).
    Avx512Vnni,
    /// x86-64 with AVX2, FMA and the dot product of bytes on 256-bit registers (AVX-VNNI).
    AvxVnni,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// 64-bit ARM with the products of byte matrices (I8MM): Apple's M2, Cortex-A78C and -X2, Snapdragon X and later.
    NeonI8mm,
    /// 64-bit ARM with the dot product of bytes: Apple's M1, Cortex-A55 and -A76 (Raspberry Pi 5) and later.
    NeonDot,
    /// Any 64-bit ARM: Cortex-A53, -A72 (Raspberry Pi 3 and 4).
    Neon,
    /// Plain Rust, on any processor.
    Portable,
}

impl Isa {
    /// All families, each processor architecture's fastest first.
    pub const ALL: [Self; 7] = [
        Self::Avx512Vnni,
        Self::AvxVnni,
        Self::Avx2,
        Self::NeonI8mm,
        Self::NeonDot,
        Self::Neon,
        Self::Portable,
    ];

    /// The environment variable that forces a family.
    pub const VARIABLE: &str = "SIGNCAM_ISA";

    /// The family's name, as `SIGNCAM_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512vnni",
            Self::AvxVnni => "avxvnni",
            Self::Avx2 => "avx2",
            Self::NeonI8mm => "neoni8mm",
            Self::NeonDot => "neondot",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this processor has the family's instructions.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            match self {
                Self::Avx512Vnni => {
                    avx2 && is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512vl")
                        && is_x86_feature_detected!("avx512vnni")
                }
                Self::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
                Self::Avx2 => avx2,
                Self::NeonI8mm | Self::NeonDot | Self::Neon => false,
                Self::Portable => true,
            }
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        {
            use std::arch::is_aarch64_feature_detected;
            let neon = is_aarch64_feature_detected!("neon");
            match self {
                Self::Avx512Vnni | Self::AvxVnni | Self::Avx2 => false,
                Self::NeonI8mm => neon && is_aarch64_feature_detected!("i8mm"),
                Self::NeonDot => neon && is_aarch64_feature_detected!("dotprod"),
                Self::Neon => neon,
                Self::Portable => true,
            }
        }
        #[cfg(not(any(
            target_arch = "x86_64",
            all(target_arch = "aarch64", target_endian = "little")
        )))]
        {
            self == Self::Portable
        }
    }

    /// The fastest family this processor has, or the one that `SIGNCAM_ISA` names.
    ///
    /// # Errors
    ///
    /// Where `SIGNCAM_ISA` names no family, or one that this processor lacks.
    pub fn choose() -> Result<Self> {
        match std::env::var_os(Self::VARIABLE) {
            None => Ok(Self::ALL
                .into_iter()
                .find(|isa| isa.available())
                .unwrap_or(Self::Portable)),
            Some(name) => Self::named(&name.to_string_lossy()),
        }
    }

    /// The family of that name.
    ///
    /// # Errors
    ///
    /// Where there is none, or this processor lacks its instructions.
    pub fn named(name: &str) -> Result<Self> {
        let names = |only_available: bool| {
            let listed = Self::ALL
                .into_iter()
                .filter(|isa| !only_available || isa.available());
            listed.map(Self::name).collect::<Vec<_>>().join(", ")
        };
        match Self::ALL.into_iter().find(|isa| isa.name() == name) {
            None => bail!(
                "{}={name}: no such kernel family; there are {}",
                Self::VARIABLE,
                names(false)
            ),
            Some(isa) if !isa.available() => {
                bail!(
                    "{}={name}: this processor lacks these instructions; it has {}",
                    Self::VARIABLE,
                    names(true)
                )
            }
            Some(isa) => Ok(isa),
        }
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_family_is_refused_with_the_names_there_are() {
        let message = Isa::named("sse9").unwrap_err().to_string();
        assert!(
            message.contains("sse9") && message.contains("portable"),
            "{message}"
        );
    }

    #[test]
    fn every_available_family_can_be_named() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            assert_eq!(Isa::named(isa.name()).unwrap(), isa);
        }
    }
}

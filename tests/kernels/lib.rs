//! The int8 kernels as they are in signcam, without the rest of it.

#[allow(dead_code, missing_docs)]
#[path = "../../src/int8"]
pub mod int8 {
    pub mod isa;
    pub mod kernels;
    pub mod quant;
    mod unsupported;

    pub use isa::Isa;
}

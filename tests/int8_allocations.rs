//! A quantised network allocates nothing once it is built.
// An allocator cannot be counted in any other way.
#![allow(unsafe_code)]

mod qdq;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use signcam::int8::{InputTransform, Isa, Lowering, Network};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's own; the counter touches no memory it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's own contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's own contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

// One test alone in its file: another one running beside it would be counted too.
#[test]
fn a_run_allocates_nothing() {
    let model = qdq::mobilenet_v2(0.35, 96, 27, 1);
    let rgb: Vec<u8> = (0..96 * 96 * 3).map(|i| (i % 251) as u8).collect();
    // With a table for the pixels and without.
    for (mean, std) in [(qdq::MEAN, qdq::STD), (0.5, 0.5)] {
        let input = InputTransform {
            mean: [mean; 3],
            std: [std; 3],
        };
        for isa in Isa::ALL.into_iter().filter(|isa| isa.available()) {
            let Lowering::Lowered(mut network) = Network::lower_for(&model, &input, isa) else {
                panic!("not lowered");
            };
            network.run(&rgb).unwrap();
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for _ in 0..3 {
                network.run(&rgb).unwrap();
            }
            assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before, "{isa}");
        }
    }
}

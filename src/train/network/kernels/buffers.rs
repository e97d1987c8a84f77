//! Buffers that go round: a training step needs the same large buffers as the step before, and
//! memory fresh from the operating system costs a page fault every 4 KiB.

use std::collections::BTreeMap;
use std::sync::Mutex;

static FREE: Mutex<BTreeMap<usize, Vec<Vec<f32>>>> = Mutex::new(BTreeMap::new());

/// Buffers of one length that are kept; a network has few layers of the same size at once.
const KEPT: usize = 24;

/// A buffer of `len` values. They are zero or left over from before.
pub fn take(len: usize) -> Vec<f32> {
    let mut free = FREE.lock().unwrap_or_else(|held| held.into_inner());
    let kept = free.get_mut(&len).and_then(Vec::pop);
    drop(free);
    kept.unwrap_or_else(|| vec![0.0; len])
}

/// Gives a buffer back, for the next [`take`] of its length.
pub fn recycle(buffer: Vec<f32>) {
    let mut free = FREE.lock().unwrap_or_else(|held| held.into_inner());
    let kept = free.entry(buffer.len()).or_default();
    if kept.len() < KEPT {
        kept.push(buffer);
    }
}

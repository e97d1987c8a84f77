//! Threads that share one layer's work.

use std::cell::UnsafeCell;
use std::hint;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What a thread does with its share, given which share it is.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// How often a thread looks for work, or for the others to end, before it lets the processor go: layers follow each
/// other within microseconds, pictures don't.
const LOOKS: usize = 4000;

/// Most threads in a pool.
const MOST: usize = 16;

/// The calling thread and some that wait for it to bring work.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Counts jobs; a change tells the workers that there is one.
    generation: AtomicUsize,
    job: UnsafeCell<Option<&'static Job<'static>>>,
    /// Workers that haven't finished the job.
    pending: AtomicUsize,
    failed: AtomicBool,
    stop: AtomicBool,
    /// Held by the caller whose job it is.
    busy: Mutex<()>,
    /// Workers that sleep.
    sleepers: Mutex<usize>,
    wake: Condvar,
}

// SAFETY: `job` is written only by the thread that holds `busy` while `pending` is 0, that is, while no worker reads
// it; workers read it only between a change of `generation` and their decrement of `pending`.
unsafe impl Sync for Shared {}

impl Pool {
    /// A pool of `threads` in all, the caller's own among them; at least 1, at most 16.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            generation: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            pending: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            busy: Mutex::new(()),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        });
        let worker = |share| {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("int8-{share}"))
                .spawn(move || shared.work(share))
        };
        // Where no more threads can be had, the pool is smaller.
        let workers = (1..threads.clamp(1, MOST))
            .map_while(|share| worker(share).ok())
            .collect();
        Self { shared, workers }
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Splits `target` into at most `parts` runs of whole `unit`s and has the threads fill them: `fill` is told which
    /// unit its run begins with.
    pub fn fill(
        &self,
        target: &mut [u8],
        unit: usize,
        parts: usize,
        fill: impl Fn(usize, &mut [u8]) + Sync,
    ) {
        let parts = parts.min(self.threads());
        let units = target.len() / unit.max(1);
        let _busy = match self.shared.busy.try_lock() {
            Ok(busy) if parts > 1 && units > 1 => busy,
            _ => return fill(0, target),
        };
        let mut shares = [const { Mutex::new(None) }; MOST];
        let (mut rest, mut first) = (target, 0);
        for (part, share) in shares.iter_mut().enumerate().take(parts) {
            let count = (units - first) / (parts - part);
            let (run, after) = rest.split_at_mut(if part + 1 == parts {
                rest.len()
            } else {
                count * unit
            });
            *share = Mutex::new(Some((first, run)));
            rest = after;
            first += count;
        }
        self.run(&|share| {
            let run = shares
                .get(share)
                .and_then(|s| s.lock().unwrap_or_else(PoisonError::into_inner).take());
            if let Some((first, run)) = run {
                fill(first, run);
            }
        });
    }

    /// Runs the job once on each thread. The caller holds `busy`.
    fn run(&self, job: &Job) {
        let shared = &*self.shared;
        // SAFETY: no worker outlives the borrow: `Ending` waits until each has finished, even in a panic. Nobody
        // else writes, as `busy` is held, and no worker reads, as none is pending.
        unsafe {
            *shared.job.get() = Some(std::mem::transmute::<&Job, &'static Job<'static>>(job))
        };
        shared.pending.store(self.workers.len(), SeqCst);
        shared.generation.fetch_add(1, SeqCst);
        if *shared
            .sleepers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            > 0
        {
            shared.wake.notify_all();
        }
        let ending = Ending(shared);
        job(0);
        drop(ending);
        assert!(
            !shared.failed.swap(false, SeqCst),
            "a kernel panicked in another thread"
        );
    }
}

/// Waits for the workers when it goes.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        while self.0.pending.load(SeqCst) > 0 {
            pause(&mut looks);
        }
    }
}

fn pause(looks: &mut usize) {
    *looks += 1;
    if *looks < LOOKS {
        hint::spin_loop()
    } else {
        thread::yield_now()
    }
}

impl Shared {
    fn work(&self, share: usize) {
        let mut seen = 0;
        loop {
            let mut looks = 0;
            while self.generation.load(SeqCst) == seen && looks < LOOKS {
                pause(&mut looks);
            }
            if self.generation.load(SeqCst) == seen {
                let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
                *sleepers += 1;
                while self.generation.load(SeqCst) == seen && !self.stop.load(SeqCst) {
                    sleepers = self
                        .wake
                        .wait(sleepers)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                *sleepers -= 1;
            }
            if self.stop.load(SeqCst) {
                return;
            }
            // A job starts only after every worker has finished the one before: none is missed.
            seen += 1;
            // SAFETY: `generation` has changed and this worker is pending: the job is there and isn't written.
            let job = unsafe { *self.job.get() };
            if let Some(job) = job
                && panic::catch_unwind(AssertUnwindSafe(|| job(share))).is_err()
            {
                self.failed.store(true, SeqCst);
            }
            self.pending.fetch_sub(1, SeqCst);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        drop(self.shared.sleepers.lock());
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker ends without a result, whatever its jobs did.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_filled_once_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads);
            for (units, unit, parts) in [(1, 5, 4), (2, 3, 9), (17, 4, 2), (100, 7, 3), (0, 4, 2)] {
                let mut target = vec![0u8; units * unit];
                pool.fill(&mut target, unit, parts, |first, run| {
                    for (i, bytes) in run.chunks_mut(unit).enumerate() {
                        bytes.iter_mut().for_each(|b| *b += (first + i) as u8 + 1);
                    }
                });
                let expected: Vec<u8> = (0..units * unit).map(|i| (i / unit) as u8 + 1).collect();
                assert_eq!(target, expected, "{threads} threads, {parts} parts");
            }
        }
    }

    #[test]
    fn a_panic_in_a_worker_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(2);
        let mut target = [0; 2];
        let failed = panic::catch_unwind(AssertUnwindSafe(|| {
            pool.fill(&mut target, 1, 2, |first, _| {
                assert_eq!(first, 0, "the second half fails")
            });
        }));
        assert!(failed.is_err());
        pool.fill(&mut target, 1, 2, |_, run| run.fill(3));
        assert_eq!(target, [3, 3]);
    }
}

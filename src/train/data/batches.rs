//! Batches made ahead on a thread of their own.

use std::thread::JoinHandle;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};

/// Batches in the order of their steps, made ahead.
#[derive(Debug)]
pub struct Batches<T> {
    receiver: Option<Receiver<Result<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Batches<T> {
    pub(super) fn start(
        from: u64,
        to: u64,
        ahead: usize,
        make: impl Fn(u64) -> Result<T> + Send + 'static,
    ) -> Result<Batches<T>> {
        let (sender, receiver) = bounded(ahead.max(1));
        let thread = std::thread::Builder::new()
            .name("batches".to_string())
            .spawn(move || {
                for step in from..to {
                    let batch = make(step);
                    let failed = batch.is_err();
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            })
            .context("cannot start the thread that makes batches")?;
        Ok(Batches {
            receiver: Some(receiver),
            thread: Some(thread),
        })
    }
}

impl<T> Batches<T> {
    /// The next batch, where one is to come.
    ///
    /// # Errors
    /// When it could not be made.
    pub fn next_batch(&mut self) -> Result<T> {
        self.next()
            .context("the thread that makes batches has ended before the last one")?
    }
}

impl<T> Iterator for Batches<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.as_ref()?.recv().ok()
    }
}

impl<T> Drop for Batches<T> {
    fn drop(&mut self) {
        // Without a receiver the thread's next send fails, and it ends.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

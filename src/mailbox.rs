//! Hands the newest item from one thread to another; what nobody took in time is replaced and
//! counted.
//!
//! A mailbox holds one item. [`Sender::put`] never waits: a newer item takes the place of an
//! unread one. [`Sender::hand_over`] waits until the item before was taken, for work that must
//! not skip anything. When one end is dropped the other one learns of it; an item that was put
//! before its sender went can still be taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{self as channel, RecvTimeoutError, SendTimeoutError, TrySendError};

/// How long a waiting sender sleeps before it looks whether the receiver is still there.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// Makes a mailbox and returns its two ends.
pub fn mailbox<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = channel::bounded(1);
    let shared = Arc::new(Shared::default());
    let front = Sender {
        channel: sender,
        unread: receiver.clone(),
        shared: Arc::clone(&shared),
    };
    let back = Receiver {
        channel: receiver,
        shared,
    };
    (front, back)
}

#[derive(Debug, Default)]
struct Shared {
    replaced: AtomicU64,
    /// The sender holds a receiver of its own to take unread items back with, so that the channel
    /// itself cannot tell it that the other end is gone.
    receiver_gone: AtomicBool,
}

/// The other end of the mailbox is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Why there is nothing to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// Nothing came in time.
    Timeout,
    /// Nothing will come any more: the sender is gone and its last item was taken.
    Closed,
}

/// The end that items are put into.
#[derive(Debug)]
pub struct Sender<T> {
    channel: channel::Sender<T>,
    unread: channel::Receiver<T>,
    shared: Arc<Shared>,
}

impl<T> Sender<T> {
    /// Puts an item in, in place of an unread one. Never waits.
    ///
    /// # Errors
    /// [`Closed`] when the receiver is gone; the item is dropped.
    pub fn put(&self, item: T) -> Result<(), Closed> {
        let mut item = item;
        loop {
            if self.shared.receiver_gone.load(Ordering::Acquire) {
                return Err(Closed);
            }
            match self.channel.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Closed),
                Err(TrySendError::Full(back)) => {
                    item = back;
                    if self.unread.try_recv().is_ok() {
                        self.shared.replaced.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// Waits until the mailbox is empty and puts an item in. Nothing is replaced.
    ///
    /// # Errors
    /// [`Closed`] when the receiver is gone; the item is dropped.
    pub fn hand_over(&self, item: T) -> Result<(), Closed> {
        let mut item = item;
        loop {
            if self.shared.receiver_gone.load(Ordering::Acquire) {
                return Err(Closed);
            }
            match self.channel.send_timeout(item, LOOK_AROUND) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(Closed),
                Err(SendTimeoutError::Timeout(back)) => item = back,
            }
        }
    }

    /// Items that were replaced before anybody took them.
    pub fn replaced(&self) -> u64 {
        self.shared.replaced.load(Ordering::Relaxed)
    }
}

/// The end that items are taken from.
#[derive(Debug)]
pub struct Receiver<T> {
    channel: channel::Receiver<T>,
    shared: Arc<Shared>,
}

impl<T> Receiver<T> {
    /// Takes the item, waiting for one up to `timeout`.
    ///
    /// # Errors
    /// [`Empty`] says why there is none.
    pub fn take(&self, timeout: Duration) -> Result<T, Empty> {
        self.channel
            .recv_timeout(timeout)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => Empty::Timeout,
                RecvTimeoutError::Disconnected => Empty::Closed,
            })
    }

    /// Takes the item if there is one.
    pub fn try_take(&self) -> Option<T> {
        self.channel.try_recv().ok()
    }

    /// Items that were replaced before anybody took them.
    pub fn replaced(&self) -> u64 {
        self.shared.replaced.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_newest_item_wins_and_the_replaced_ones_are_counted() {
        let (sender, receiver) = mailbox();
        for item in 0..5 {
            sender.put(item).unwrap();
        }
        assert_eq!(receiver.take(LONG), Ok(4));
        assert_eq!(receiver.try_take(), None);
        assert_eq!((sender.replaced(), receiver.replaced()), (4, 4));
    }

    #[test]
    fn a_waiting_receiver_gets_what_is_put_later() {
        let (sender, receiver) = mailbox();
        let waiting = thread::spawn(move || receiver.take(LONG));
        thread::sleep(Duration::from_millis(20));
        sender.put("late").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok("late"));
    }

    #[test]
    fn an_empty_mailbox_gives_up_waiting_in_time() {
        let (_sender, receiver) = mailbox::<u8>();
        assert_eq!(receiver.take(Duration::from_millis(5)), Err(Empty::Timeout));
    }

    #[test]
    fn the_last_item_outlives_its_sender_and_then_the_end_is_told() {
        let (sender, receiver) = mailbox();
        sender.put(7).unwrap();
        drop(sender);
        assert_eq!(receiver.take(LONG), Ok(7));
        assert_eq!(receiver.take(LONG), Err(Empty::Closed));
    }

    #[test]
    fn putting_into_a_mailbox_without_a_receiver_says_so() {
        let (sender, receiver) = mailbox();
        drop(receiver);
        assert_eq!(sender.put(1), Err(Closed));
        assert_eq!(sender.hand_over(1), Err(Closed));
    }

    #[test]
    fn handing_over_skips_nothing_however_slow_the_receiver_is() {
        let (sender, receiver) = mailbox();
        let sending = thread::spawn(move || {
            for item in 0..20 {
                sender.hand_over(item).unwrap();
            }
            sender.replaced()
        });
        let mut taken = Vec::new();
        while let Ok(item) = receiver.take(LONG) {
            taken.push(item);
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(taken, (0..20).collect::<Vec<_>>());
        assert_eq!(sending.join().unwrap(), 0);
    }

    #[test]
    fn a_sender_that_waits_for_room_is_released_when_the_receiver_goes() {
        let (sender, receiver) = mailbox();
        sender.put(1).unwrap();
        let waiting = thread::spawn(move || sender.hand_over(2));
        thread::sleep(Duration::from_millis(20));
        drop(receiver);
        assert_eq!(waiting.join().unwrap(), Err(Closed));
    }
}

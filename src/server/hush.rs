//! Wakers that keep quiet where waking would bring a connection back for nothing.
//!
//! Over HTTP/1.1 a body's bytes are handed from hyper's connection to the request's future inside
//! one task, and whoever takes the last of them wakes that task again: it would find nothing to do.
//! So a connection is polled with a waker that holds back while bytes are being taken from a body,
//! and whoever takes them wakes it where more of the body is to come.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};

thread_local! {
    /// Only what a thread does itself while it takes bytes is held back.
    static TAKING: Cell<Taking> = const { Cell::new(Taking::Nothing) };
}

/// The waker of a connection's task.
#[derive(Default)]
pub(super) struct Hush {
    /// The task's own, and the one that keeps quiet.
    wakers: Option<(Waker, Waker)>,
}

/// Wakes the task, unless this thread is taking bytes from a body.
struct Hushed(Waker);

/// What a thread is doing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Taking {
    /// It takes no bytes from a body.
    #[default]
    Nothing,
    /// It takes bytes from a body.
    Bytes,
    /// The same, and somebody was to be woken by that.
    Woken,
}

/// Whatever comes of taking bytes, it has an end.
struct Taken;

// === impl Hush ===

impl Hush {
    /// The waker that keeps quiet, for this task.
    pub(super) fn waker(&mut self, task: &Waker) -> &Waker {
        let known = self.wakers.take_if(|(known, _)| known.will_wake(task));
        let wakers = known.unwrap_or_else(|| {
            let hushed = Waker::from(Arc::new(Hushed(task.clone())));
            (task.clone(), hushed)
        });
        &self.wakers.insert(wakers).1
    }
}

/// Takes bytes from a body; returns whether its connection was to be woken by that, and was not.
pub(super) fn taking<R>(take: impl FnOnce() -> R) -> (R, bool) {
    TAKING.set(Taking::Bytes);
    let _taken = Taken;
    let taken = take();
    (taken, TAKING.get() == Taking::Woken)
}

// === impl Hushed ===

impl Wake for Hushed {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match TAKING.get() {
            Taking::Nothing => self.0.wake_by_ref(),
            Taking::Bytes | Taking::Woken => TAKING.set(Taking::Woken),
        }
    }
}

// === impl Taken ===

impl Drop for Taken {
    fn drop(&mut self) {
        TAKING.set(Taking::Nothing);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn it_wakes_but_while_bytes_are_taken() {
        let (one, two) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (first, second) = (Waker::from(Arc::clone(&one)), Waker::from(Arc::clone(&two)));
        let mut hush = Hush::default();
        let waker = hush.waker(&first).clone();
        assert_eq!(taking(|| 7), (7, false));
        assert_eq!(taking(|| waker.wake_by_ref()), ((), true));
        assert_eq!(one.0.load(Relaxed), 0);
        waker.wake_by_ref();
        assert_eq!(one.0.load(Relaxed), 1);
        assert!(hush.waker(&first).will_wake(&waker), "it is kept");
        hush.waker(&second).wake_by_ref();
        assert_eq!((one.0.load(Relaxed), two.0.load(Relaxed)), (1, 1));
    }
}

//! What one worker has under way, over all the channels it opened: a second channel gives it nothing more.

use tokio::sync::watch;

/// One worker's count. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct Share(watch::Sender<usize>);

/// One submission under way. Its place is free again when this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct UnderWay(Share);

impl Share {
    /// Nothing is under way.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Counts one more. Whoever looks before he begins is over a limit by one a channel at most.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| *count += 1);
        UnderWay(self.clone())
    }

    /// To see how many are under way, and when that changes.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_channels_begin_is_counted_together_and_its_end_is_seen_by_both() {
        let share = Share::new();
        let (one, other) = (share.clone(), share);
        let mut seen = other.watch();
        let first = one.begin();
        let second = other.begin();
        assert_eq!(*seen.borrow_and_update(), 2);
        drop(first);
        assert!(seen.has_changed().is_ok_and(|changed| changed));
        assert_eq!(*seen.borrow_and_update(), 1);
        drop(second);
        assert_eq!(*one.watch().borrow(), 0);
    }
}

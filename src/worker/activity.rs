//! Telling an idle connection from a busy one and from one that drips its request head. hyper has one
//! clock for all three, and a client that keeps its connection open is worth a token signature, one that
//! drips is not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    born: Instant,
    idle: Duration,
    head: Option<Duration>,
    requests: AtomicU32,
    /// Has there been a request?
    used: AtomicBool,
    /// Milliseconds after `born`: the connection began to be idle.
    since: AtomicU64,
    /// Milliseconds after `born`, plus one: the first octet after that came.
    octet: AtomicU64,
}

/// What to do about a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Wait(Instant),
    /// Nothing has come for too long after a request was answered.
    Idle,
    /// Nothing has come for too long, and no request ever did.
    Unused,
    /// A request head is taking too long.
    SlowHead,
}

impl Activity {
    /// An idle connection. `head` limits how long a request head may take; HTTP/2, where other frames
    /// come at any time, goes without.
    pub(super) fn new(idle: Duration, head: Option<Duration>) -> Arc<Self> {
        let (requests, since, octet) = (AtomicU32::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let used = AtomicBool::new(false);
        Arc::new(Self { born: Instant::now(), idle, head, requests, used, since, octet })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn read(&self) {
        if self.requests.load(Ordering::Relaxed) == 0 && self.octet.load(Ordering::Relaxed) == 0 {
            self.octet.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    /// A request's head is there; it is being worked on until the value is dropped.
    pub(super) fn request(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.used.store(true, Ordering::Relaxed);
        self.octet.store(0, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Since when no request is being worked on; none while one is.
    pub(super) fn quiet(&self) -> Option<Instant> {
        let quiet = self.requests.load(Ordering::Relaxed) == 0;
        quiet.then(|| self.born + Duration::from_millis(self.since.load(Ordering::Relaxed)))
    }

    /// How the connection does.
    pub(super) fn verdict(&self) -> Verdict {
        let now = Instant::now();
        if self.requests.load(Ordering::Relaxed) > 0 {
            return Verdict::Wait(now + self.idle);
        }
        let octet = self.octet.load(Ordering::Relaxed);
        if let Some(head) = self.head
            && octet > 0
        {
            let end = self.born + Duration::from_millis(octet - 1) + head;
            return if now >= end { Verdict::SlowHead } else { Verdict::Wait(end) };
        }
        let end = self.born + Duration::from_millis(self.since.load(Ordering::Relaxed)) + self.idle;
        // A head may begin at any moment, and its time with it.
        let look = self.head.map_or(end, |head| end.min(now + head));
        match (now >= end, self.used.load(Ordering::Relaxed)) {
            (true, true) => Verdict::Idle,
            (true, false) => Verdict::Unused,
            (false, _) => Verdict::Wait(look),
        }
    }
}

/// A request being worked on.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.since.store(self.0.now(), Ordering::Relaxed);
        self.0.octet.store(0, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that notes when something is read from it.
#[derive(Debug)]
pub(super) struct Watched<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> Watched<T> {
    /// Watches `stream`.
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.read();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(60);
    const HEAD: Duration = Duration::from_millis(20);

    #[test]
    fn a_dripping_head_is_told_from_an_idle_connection() {
        let activity = Activity::new(IDLE, Some(HEAD));
        assert!(matches!(activity.verdict(), Verdict::Wait(_)));
        std::thread::sleep(2 * HEAD);
        assert!(matches!(activity.verdict(), Verdict::Wait(_)));
        activity.read();
        std::thread::sleep(HEAD);
        assert_eq!(activity.verdict(), Verdict::SlowHead);
        drop(activity.request());
        std::thread::sleep(IDLE);
        assert_eq!(activity.verdict(), Verdict::Idle);
        let _busy = activity.request();
        assert!(matches!(activity.verdict(), Verdict::Wait(_)));
    }

    #[test]
    fn a_connection_that_never_asked_is_told_from_one_that_did() {
        let activity = Activity::new(IDLE, None);
        std::thread::sleep(IDLE);
        assert_eq!(activity.verdict(), Verdict::Unused);
        drop(activity.request());
        std::thread::sleep(IDLE);
        assert_eq!(activity.verdict(), Verdict::Idle);
    }
}

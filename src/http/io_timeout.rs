//! The pace of a connection: closes it when nothing moves. hyper's own time limit counts from the end of the request before, so it
//! bounds how long a connection may idle. This module bounds the first byte of a connection, a header that has begun, and a response
//! that the client does not read. It also ends idle connections once the service stops.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use rustix::io::ioctl_fionread;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// No byte has come since the connection began.
const FRESH: u8 = 0;
/// A header has begun.
const AWAITED: u8 = 1;
/// A request is being answered: the last byte of its response has not been produced.
const ANSWERED: u8 = 2;
/// The response is complete, and no byte of another request has come; hyper counts.
const IDLE: u8 = 3;
/// The response broke off after its first byte.
const BROKEN: u8 = 4;

/// How far a connection is. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Phase(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    phase: AtomicU8,
    /// Requests that began and responses that ended.
    moves: AtomicU32,
    is_leaving: AtomicBool,
}

impl Phase {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            phase: AtomicU8::new(FRESH),
            moves: AtomicU32::new(0),
            is_leaving: AtomicBool::new(false),
        }))
    }

    /// Records that a whole header has come.
    pub(crate) fn begin(&self) {
        self.set(ANSWERED);
        self.0.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the response is complete, unless it broke off.
    pub(crate) fn end(&self) {
        self.0.phase.compare_exchange(ANSWERED, IDLE, Ordering::Relaxed, Ordering::Relaxed).ok();
        self.0.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that differs from an earlier one where a request began or a response ended in between.
    pub(crate) fn moves(&self) -> u32 {
        self.0.moves.load(Ordering::Relaxed)
    }

    /// Records that the response broke off: its client must not take it for a complete one.
    pub(crate) fn break_off(&self) {
        self.set(BROKEN);
    }

    /// Ends the connection during this work if no request is under way on it.
    pub(crate) fn leave_during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.is_leaving.store(true, Ordering::Relaxed);
        let done = work();
        self.0.is_leaving.store(false, Ordering::Relaxed);
        done
    }

    fn is(&self, phases: &[u8]) -> bool {
        phases.contains(&self.0.phase.load(Ordering::Relaxed))
    }

    fn set(&self, phase: u8) {
        self.0.phase.store(phase, Ordering::Relaxed);
    }
}

/// An alarm that is set only where there is something to wait for: most requests come in one piece.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Sets the alarm.
    pub(crate) fn set(after: Duration) -> Self {
        Self(Some(Box::pin(tokio::time::sleep(after))))
    }

    /// Returns whether the time is over; it begins with the first call, unless the alarm was set before.
    pub(crate) fn is_over(&mut self, after: Duration, cx: &mut Context<'_>) -> bool {
        self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(after))).as_mut().poll(cx).is_ready()
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Passes on the outcome of a write; an error where the client has taken nothing for too long.
    pub(crate) fn judge<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending if self.is_over(limit, cx) => too_slow(),
            Poll::Pending => Poll::Pending,
            Poll::Ready(done) => {
                self.clear();
                Poll::Ready(done)
            }
        }
    }
}

/// The error of a client that is too slow.
pub(crate) fn too_slow<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")))
}

/// A connection that keeps its pace, or is closed.
pub(crate) struct Paced {
    stream: TcpStream,
    phase: Phase,
    header: Duration,
    write: Duration,
    reading: Alarm,
    writing: Alarm,
}

impl Paced {
    /// `header` is how long a header may take, `write` how long the client may take nothing of a response.
    pub(crate) fn new(stream: TcpStream, phase: Phase, header: Duration, write: Duration) -> Self {
        Self { stream, phase, header, write, reading: Alarm::default(), writing: Alarm::default() }
    }

    /// Returns whether the service may end the connection here: no request is under way, its last response is written, and no byte
    /// waits in the socket. What the socket holds is asked of the operating system: the runtime hears of it later.
    fn may_leave(&self) -> bool {
        self.phase.0.is_leaving.load(Ordering::Relaxed)
            && self.phase.is(&[FRESH, IDLE])
            && !self.writing.is_set()
            && ioctl_fionread(&self.stream).is_ok_and(|bytes| bytes == 0)
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if buf.filled().len() > before && this.phase.is(&[FRESH, IDLE]) {
                    // The first header counts from the beginning of the connection.
                    if this.phase.is(&[IDLE]) {
                        this.reading.clear();
                    }
                    this.phase.set(AWAITED);
                }
                Poll::Ready(read)
            }
            // The end of what the client sends, as far as hyper is concerned.
            Poll::Pending if this.may_leave() => Poll::Ready(Ok(())),
            Poll::Pending if !this.phase.is(&[FRESH, AWAITED]) => {
                this.reading.clear();
                Poll::Pending
            }
            Poll::Pending if this.reading.is_over(this.header, cx) => too_slow(),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Paced {
    fn written<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let judged = self.writing.judge(done, self.write, cx);
        if matches!(judged, Poll::Ready(Err(_))) {
            self.phase.break_off();
        }
        judged
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(done, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(done, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Paced {
    /// Resets a connection whose response is incomplete. A plain close would tell an HTTP/1.0 client, for which the end of the
    /// connection is the end of the response, that a part is the whole.
    fn drop(&mut self) {
        if self.phase.is(&[ANSWERED, BROKEN]) {
            self.stream.set_zero_linger().ok();
        }
    }
}

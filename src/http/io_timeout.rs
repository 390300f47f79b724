//! Timeouts for slow clients.
//!
//! hyper's header timeout starts at the end of the previous request, so it limits the idle time of
//! a connection. This module limits the time to the first byte, to a complete header and between
//! writes of a response. It also closes idle connections during shutdown.

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

/// The connection is open and no byte was received.
const NEW: u8 = 0;
/// A part of a header was received.
const READING_HEADER: u8 = 1;
/// A request is in progress: the last byte of its response was not produced yet.
const RESPONDING: u8 = 2;
/// The response is complete and no byte of another request was received. hyper's timeout applies.
const IDLE: u8 = 3;
/// The response was aborted after its first byte.
const ABORTED: u8 = 4;

/// The phase of a connection. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionPhase(Arc<PhaseState>);

#[derive(Debug)]
struct PhaseState {
    phase: AtomicU8,
    /// The number of started requests plus finished responses.
    transitions: AtomicU32,
    is_closing: AtomicBool,
}

impl ConnectionPhase {
    pub(crate) fn new() -> Self {
        Self(Arc::new(PhaseState {
            phase: AtomicU8::new(NEW),
            transitions: AtomicU32::new(0),
            is_closing: AtomicBool::new(false),
        }))
    }

    /// Records that a complete header was received.
    pub(crate) fn start_request(&self) {
        self.set(RESPONDING);
        self.0.transitions.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the response is complete, unless it was aborted.
    pub(crate) fn finish_response(&self) {
        self.0.phase.compare_exchange(RESPONDING, IDLE, Ordering::Relaxed, Ordering::Relaxed).ok();
        self.0.transitions.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of started requests plus finished responses. The caller compares it with
    /// an earlier value to detect activity.
    pub(crate) fn transitions(&self) -> u32 {
        self.0.transitions.load(Ordering::Relaxed)
    }

    /// Records that the response was aborted. The client must not mistake it for a complete
    /// response.
    pub(crate) fn abort_response(&self) {
        self.set(ABORTED);
    }

    /// Runs `operation`, during which a read closes the connection if no request is in progress.
    pub(crate) fn with_closing<T>(&self, operation: impl FnOnce() -> T) -> T {
        self.0.is_closing.store(true, Ordering::Relaxed);
        let result = operation();
        self.0.is_closing.store(false, Ordering::Relaxed);
        result
    }

    fn is_any_of(&self, phases: &[u8]) -> bool {
        phases.contains(&self.0.phase.load(Ordering::Relaxed))
    }

    fn set(&self, phase: u8) {
        self.0.phase.store(phase, Ordering::Relaxed);
    }
}

/// A timer that is created on first use. Most requests arrive in one piece and never need it.
#[derive(Debug, Default)]
pub(crate) struct LazyTimeout(Option<Pin<Box<Sleep>>>);

impl LazyTimeout {
    /// Creates a running timer.
    pub(crate) fn start(after: Duration) -> Self {
        Self(Some(Box::pin(tokio::time::sleep(after))))
    }

    /// Returns whether the time has elapsed. The first call starts the timer unless it is running.
    pub(crate) fn has_elapsed(&mut self, after: Duration, cx: &mut Context<'_>) -> bool {
        self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(after))).as_mut().poll(cx).is_ready()
    }

    /// Discards the timer.
    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }

    fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the result of a write, or a timeout error if the client read nothing for `limit`.
    pub(crate) fn check_write<T>(
        &mut self,
        write_result: Poll<io::Result<T>>,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match write_result {
            Poll::Pending if self.has_elapsed(limit, cx) => timed_out(),
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.reset();
                Poll::Ready(result)
            }
        }
    }
}

/// Returns the error for a client that exceeds a timeout.
pub(crate) fn timed_out<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client exceeded a timeout")))
}

/// A TCP connection that fails when the client exceeds a timeout.
pub(crate) struct TimeoutStream {
    stream: TcpStream,
    phase: ConnectionPhase,
    header_timeout: Duration,
    write_timeout: Duration,
    read_timer: LazyTimeout,
    write_timer: LazyTimeout,
}

impl TimeoutStream {
    /// Creates a stream. `header` limits the time to a complete header, `write` the time in which
    /// the client reads nothing of a response.
    pub(crate) fn new(stream: TcpStream, phase: ConnectionPhase, header: Duration, write: Duration) -> Self {
        Self {
            stream,
            phase,
            header_timeout: header,
            write_timeout: write,
            read_timer: LazyTimeout::default(),
            write_timer: LazyTimeout::default(),
        }
    }

    /// Returns whether the connection can be closed without losing a request: none is in progress,
    /// the last response is written, and the socket's receive buffer is empty. The buffer is
    /// queried from the operating system, because the runtime learns of new bytes later.
    fn can_close(&self) -> bool {
        self.phase.0.is_closing.load(Ordering::Relaxed)
            && self.phase.is_any_of(&[NEW, IDLE])
            && !self.write_timer.is_running()
            && ioctl_fionread(&self.stream).is_ok_and(|bytes| bytes == 0)
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let filled_before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if buf.filled().len() > filled_before && this.phase.is_any_of(&[NEW, IDLE]) {
                    // The timeout of the first header starts with the connection.
                    if this.phase.is_any_of(&[IDLE]) {
                        this.read_timer.reset();
                    }
                    this.phase.set(READING_HEADER);
                }
                Poll::Ready(read)
            }
            // hyper treats this as the end of the client's data.
            Poll::Pending if this.can_close() => Poll::Ready(Ok(())),
            Poll::Pending if !this.phase.is_any_of(&[NEW, READING_HEADER]) => {
                this.read_timer.reset();
                Poll::Pending
            }
            Poll::Pending if this.read_timer.has_elapsed(this.header_timeout, cx) => timed_out(),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl TimeoutStream {
    /// Applies the write timeout to the result of a write. A timeout aborts the response.
    fn finish_write<T>(&mut self, result: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let result = self.write_timer.check_write(result, self.write_timeout, cx);
        if matches!(result, Poll::Ready(Err(_))) {
            self.phase.abort_response();
        }
        result
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.finish_write(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.finish_write(result, cx)
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

impl Drop for TimeoutStream {
    /// Resets a connection whose response is incomplete. After a regular close, an HTTP/1.0 client
    /// would take the partial response for a complete one.
    fn drop(&mut self) {
        if self.phase.is_any_of(&[RESPONDING, ABORTED]) {
            self.stream.set_zero_linger().ok();
        }
    }
}

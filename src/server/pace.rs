//! How slowly a client may send and take: a connection on which nothing moves is closed. hyper's own time limit counts from the end of
//! the request before, so it bounds how long a connection may idle; this one bounds how long a header takes that has begun, the first
//! byte of a connection, and an answer that nobody reads.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// Nothing has come since the answer before; hyper counts.
const IDLE: u8 = 0;
/// A header has begun, or the connection has.
const AWAITED: u8 = 1;
/// A request is being answered.
const ANSWERED: u8 = 2;

/// How far a connection is. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(AWAITED)))
    }

    /// A whole header has come.
    pub(super) fn begin(&self) {
        self.0.store(ANSWERED, Ordering::Relaxed);
    }

    /// The answer is made; the next header may come.
    pub(super) fn end(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

/// An answer on its way; when it is there, the next request may come.
pub(super) struct Timed<F> {
    answer: F,
    phase: Phase,
}

impl<F> Timed<F> {
    pub(super) fn new(answer: F, phase: Phase) -> Self {
        Self { answer, phase }
    }
}

impl<F: Future + Unpin> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let done = Pin::new(&mut self.answer).poll(cx);
        if done.is_ready() {
            self.phase.end();
        }
        done
    }
}

/// A connection that keeps its pace, or is closed.
pub(super) struct Paced {
    stream: TcpStream,
    phase: Phase,
    header: Duration,
    write: Duration,
    /// Set only where there is something to wait for: most requests come in one piece.
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// `header` is how long a header may take, `write` how long the client may take nothing of an answer.
    pub(super) fn new(stream: TcpStream, phase: Phase, header: Duration, write: Duration) -> Self {
        Self { stream, phase, header, write, reading: None, writing: None }
    }
}

/// Whether the time to wait is over; it begins when this is asked first.
fn is_over(alarm: &mut Option<Pin<Box<Sleep>>>, after: Duration, cx: &mut Context<'_>) -> bool {
    alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(after))).as_mut().poll(cx).is_ready()
}

fn too_slow<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")))
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if this.phase.is(IDLE) && buf.filled().len() > before {
                    this.phase.0.store(AWAITED, Ordering::Relaxed);
                    this.reading = None;
                }
                Poll::Ready(read)
            }
            Poll::Pending if !this.phase.is(AWAITED) => {
                this.reading = None;
                Poll::Pending
            }
            Poll::Pending if is_over(&mut this.reading, this.header, cx) => too_slow(),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Paced {
    /// Judges what came of writing.
    fn written<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match done {
            Poll::Pending if is_over(&mut self.writing, self.write, cx) => too_slow(),
            Poll::Pending => Poll::Pending,
            Poll::Ready(done) => {
                self.writing = None;
                Poll::Ready(done)
            }
        }
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

//! What stands between a node and its database: a TCP proxy that does as it is told, from one moment to the next.

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What the proxy does with connections, those that are open included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Bytes of both directions are held, and go on later; connections are accepted and held.
    Stall,
    /// Connections are torn down, and new ones as soon as they come.
    Reset,
    /// Connections are closed, and nobody listens.
    Refuse,
}

/// A proxy on a port of its own. It ends, and every connection with it, when this is dropped.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Stands before this port of the local machine.
    pub async fn before(upstream: u16) -> Self {
        let (mode, modes) = watch::channel(Mode::Pass);
        let listener = listen(0).await;
        let port = listener.local_addr().unwrap().port();
        Self { port, mode, listening: tokio::spawn(serve(listener, upstream, modes)) }
    }

    pub fn switch(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.switch(Mode::Refuse);
        self.listening.abort();
    }
}

/// Listens, on the port that was given up before if need be.
async fn listen(port: u16) -> TcpListener {
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            // Somebody's connection uses the port this very moment.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn serve(mut listener: TcpListener, upstream: u16, mut modes: watch::Receiver<Mode>) {
    let port = listener.local_addr().unwrap().port();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                tokio::spawn(connection(client, upstream, modes.clone()));
            }
            () = until(&mut modes, |mode| mode == Mode::Refuse) => {
                drop(listener);
                until(&mut modes, |mode| mode != Mode::Refuse).await;
                listener = listen(port).await;
            }
        }
    }
}

/// Completes when the mode is such.
async fn until(modes: &mut watch::Receiver<Mode>, is: impl Fn(Mode) -> bool) {
    if modes.wait_for(|mode| is(*mode)).await.is_err() {
        // The proxy is gone, and its last word was to end everything.
        std::future::pending::<()>().await;
    }
}

/// One connection, until either side has enough of it or the proxy ends it.
async fn connection(mut client: TcpStream, upstream: u16, mut modes: watch::Receiver<Mode>) {
    let mut server = None;
    let held = modes.clone();
    tokio::select! {
        biased;
        () = until(&mut modes, |mode| matches!(mode, Mode::Reset | Mode::Refuse)) => {}
        _ = carry(&mut client, &mut server, upstream, held) => return,
    }
    if *modes.borrow() == Mode::Reset {
        for stream in [Some(&client), server.as_ref()].into_iter().flatten() {
            stream.set_zero_linger().ok();
        }
    }
}

async fn carry(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    upstream: u16,
    mut modes: watch::Receiver<Mode>,
) -> io::Result<()> {
    until(&mut modes, |mode| mode != Mode::Stall).await;
    let server = server.insert(TcpStream::connect(("127.0.0.1", upstream)).await?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(forward(from_client, to_server, modes.clone()), forward(from_server, to_client, modes))?;
    Ok(())
}

/// Carries bytes one way. What was read while they are held is not lost.
async fn forward(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut modes: watch::Receiver<Mode>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        until(&mut modes, |mode| mode != Mode::Stall).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

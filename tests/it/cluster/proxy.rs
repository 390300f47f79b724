//! A TCP proxy between a node and its database, whose mode can be changed at any time.

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// The treatment of new and open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Connections are accepted, and bytes in both directions are held back until the mode changes.
    Stall,
    /// Connections are reset, new ones as soon as they are accepted.
    Reset,
    /// Connections are closed, and new ones are refused.
    Refuse,
}

/// A proxy on its own port. It is stopped with all its connections when dropped.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for a port of the local machine.
    pub async fn start(upstream: u16) -> Self {
        let (mode, modes) = watch::channel(Mode::Pass);
        let listener = bind(0).await;
        let port = listener.local_addr().unwrap().port();
        Self { port, mode, task: tokio::spawn(serve(listener, upstream, modes)) }
    }

    pub fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set_mode(Mode::Refuse);
        self.task.abort();
    }
}

/// Binds a port. Retries while the port is still in use.
async fn bind(port: u16) -> TcpListener {
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            // An outgoing connection uses the port as its local port.
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
                tokio::spawn(handle_connection(client, upstream, modes.clone()));
            }
            () = wait_for_mode(&mut modes, |mode| mode == Mode::Refuse) => {
                drop(listener);
                wait_for_mode(&mut modes, |mode| mode != Mode::Refuse).await;
                listener = bind(port).await;
            }
        }
    }
}

/// Waits for a mode.
async fn wait_for_mode(modes: &mut watch::Receiver<Mode>, is: impl Fn(Mode) -> bool) {
    if modes.wait_for(|mode| is(*mode)).await.is_err() {
        // The proxy was dropped, which ends all connections.
        std::future::pending::<()>().await;
    }
}

/// Proxies one connection until either side or the proxy closes it.
async fn handle_connection(mut client: TcpStream, upstream: u16, mut modes: watch::Receiver<Mode>) {
    let mut server = None;
    let stall_modes = modes.clone();
    tokio::select! {
        biased;
        () = wait_for_mode(&mut modes, |mode| matches!(mode, Mode::Reset | Mode::Refuse)) => {}
        _ = proxy_streams(&mut client, &mut server, upstream, stall_modes) => return,
    }
    if *modes.borrow() == Mode::Reset {
        for stream in [Some(&client), server.as_ref()].into_iter().flatten() {
            stream.set_zero_linger().ok();
        }
    }
}

async fn proxy_streams(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    upstream: u16,
    mut modes: watch::Receiver<Mode>,
) -> io::Result<()> {
    wait_for_mode(&mut modes, |mode| mode != Mode::Stall).await;
    let server = server.insert(TcpStream::connect(("127.0.0.1", upstream)).await?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(forward(from_client, to_server, modes.clone()), forward(from_server, to_client, modes))?;
    Ok(())
}

/// Copies bytes in one direction. Bytes that were read during a stall are sent after it.
async fn forward(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut modes: watch::Receiver<Mode>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        wait_for_mode(&mut modes, |mode| mode != Mode::Stall).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

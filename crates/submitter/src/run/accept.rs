//! Connections, of which only so many are served at once.

use std::{
    fmt, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use distjob_runtime::shutdown::Stop;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::either::Either;
use tracing::warn;

/// Connections that may wait to be accepted; the system may allow fewer. What comes beyond that is refused or reset, and
/// the usual 128 are soon reached where many connect at once.
const BACKLOG: u32 = 4096;

/// A pause after a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Who may write to a Unix socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// A connection, of either kind.
pub(crate) type Stream = Either<TcpStream, UnixStream>;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// An address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Listens.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket, which goes with its listener.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next listener takes care of one that is left.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens at `spot`. A Unix socket that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When that cannot be.
    pub(crate) async fn bind(spot: &Spot) -> io::Result<Self> {
        match spot {
            Spot::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                // Connections of an earlier listener may linger at the address.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                socket.listen(BACKLOG).map(Self::Tcp)
            }
            Spot::Unix(path) => {
                remove_abandoned(path).await?;
                let socket = UnixSocket::new_stream()?;
                socket.bind(path)?;
                let listener = socket.listen(BACKLOG)?;
                std::fs::set_permissions(path, PermissionsExt::from_mode(SOCKET_MODE))?;
                Ok(Self::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    /// Where it listens, with the port that it got.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn spot(&self) -> io::Result<Spot> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Spot::Tcp),
            Self::Unix(_, file) => Ok(Spot::Unix(file.0.clone())),
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are small and waited for.
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Either::Right(stream)),
        }
    }

    /// Attends to connections, to `most` at once, until the request to stop; then it listens no more, and returns when
    /// all of them have ended. Whoever comes while there are as many waits in the backlog.
    pub(crate) async fn serve<F>(self, most: usize, stop: &Stop, attend: impl Fn(Stream) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let is_full = connections.len() >= most;
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = connections.join_next(), if is_full => {}
                accepted = self.accept(), if !is_full => match accepted {
                    Ok(stream) => drop(connections.spawn(attend(stream))),
                    Err(error) => {
                        warn!(%error, "failed to accept a connection");
                        stop.unless_requested(sleep(ACCEPT_PAUSE)).await;
                    }
                },
            }
        }
        drop(self);
        while connections.join_next().await.is_some() {}
    }
}

/// Removes the file of a socket at which nobody listens.
async fn remove_abandoned(path: &Path) -> io::Result<()> {
    // Connecting to what is no socket is refused, too.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        // Binding will say that it is in use.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn the_socket_of_a_dead_listener_is_replaced_and_that_of_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let spot = Spot::Unix(path.clone());
        let living = Listener::bind(&spot).await.unwrap();
        let error = Listener::bind(&spot).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(living);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        let error = Listener::bind(&Spot::Unix(path.clone())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }

    #[tokio::test]
    async fn no_more_are_served_at_once_and_none_is_lost() {
        let listener = Listener::bind(&Spot::Tcp("127.0.0.1:0".parse().unwrap()))
            .await
            .unwrap();
        let Spot::Tcp(address) = listener.spot().unwrap() else {
            panic!("it listens at an address");
        };
        let stop = Stop::new();
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move {
                let echo = |mut stream: Stream| async move {
                    let byte = stream.read_u8().await.unwrap();
                    stream.write_u8(byte).await.unwrap();
                };
                listener.serve(1, &stop, echo).await;
            }
        });
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_u8(2).await.unwrap();
        first.write_u8(1).await.unwrap();
        assert_eq!(first.read_u8().await.unwrap(), 1);
        assert_eq!(second.read_u8().await.unwrap(), 2);
        stop.request();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}

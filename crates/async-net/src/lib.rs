//! What the ZooKeeper client needs of the crate of this name, on tokio's sockets.
//!
//! The client is written for any runtime, and its sockets are watched by a thread of their own: whatever a server says wakes
//! that thread, which wakes one of tokio's, and before that it is asked in vain, with a call of the kernel each, whenever
//! the client looks at anything at all. The workspace puts this crate in place of the original (`[patch.crates-io]`), so that
//! tokio watches the ledger's sockets as it does all others. A program outside of this workspace that uses its libraries
//! gets the original, which is slower and no different else.
//!
//! Two things are better than in the original. Small packets are sent at once (`TCP_NODELAY`): without that a request waits
//! for the answer to the one before, which may be a write on its way to the disk. And requests that are made at the same time
//! go out together: before each write other tasks get a turn.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::io::{AsyncRead, AsyncWrite};
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::ToSocketAddrs,
};

/// A TCP connection.
#[derive(Debug)]
pub struct TcpStream {
    inner: tokio::net::TcpStream,
    /// Whether others had a turn since the last write.
    gathered: bool,
}

impl TcpStream {
    /// Connects to the first address that answers. To be called within a tokio runtime.
    ///
    /// # Errors
    /// That of the last address that was tried, or that of finding one.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let inner = tokio::net::TcpStream::connect(address).await?;
        inner.set_nodelay(true)?;
        Ok(Self {
            inner,
            gathered: false,
        })
    }

    /// Lets all other tasks that are ready go first, once before each write: what they have to say goes out with it.
    fn poll_gather(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.gathered {
            return Poll::Ready(());
        }
        self.gathered = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut bytes))?;
        Poll::Ready(Ok(bytes.filled().len()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gather(cx));
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices));
        self.gathered = false;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, tokio::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_go_both_ways_until_an_end_is_closed() {
        let (mut client, mut server) = pair().await;
        assert!(client.inner.nodelay().unwrap());
        client.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        tokio::io::AsyncReadExt::read_exact(&mut server, &mut bytes)
            .await
            .unwrap();
        assert_eq!(&bytes, b"ping");
        tokio::io::AsyncWriteExt::write_all(&mut server, b"pong")
            .await
            .unwrap();
        drop(server);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"pong");
        client.close().await.unwrap();
    }

    #[tokio::test]
    async fn whoever_is_ready_gets_a_turn_before_each_write() {
        let (mut client, _server) = pair().await;
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        for _ in 0..2 {
            assert!(Pin::new(&mut client).poll_write(cx, b"x").is_pending());
            let written = Pin::new(&mut client).poll_write(cx, b"x");
            assert!(matches!(written, Poll::Ready(Ok(1))), "{written:?}");
        }
    }
}

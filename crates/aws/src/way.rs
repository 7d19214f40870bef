//! How a connection is opened: directly, or through an HTTP proxy or one that speaks SOCKS; with TLS where the URL has it.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use network::tunnel::{self, Stream, Target};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::interim::Counted;
use crate::proxy::{Kind, Proxy, Resolver};

/// No connection came about in time.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection in time")
    }
}

impl Error for TooSlow {}

/// The proxy itself could not be reached.
#[derive(Debug)]
pub(crate) struct ProxyUnreached(BoxError);

impl fmt::Display for ProxyUnreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy cannot be reached")
    }
}

impl Error for ProxyUnreached {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// The addresses of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Way {
    tcp: HttpConnector,
    proxy: Option<Arc<Proxy>>,
    tls: Option<Arc<ClientConfig>>,
    connect_timeout: Option<Duration>,
}

impl Way {
    /// Without `tls` there is no way to an `https://` URL.
    pub(crate) fn new(
        proxy: Option<Arc<Proxy>>,
        tls: Option<Arc<ClientConfig>>,
        connect_timeout: Option<Duration>,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, proxy, tls, connect_timeout }
    }

    async fn open(mut self, to: Uri) -> Result<Opened, BoxError> {
        let host = to.host().ok_or("the URL names no host")?.to_owned();
        let is_secure = to.scheme() == Some(&Scheme::HTTPS);
        let port = to.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let Some(proxy) = self.proxy.clone() else {
            let (tcp, ends) = self.connect(to).await?;
            return self.opened(Box::new(tcp), ends, is_secure.then_some(&*host), false).await;
        };
        let (mut stream, ends) = self.proxied(&proxy).await.map_err(ProxyUnreached)?;
        let is_forwarding = proxy.kind() == Kind::Http && !is_secure;
        if !is_forwarding {
            ask(&proxy, &mut *stream, &host, port).await?;
        }
        self.opened(stream, ends, is_secure.then_some(&*host), is_forwarding).await
    }

    /// A connection to the proxy itself.
    async fn proxied(&mut self, proxy: &Proxy) -> Result<(Box<dyn Stream>, Option<Ends>), BoxError> {
        let (tcp, ends) = self.connect(proxy.uri().clone()).await?;
        if !proxy.speaks_tls() {
            return Ok((Box::new(tcp), ends));
        }
        let host = proxy.uri().host().ok_or("the proxy's URL names no host")?;
        // A proxy is asked in HTTP/1.1.
        let (stream, _) = self.secured(Box::new(tcp), host, &[b"http/1.1"]).await?;
        Ok((stream, ends))
    }

    async fn connect(&mut self, to: Uri) -> Result<(tokio::net::TcpStream, Option<Ends>), BoxError> {
        let tcp = self.tcp.call(to).await?.into_inner();
        let ends = tcp.local_addr().and_then(|local| Ok(Ends { local, remote: tcp.peer_addr()? })).ok();
        Ok((tcp, ends))
    }

    async fn opened(
        &self,
        stream: Box<dyn Stream>,
        ends: Option<Ends>,
        secure: Option<&str>,
        is_forwarding: bool,
    ) -> Result<Opened, BoxError> {
        let (stream, is_h2) = match secure {
            Some(host) => self.secured(stream, host, &[b"h2", b"http/1.1"]).await?,
            None => (stream, false),
        };
        Ok(Opened { stream: TokioIo::new(Counted::new(stream, is_h2)), ends, is_forwarding, is_h2 })
    }

    /// `stream` with TLS for `host`, and whether HTTP/2 was agreed upon.
    async fn secured(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        protocols: &[&[u8]],
    ) -> Result<(Box<dyn Stream>, bool), BoxError> {
        let tls = self.tls.as_ref().ok_or("no certificates were loaded")?;
        let mut tls = ClientConfig::clone(tls);
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let name = ServerName::try_from(unbracketed(host).to_owned())?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), is_h2))
    }
}

/// Asks `proxy` for a way to `host`.
async fn ask(proxy: &Proxy, stream: &mut dyn Stream, host: &str, port: u16) -> Result<(), BoxError> {
    let (is_5, resolver) = match proxy.kind() {
        Kind::Http => return Ok(tunnel::connect(stream, host, port, proxy.authorization().as_ref()).await?),
        Kind::Socks5(resolver) => (true, resolver),
        Kind::Socks4(resolver) => (false, resolver),
    };
    let host = unbracketed(host);
    let target = match (host.parse(), resolver) {
        (Ok(address), _) => Target::Address(address),
        (Err(_), Resolver::Proxy) => Target::Name(host),
        (Err(_), Resolver::Here) => Target::Address(resolved(host, port).await?),
    };
    let login = proxy.login();
    if is_5 {
        tunnel::socks5(stream, &target, port, login.as_ref()).await?;
    } else {
        tunnel::socks4(stream, &target, port, login.as_ref()).await?;
    }
    Ok(())
}

/// An address of `host`: IPv4, where it has one, since SOCKS 4 knows no other and many proxies have no IPv6.
async fn resolved(host: &str, port: u16) -> io::Result<IpAddr> {
    let addresses: Vec<IpAddr> = tokio::net::lookup_host((host, port)).await?.map(|address| address.ip()).collect();
    let found = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    found.copied().ok_or_else(|| io::Error::other("failed to lookup address information: no address"))
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

impl Service<Uri> for Way {
    type Response = Opened;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Opened, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (opening, limit) = (self.clone().open(to), self.connect_timeout);
        Box::pin(async move {
            match limit {
                Some(limit) => tokio::time::timeout(limit, opening).await.map_err(|_| TooSlow)?,
                None => opening.await,
            }
        })
    }
}

/// A connection.
pub(crate) struct Opened {
    stream: TokioIo<Counted>,
    ends: Option<Ends>,
    /// Whether a proxy makes the requests: it wants whole URLs.
    is_forwarding: bool,
    is_h2: bool,
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_forwarding);
        let connected = match self.ends {
            Some(ends) => connected.extra(ends),
            None => connected,
        };
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Opened {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Opened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
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

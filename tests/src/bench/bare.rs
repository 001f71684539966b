//! The least that HTTPS costs on this machine: hyper and rustls with the connector's own TLS settings and certificate, and nothing else.

use super::millis_since;
use bytes::Bytes;
use connector::http::tls::{Settings, Tls};
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client, server,
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

/// The piece in which the bare server hands bytes to TLS.
const PIECE: usize = 64 * 1024;

/// Serves on localhost with the certificate in a connector's folder: `POST` with `x-size: N` answers N bytes in one piece,
/// `GET /N` streams N bytes in pieces of 64 KiB.
pub async fn serve(folder: &Path) -> SocketAddr {
    let settings = Settings {
        certificate: folder.join("tls.pem"),
        key: folder.join("tls-key.pem"),
        allow_tls12: false,
    };
    let tls = Tls::load(settings).expect("the connector's certificate");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(tls.current());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let stream = acceptor.accept(stream).await.expect("a handshake");
                let service = hyper::service::service_fn(answer);
                // The client ends the connection when it has what it wants.
                let _ = server::conn::http1::Builder::new()
                    .max_buf_size(128 * 1024)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Either<Full<Bytes>, Pieces>>, Infallible> {
    static BYTES: [u8; PIECE] = [b'x'; PIECE];
    let of = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok());
    let wanted = of(request.headers().get("x-size").and_then(|value| value.to_str().ok()));
    if let Some(size) = wanted {
        let _ = request.into_body().collect().await;
        return Ok(Response::new(Either::Left(Full::new(Bytes::from_static(
            &BYTES[..size.min(PIECE)],
        )))));
    }
    let total = of(request.uri().path().strip_prefix('/')).unwrap_or(0);
    let pieces = (0..total.div_ceil(PIECE)).map(move |at| {
        let piece = &BYTES[..PIECE.min(total - at * PIECE)];
        Ok(Frame::data(Bytes::from_static(piece)))
    });
    let pieces: Box<dyn Iterator<Item = _> + Send> = Box::new(pieces);
    Ok(Response::new(Either::Right(StreamBody::new(stream::iter(pieces)))))
}

type Pieces = StreamBody<stream::Iter<Box<dyn Iterator<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

/// A TLS connection to localhost that trusts the authority of a connector's folder and speaks HTTP/1.1.
pub async fn connect(address: SocketAddr, authority: &Path) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).expect("an authority") {
        roots
            .add(certificate.expect("a certificate"))
            .expect("a usable certificate");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a TCP socket");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("a handshake")
}

/// A kept-alive connection on which round trips are measured.
pub struct RoundTrips(client::conn::http1::SendRequest<Full<Bytes>>);

impl RoundTrips {
    /// Connects to [`serve`].
    pub async fn new(address: SocketAddr, authority: &Path) -> Self {
        let stream = connect(address, authority).await;
        let (sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/1.1");
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends a body of `sent` bytes, takes one of `answered` bytes; how many milliseconds that took.
    pub async fn take(&mut self, sent: usize, answered: usize) -> f64 {
        let request = Request::post("/")
            .header(header::HOST, "localhost")
            .header("x-size", answered)
            .body(Full::new(Bytes::from(vec![b'x'; sent])))
            .expect("a request");
        let begun = Instant::now();
        self.0.ready().await.expect("a live connection");
        let response = self.0.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body.len(), answered);
        millis_since(begun)
    }
}

/// Fetches a resource on a new connection and throws it away; returns its bytes as TLS delivered them (head and chunk sizes
/// included) and the seconds from sending the request to the end.
pub async fn discard(address: SocketAddr, authority: &Path, path: &str, token: Option<&str>) -> (u64, f64) {
    let mut stream = connect(address, authority).await;
    let authorization = token
        .map(|token| format!("authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n");
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).await.expect("a request is sent");
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        let read = stream
            .read(&mut buffer)
            .await
            .expect("an answer that is not broken off");
        if bytes == 0 {
            assert!(
                buffer.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&buffer[..read])
            );
        }
        if read == 0 {
            return (bytes, begun.elapsed().as_secs_f64());
        }
        bytes += read as u64;
    }
}

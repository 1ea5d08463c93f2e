//! Connections, within limits: of their number, of their time, of what they send.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::tls::Tls;

/// How long a client may take to say what it wants.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of a request's head at most.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 20_000;

/// Threads that serve.
const THREADS: usize = 2;

/// A server at work, until it is dropped.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

/// Serves `routes` at `listener`, by TLS if there is one, on threads of its own.
///
/// # Errors
///
/// When there are no threads to be had.
pub fn serve(listener: TcpListener, routes: Router, tls: Option<Tls>) -> io::Result<Serving> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("serve")
        .enable_all()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    runtime.spawn(accept(listener, routes, tls));
    Ok(Serving { address, runtime: Some(runtime) })
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Streams never end by themselves.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, routes: Router, tls: Option<Tls>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        let (socket, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of files: those that are open end at some time.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Events go out at once.
        let _ = socket.set_nodelay(true);
        let (routes, tls) = (routes.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => answer(socket, routes).await,
                Some(tls) => {
                    if let Ok(Ok(socket)) = timeout(HEADERS_WITHIN, tls.accept(socket)).await {
                        answer(socket, routes).await;
                    }
                }
            }
            drop(place);
        });
    }
}

/// Answers all that is asked over a connection.
async fn answer(socket: impl AsyncRead + AsyncWrite + Unpin, routes: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes))
        .await;
    // A client that leaves or speaks nonsense is its own affair.
    drop(served);
}

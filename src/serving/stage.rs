//! The listener and the connections of the private port.
//!
//! Open connections are bounded, a request must arrive in time, and a peer that takes nothing is dropped by the kernel
//! after a minute. When the program stops, streams end, requests in flight are finished, and what is not finished after
//! some seconds is cut.

use super::api::Shared;
use super::error::BuildError;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long requests in flight may take once the program stops.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged before the connection is given up.
const DEAD_PEER: Duration = Duration::from_secs(60);
const BACKLOG: i32 = 1024;

/// The private port: bound, not yet answering.
pub struct Serving {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    pub(super) api: Shared,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Serving({})", self.address)
    }
}

/// Binds the address.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, BuildError> {
    let attempt = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for old connections to time out; two listeners still exclude each other.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    attempt().map_err(|e| BuildError::bind(address, &e))
}

impl Serving {
    pub(super) fn new(listener: TcpListener, address: SocketAddr, router: Router, api: Shared) -> Self {
        Serving { listener, address, router, api }
    }

    /// The address that was bound; with port 0 in the configuration, the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the drain is raised.
    ///
    /// # Errors
    /// Only when the listener cannot be handed to the runtime.
    pub async fn run(self) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let drain = self.api.deps.drain.clone();
        let most = self.api.config.max_connections;
        let slots = Arc::new(Semaphore::new(most));
        let header_time = self.api.config.request_timeout.to_duration();
        let hub = tokio::spawn(super::live::hub::run(self.api.clone()));
        loop {
            let slot = tokio::select! {
                slot = slots.clone().acquire_owned() => slot,
                () = drain.raised() => break,
            };
            let Ok(slot) = slot else { break };
            let (stream, _) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(e) => {
                        // Out of descriptors, mostly: waiting is all that helps.
                        tracing::warn!(error = %e, "the private port cannot accept");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = drain.raised() => break,
            };
            let _ = stream.set_nodelay(true);
            let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(DEAD_PEER));
            let service = TowerToHyperService::new(self.router.clone());
            let drain = drain.clone();
            tokio::spawn(async move {
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(header_time).max_buf_size(64 * 1024);
                let connection = http.serve_connection(TokioIo::new(stream), service);
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = drain.raised() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = tokio::time::timeout(LAST_REQUESTS, connection).await;
                    }
                }
                drop(slot);
            });
        }
        drop(listener);
        // Every connection gives its slot back when it ends.
        let all = u32::try_from(most).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(LAST_REQUESTS + Duration::from_secs(1), slots.acquire_many(all)).await;
        hub.abort();
        Ok(())
    }
}

//! Taking connections in: who may, which worker serves them, and the certificate that is shown.

use super::http1::{Persistence, render};
use super::metrics::{CollectorMetrics, Refusal};
use super::reply::Reply;
use super::wall::Wall;
use super::worker::Shared;
use crate::net::peer::{Pass, canonical};
use crate::net::tls::Certificate;
use crate::net::{Gate, Refused};
use std::net::{IpAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// Pause after an accept that failed, for want of file handles most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection on its way to a worker.
pub(super) struct Accepted {
    pub(super) stream: StdStream,
    pub(super) peer: IpAddr,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) pass: Pass,
}

/// A worker's thread as the accepting side sees it.
pub(super) struct Hand {
    pub(super) give: mpsc::Sender<Accepted>,
    pub(super) open: Arc<AtomicUsize>,
}

/// Takes connections in and hands each to the worker that has the fewest.
pub(super) async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Shared,
    gate: Gate,
    hands: Arc<[Hand]>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut failing = false;
    let mut wall = Wall::new(shared.clock.now_ms(), shared.settings.cookie_age);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let failed_before = std::mem::replace(&mut failing, accepted.is_err());
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, canonical(peer.ip())),
            Err(e) => {
                // Said once, not twenty times a second while it lasts.
                if !failed_before {
                    tracing::warn!("cannot accept a connection: {e}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let pass = match gate.enter(peer) {
            Ok(pass) => pass,
            Err(refused) => {
                shared.metrics.refused(
                    match refused {
                        Refused::Total => Refusal::Connections,
                        Refused::PerAddress => Refusal::ConnectionsPerAddress,
                    },
                    1,
                );
                if tls.is_none() {
                    wall.set(shared.clock.now_ms());
                    turn_away(&stream, &shared, &wall);
                }
                continue;
            }
        };
        // Small replies must not wait for an acknowledgement; without the option everything still works.
        let _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { continue };
        let Some(hand) = hands.iter().min_by_key(|hand| hand.open.load(Ordering::Relaxed)) else { return };
        hand.open.fetch_add(1, Ordering::Relaxed);
        if hand.give.send(Accepted { stream, peer, tls: tls.clone(), pass }).await.is_err() {
            return;
        }
    }
}

/// Tells a client without waiting for it that there is no room; if that does not go at once, closing says it too.
fn turn_away(stream: &TcpStream, shared: &Shared, wall: &Wall) {
    let mut out = Vec::with_capacity(256);
    render(&Reply::busy(), &shared.settings, wall, false, Persistence::Closes, &mut out);
    let _ = stream.try_write(&out);
}

/// Looks at the certificate files from time to time.
pub(super) async fn reload(
    certificate: Certificate,
    every: Duration,
    metrics: CollectorMetrics,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(every) => {}
        }
        let certificate = certificate.clone();
        match tokio::task::spawn_blocking(move || certificate.reload()).await {
            Ok(Ok(true)) => {
                metrics.certificate_reloads.inc();
                tracing::info!("the certificate of the public port was exchanged");
            }
            Ok(Ok(false)) => {}
            Ok(Err(e)) => tracing::warn!("the certificate stays as it is: {e}"),
            Err(e) => tracing::error!("looking at the certificate failed: {e}"),
        }
    }
}

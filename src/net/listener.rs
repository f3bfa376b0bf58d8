//! Opening a listening socket, with errors that say which key to change.

use std::io;
use std::net::{SocketAddr, TcpListener};

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{addr}\": {}", explain(.source))]
pub struct BindError {
    /// The configuration key.
    pub key: &'static str,
    /// What it says.
    pub addr: SocketAddr,
    /// What the machine said.
    pub source: io::Error,
}

fn explain(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => {
            "this port is in use: stop the other process, or choose another port (0 takes any free one)".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "not allowed: ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => format!("cannot listen: {e}"),
    }
}

/// Length of the queue of connections that wait to be accepted; the kernel may cut it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Listens on `addr`. The port is taken for this process alone: a second process that asks for it gets an error.
///
/// # Errors
/// [`BindError`] names `key` and the address.
pub fn bind(addr: SocketAddr, key: &'static str) -> Result<TcpListener, BindError> {
    let open = || -> io::Result<TcpListener> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(addr),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        // Without it a restart has to wait until the connections of the last run have left TIME_WAIT.
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    open().map_err(|source| BindError { key, addr, source })
}

/// Raises the soft limit of open files to the hard one: every connection is a file. Returns the limit that holds then.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    if raised.is_ok() { now.maximum } else { now.current }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_key_and_address() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "collector.listen").unwrap();
        let addr = first.local_addr().unwrap();
        let error = bind(addr, "collector.listen").unwrap_err().to_string();
        assert!(error.starts_with(&format!("collector.listen = \"{addr}\": this port is in use")), "{error}");
    }
}

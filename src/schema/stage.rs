//! The background thread of the resolver.

use super::refresh::EVERY;
use super::resolver::Resolver;
use std::io;
use std::sync::{Arc, Weak};

/// Starts the thread. It holds the resolver weakly, and ends soon after everybody else has let go of it.
pub(super) fn spawn(resolver: &Arc<Resolver>) -> io::Result<()> {
    let resolver: Weak<Resolver> = Arc::downgrade(resolver);
    std::thread::Builder::new().name("iglu-refresh".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(EVERY);
            match resolver.upgrade() {
                Some(resolver) => resolver.refresh(),
                None => return,
            }
        }
    })?;
    Ok(())
}

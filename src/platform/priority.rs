//! Which threads give way when the cores are full.
//!
//! A request waits for the journal and an answer for the speed layer; a micro-batch has seconds. On a small machine the
//! batch layer would otherwise take its turn before a request that somebody waits for.

/// Steps of `nice` that the batch layer's threads and those of its database give way by.
#[cfg(target_os = "linux")]
const NICE: i32 = 4;

/// Lets the calling thread, and those that it starts from now on, run behind the others of the machine. Linux gives every
/// thread a priority of its own; elsewhere this does nothing, because it would slow the whole process down.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn one_thread_gives_way_and_hands_it_down_and_the_others_do_not() {
        let now = || rustix::process::getpriority_process(None).unwrap();
        let before = now();
        let (own, child) = std::thread::spawn(move || {
            super::give_way();
            (now(), std::thread::spawn(now).join().unwrap())
        })
        .join()
        .unwrap();
        assert!(own >= super::NICE && child == own, "{own} {child}");
        assert_eq!(now(), before);
    }
}

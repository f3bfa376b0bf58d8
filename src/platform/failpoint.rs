//! Named places where a test build kills its own process.
//!
//! A crash test sets `SNOWSHED_FAIL_POINT=name` (or `name:3` for the third passage) and starts the program; at that place
//! the process ends as by `kill -9`: nothing is flushed, nothing unwinds. Without the cargo feature `fail-points` the call
//! compiles to nothing.

/// Ends the process here if the environment names this point.
#[inline(always)]
pub fn fail_point(name: &str) {
    #[cfg(feature = "fail-points")]
    armed::hit(name);
    #[cfg(not(feature = "fail-points"))]
    let _ = name;
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Armed {
        name: String,
        remaining: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) fn hit(name: &str) {
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var("SNOWSHED_FAIL_POINT").ok()?;
            let (name, nth) = match text.rsplit_once(':') {
                Some((name, nth)) if nth.parse::<u32>().is_ok() => (name, nth.parse().unwrap_or(1)),
                _ => (text.as_str(), 1),
            };
            Some(Armed { name: name.to_owned(), remaining: AtomicU32::new(nth.max(1)) })
        });
        if let Some(armed) = armed
            && armed.name == name
            && armed.remaining.fetch_sub(1, Ordering::SeqCst) == 1
        {
            eprintln!("fail point {name}: the process ends here");
            if let Some(pid) = rustix::process::Pid::from_raw(std::process::id() as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            loop {
                std::thread::park();
            }
        }
    }
}

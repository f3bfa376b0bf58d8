//! Short turns on a core: the one place with `unsafe` code, because no crate wraps this system call.
//!
//! Linux gives every thread turns of some milliseconds, and one that wakes up waits for the end of the turn that another has
//! on its core, whatever their priorities. A request that is stored wakes four threads one after the other; on two busy
//! cores that waiting was half of its 99th percentile. Since Linux 6.12 a thread may ask for shorter turns, and then
//! interrupts those with longer ones. It gets no more of the core by it. Older kernels take the call and change nothing.
#![allow(unsafe_code)]

/// Nanoseconds of a turn: the least that Linux takes.
#[cfg(target_os = "linux")]
const TURN: u64 = 100_000;

/// `struct sched_attr` of sched_setattr(2), in its first version.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Default, Debug)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for short turns for the calling thread. Elsewhere than on Linux it does nothing.
pub fn take_short_turns() {
    #[cfg(target_os = "linux")]
    if let Err(error) = set(TURN) {
        tracing::debug!(%error, "a thread keeps the length of its turns");
    }
}

#[cfg(target_os = "linux")]
fn set(turn: u64) -> std::io::Result<()> {
    let size = u32::try_from(size_of::<Attributes>()).unwrap_or_default();
    let nice = rustix::process::getpriority_process(None)?;
    // The policy is the ordinary one, number 0.
    let attributes = Attributes { size, nice, runtime: turn, ..Attributes::default() };
    // SAFETY: the kernel reads `size` bytes of the structure, which lives until the call returns, and keeps nothing of it;
    // thread 0 is the calling one, flags are none.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_asks_for_short_turns_keeps_its_priority_and_the_others_keep_theirs() {
        use super::Attributes;
        let now = || {
            let mut attributes = Attributes::default();
            let size = size_of::<Attributes>();
            // SAFETY: the kernel writes at most `size` bytes into the structure.
            assert_eq!(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) }, 0);
            (attributes.runtime, attributes.nice, attributes.policy)
        };
        let before = now();
        let own = std::thread::spawn(move || {
            crate::platform::priority::give_way();
            let (_, nice, policy) = now();
            super::set(super::TURN).unwrap();
            assert_eq!((now().1, now().2), (nice, policy));
            now().0
        });
        let own = own.join().unwrap();
        // A kernel before 6.12 says 0 whatever it was asked.
        assert!(own == super::TURN || own == 0, "{own}");
        assert_eq!(now(), before);
    }
}

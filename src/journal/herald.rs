//! Waking many waiting tasks at the price of one.
//!
//! Waking a task from another thread costs a queue lock and mostly a system call, and on a busy core the woken thread runs
//! at once, finds one task, and sleeps again: with one wake per append that is most of what an append costs. So each async
//! runtime that appends gets one small task of its own, the herald. The writer hands it all wakers of a group with one
//! wake, and it wakes them from inside the runtime, where that is a push onto a local queue.

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Poll, Waker};
use tokio::runtime::{Handle, Id};

/// The herald of one runtime.
#[derive(Debug, Default)]
pub(super) struct Herald {
    ready: Mutex<Vec<Waker>>,
    task: AtomicWaker,
    /// The runtime is gone, and whoever waited in it too.
    gone: AtomicBool,
}

thread_local! {
    static HERE: RefCell<Option<(Id, Arc<Herald>)>> = const { RefCell::new(None) };
}

static ALL: LazyLock<Mutex<HashMap<Id, Arc<Herald>>>> = LazyLock::new(Mutex::default);

impl Herald {
    /// The herald of the runtime that the calling thread works for; `None` outside of any.
    pub(super) fn here() -> Option<Arc<Herald>> {
        let runtime = Handle::try_current().ok()?;
        let id = runtime.id();
        HERE.with_borrow_mut(|here| {
            if let Some((of, herald)) = here
                && *of == id
                && !herald.gone.load(Ordering::Relaxed)
            {
                return Some(herald.clone());
            }
            let herald = Herald::of(&runtime, id);
            *here = Some((id, herald.clone()));
            Some(herald)
        })
    }

    fn of(runtime: &Handle, id: Id) -> Arc<Herald> {
        let mut all = ALL.lock();
        all.retain(|_, herald| !herald.gone.load(Ordering::Relaxed));
        let make = || {
            let herald = Arc::new(Herald::default());
            runtime.spawn(run(Gone(herald.clone())));
            herald
        };
        all.entry(id).or_insert_with(make).clone()
    }
}

async fn run(herald: Gone) {
    poll_fn(|cx| {
        herald.0.task.register(cx.waker());
        let ready = std::mem::take(&mut *herald.0.ready.lock());
        for waker in ready {
            waker.wake();
        }
        Poll::<()>::Pending
    })
    .await;
}

/// Lives in the herald's task: dropped when the runtime ends.
struct Gone(Arc<Herald>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

/// A waker and, inside a runtime, who calls it.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) waker: Waker,
    pub(super) herald: Option<Arc<Herald>>,
}

/// The callers of one group, to be woken together.
#[derive(Debug, Default)]
pub(super) struct Callers(Vec<(Arc<Herald>, Vec<Waker>)>);

impl Callers {
    /// Adds one; outside of a runtime it is woken at once.
    pub(super) fn add(&mut self, caller: Caller) {
        let Some(herald) = caller.herald else { return caller.waker.wake() };
        match self.0.iter_mut().find(|(of, _)| Arc::ptr_eq(of, &herald)) {
            Some((_, wakers)) => wakers.push(caller.waker),
            None => self.0.push((herald, vec![caller.waker])),
        }
    }

    /// Wakes all that were added.
    pub(super) fn wake(self) {
        for (herald, mut wakers) in self.0 {
            {
                let mut ready = herald.ready.lock();
                if ready.is_empty() {
                    std::mem::swap(&mut *ready, &mut wakers);
                } else {
                    ready.append(&mut wakers);
                }
            }
            herald.task.wake();
        }
    }
}

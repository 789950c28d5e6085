//! Foreign code tried with samples, whose panics nobody is told of.
//!
//! The panic hook belongs to the process. Before a walk it is wrapped by one that passes on every panic but those of
//! threads that are walking; a hook that was set since is wrapped in turn, and none is ever taken away. (Between taking
//! the hook and setting the wrapper, another thread's panic goes to the standard hook, and a hook that is set at that very
//! moment is lost: set hooks before types are first cached, as programs do.)

use std::cell::Cell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::ptr::from_ref;
use std::sync::Mutex;
use std::thread::panicking;

use crate::ground::panics::caught;
use crate::ground::sync::lock;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

thread_local! {
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

/// What `run` returns; `None` where it panics, of which the panic hook hears nothing since the last [`wrap_hook`].
pub(super) fn tried<T>(run: impl FnOnce() -> T) -> Option<T> {
    let outer = TRYING.replace(true);
    let returned = caught(run);
    TRYING.set(outer);
    returned
}

/// Makes the process's panic hook one that is silent about what is tried.
pub(super) fn wrap_hook() {
    /// Where the wrapper is, to know it again.
    static WRAPPER: Mutex<Option<usize>> = Mutex::new(None);
    // A thread that is panicking may not change the hook: what it tries is told.
    if panicking() {
        return;
    }
    let mut wrapper = lock(&WRAPPER);
    let hook = take_hook();
    if *wrapper == Some(address(&hook)) {
        return set_hook(hook);
    }
    let quiet: Hook = Box::new(move |panic| {
        if !TRYING.try_with(Cell::get).unwrap_or(false) {
            hook(panic);
        }
    });
    *wrapper = Some(address(&quiet));
    set_hook(quiet);
}

fn address(hook: &Hook) -> usize {
    from_ref(&**hook).cast::<()>().addr()
}

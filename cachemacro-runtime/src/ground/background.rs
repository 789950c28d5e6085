//! A thread with a runtime of its own, for what must outlive the runtime of whoever began it.
//!
//! A task that is spawned on a user's runtime ends with that runtime, done or not: a test's runtime lives for one test. What may
//! not be lost, and what serves callers of several runtimes, runs here. All caches and stores of the process share the one thread.
//! It starts when it is first needed, sleeps while there is nothing to do, and ends when the last [`Background`] is dropped.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::dispatcher::get_default;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::error::{Error, ErrorKind, Result};
use super::sync::lock;

/// As it is shown in lists of threads, which cut names off after 15 bytes.
const NAME: &str = "cachemacro";

/// A share of the process's background runtime.
#[derive(Clone)]
pub(crate) struct Background(Arc<Mutex<Option<Running>>>);

/// The runtime on its thread. Dropping it ends both.
struct Running {
    handle: Handle,
    /// The process that the thread is of: a fork copies the memory, and no thread but the one that forked.
    process: u32,
    _until_dropped: oneshot::Sender<()>,
}

impl Background {
    /// The one that the process's caches share. Starts nothing yet.
    pub(crate) fn shared() -> Self {
        static SHARED: Mutex<Weak<Mutex<Option<Running>>>> = Mutex::new(Weak::new());
        let mut shared = lock(&SHARED);
        let background = shared.upgrade().unwrap_or_default();
        *shared = Arc::downgrade(&background);
        Self(background)
    }

    /// The runtime, which is started where it does not run.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn handle(&self) -> Result<Handle> {
        let mut running = lock(&self.0);
        let process = std::process::id();
        if let Some(running) = running.as_ref().filter(|running| running.process == process) {
            return Ok(running.handle.clone());
        }
        let started = Running::start(process)
            .map_err(|error| Error::new(ErrorKind::Connect, "no background thread").with_source(error))?;
        let handle = started.handle.clone();
        *running = Some(started);
        Ok(handle)
    }

    /// Runs a task to its end, whatever becomes of the caller's runtime, with the caller's subscriber to what is logged. Where
    /// there is no thread to be had, the caller's runtime runs it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(handle) = self.handle().or_else(|_| Handle::try_current()) {
            // While an event is told there seems to be no subscriber; the task then has the process's.
            let told = get_default(|subscriber| !subscriber.is::<NoSubscriber>());
            if told {
                handle.spawn(task.with_current_subscriber())
            } else {
                handle.spawn(task)
            };
        }
    }

    /// Awaits what needs a runtime's timers: the caller's where there is one, else this one's.
    ///
    /// # Errors
    /// Where there is neither.
    #[cfg_attr(
        not(feature = "redis"),
        allow(dead_code, reason = "only a store with connections has need of it")
    )]
    pub(crate) async fn enter<F: Future>(&self, future: F) -> Result<F::Output> {
        let home = if Handle::try_current().is_ok() { None } else { Some(self.handle()?) };
        let mut future = pin!(future);
        let output = poll_fn(|context| {
            let _entered = home.as_ref().map(Handle::enter);
            future.as_mut().poll(context)
        });
        Ok(output.await)
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("runs", &lock(&self.0).is_some()).finish()
    }
}

impl Running {
    fn start(process: u32) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().thread_name(NAME).build()?;
        let handle = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel();
        // Not joined: what drops the last share may be a task of the thread itself.
        std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            // The sender sends nothing and is dropped.
            let _ = runtime.block_on(dropped);
        })?;
        Ok(Self { handle, process, _until_dropped: until_dropped })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn own() -> Background {
        Background(Arc::default())
    }

    #[test]
    fn a_task_outlives_the_runtime_of_whoever_began_it() {
        let (background, (send, received)) = (own(), mpsc::channel());
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            background.spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                send.send(std::thread::current().name().map(str::to_owned)).expect("the test waits");
            });
        });
        drop(runtime);
        assert_eq!(received.recv_timeout(DEADLINE).expect("done").as_deref(), Some(NAME));
    }

    #[test]
    fn the_thread_starts_when_needed_and_ends_with_the_last_share() {
        let background = own();
        assert!(lock(&background.0).is_none(), "nothing needed it");
        let (share, (send, received)) = (background.clone(), mpsc::channel::<()>());
        share.spawn(async move {
            let _held = send;
            std::future::pending::<()>().await;
        });
        drop(background);
        assert_eq!(received.try_recv(), Err(mpsc::TryRecvError::Empty), "one share is left");
        drop(share);
        assert_eq!(received.recv_timeout(DEADLINE), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn all_of_a_process_share_one_until_the_last_is_gone() {
        let (one, other) = (Background::shared(), Background::shared());
        assert!(Arc::ptr_eq(&one.0, &other.0));
    }

    #[test]
    fn a_share_that_is_dropped_by_the_thread_itself_does_not_block_it() {
        let (background, (send, received)) = (own(), mpsc::channel::<()>());
        let share = background.clone();
        background.spawn(async move {
            drop(share);
            drop(send);
        });
        drop(background);
        assert_eq!(received.recv_timeout(DEADLINE), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn timers_work_for_a_caller_outside_any_runtime() {
        let background = own();
        let slept = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Handle::current().id()
        };
        let id = futures_util::FutureExt::now_or_never(background.enter(async { Handle::current().id() }));
        let id = id.expect("nothing to wait for").expect("a thread");
        let (send, received) = mpsc::channel();
        std::thread::spawn({
            let background = background.clone();
            move || {
                let woken = std::thread::current();
                let waker = std::task::Waker::from(Arc::new(Unpark(woken)));
                let mut context = std::task::Context::from_waker(&waker);
                let mut entered = pin!(background.enter(slept));
                let output = loop {
                    match entered.as_mut().poll(&mut context) {
                        std::task::Poll::Ready(output) => break output,
                        std::task::Poll::Pending => std::thread::park(),
                    }
                };
                send.send(output.expect("a thread")).expect("the test waits");
            }
        });
        assert_eq!(received.recv_timeout(DEADLINE), Ok(id));
    }

    struct Unpark(std::thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
}

//! What goes to other processes by streams: events, and writes that are applied later.

mod events;
mod failing;
mod owners;
mod write_behind;

mod quick {
    use cachemacro_runtime::store::Store;
    use cachemacro_runtime::store::conformance::{CASES, Env, Subject, run};
    use cachemacro_tests::Rig;
    use std::sync::Arc;
    use std::time::Duration;
    struct R(Rig);
    #[async_trait::async_trait]
    impl Subject for R {
        fn store(&self) -> Arc<dyn Store> {
            self.0.store()
        }
        async fn pass(&self, time: Duration) {
            if self.0.is_redis() {
                tokio::time::sleep(time + Duration::from_millis(20)).await
            } else {
                self.0.in_memory().1.advance(time + Duration::from_millis(1))
            }
        }
        async fn put_raw(&self, _: &str, _: &[u8], _: Duration) {}
        async fn life_left(&self, _: &str) -> Option<Duration> {
            None
        }
    }
    #[tokio::test]
    async fn cases() {
        let at = CASES.iter().position(|case| *case == "items_are_numbered_and_read_in_their_order").unwrap();
        for case in &CASES[at..] {
            if case.starts_with("a_wait") {
                break;
            }
            for rig in [Rig::memory(), Rig::redis()] {
                println!("{case} {}", rig.is_redis());
                run(case, &Env::new(R(rig))).await;
            }
        }
    }
}

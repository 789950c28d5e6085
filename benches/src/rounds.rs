//! How subjects take turns, and what is made of their times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::subjects::Subject;

/// How many keys are read by turns.
pub const KEYS: u64 = 100;

/// Nanoseconds for one hit, with so many tasks hitting, over about `time`.
pub async fn hits(subject: &Subject, tasks: u64, time: Duration) -> f64 {
    let count = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut running = Vec::new();
    for task in 0..tasks {
        let (subject, count) = (subject.clone(), Arc::clone(&count));
        running.push(tokio::spawn(async move {
            let (mut done, mut key) = (0, task * 37);
            while began.elapsed() < time {
                for _ in 0..32 {
                    key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    subject.hit((key >> 33) % KEYS).await;
                }
                done += 32;
            }
            count.fetch_add(done, Ordering::Relaxed);
        }));
    }
    for task in running {
        task.await.expect("no panic");
    }
    began.elapsed().as_nanos() as f64 / count.load(Ordering::Relaxed) as f64
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs all by turns in each round; prints for each the median of its ratio to the first in the same round.
pub async fn compare(title: &str, subjects: &[Subject], tasks: u64, rounds: usize, time: Duration) {
    let mut times = vec![Vec::new(); subjects.len()];
    for _ in 0..rounds {
        for (subject, times) in subjects.iter().zip(&mut times) {
            times.push(hits(subject, tasks, time).await);
        }
    }
    for (subject, own) in subjects.iter().zip(&times) {
        let latency = median(own.iter().zip(&times[0]).map(|(own, base)| own / base).collect());
        println!(
            "{title:24} {:22} {:9.0} ns  latency x {latency:5.2}  throughput x {:5.2}",
            subject.name(),
            median(own.clone()),
            1.0 / latency,
        );
    }
}

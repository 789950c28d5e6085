//! Requests to a service that runs already, so that there is something to watch.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Load, Mix, Pace, Request, send};
use crate::data;

/// What is sent, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// Callers, skew and seed, and how long requests are sent.
    pub load: Load,
    /// How many requests are sent in a second.
    pub per_second: u32,
    /// The service's port on this machine.
    pub port: u16,
}

impl Default for Drive {
    fn default() -> Self {
        let load = Load { time: Duration::from_mins(5), ..Load::default() };
        Self { load, per_second: 200, port: 3_000 }
    }
}

/// What became of it.
#[derive(Debug)]
pub struct DriveReport {
    /// How long each request took, the shortest first.
    times: Vec<Duration>,
}

/// Sends requests to a service in a process of its own.
///
/// # Errors
/// Where HTTP fails, or the service.
pub async fn drive(drive: &Drive) -> Result<DriveReport, Failure> {
    super::check(&drive.load)?;
    let Load { time, callers, skew, seed, .. } = drive.load.clone();
    let airports = data::bundled()?;
    let gap = Duration::from_secs(1) / drive.per_second;
    let most = usize::try_from(time.as_nanos() / gap.as_nanos().max(1))?;
    let requests: Arc<[Request]> = Mix::new(&airports, skew, seed).take(most.max(1)).collect();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, drive.port));
    let mut times = send(address, callers, Pace::Even(gap), &requests).await?;
    times.sort_unstable();
    Ok(DriveReport { times })
}

impl fmt::Display for DriveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent: usize| {
            let rank = (self.times.len() * percent).div_ceil(100).max(1);
            self.times.get(rank - 1).copied().unwrap_or_default().as_secs_f64() * 1_000.0
        };
        writeln!(f, "{} requests were answered: p50 {:.2} ms, p99 {:.2} ms", self.times.len(), at(50), at(99))
    }
}

//! What a network does to the connections of one server for a moment.

use std::time::Duration;

use tokio::time::sleep;

use super::FaultProxy;

/// A fault of the network, whatever is spoken over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All connections are reset.
    Reset,
    /// Bytes come late.
    Delay,
    /// Little passes at a time.
    Narrow,
    /// Connections end in the middle of a reply, one byte later each time.
    Truncated,
    /// What is sent is lost, and connections stay open.
    HalfOpen,
}

impl Fault {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Reset, Self::Delay, Self::Narrow, Self::Truncated, Self::HalfOpen];

    /// The one of this round, where they take turns.
    pub fn of_round(round: u64) -> Self {
        Self::ALL[usize::try_from(round).unwrap_or(0) % Self::ALL.len()]
    }

    /// Brings it about, and ends it.
    pub async fn strike(self, proxy: &FaultProxy, round: u64) {
        match self {
            Self::Reset => proxy.cut(),
            Self::Delay => proxy.delay(Duration::from_millis(100)),
            Self::Narrow => proxy.narrow(100_000),
            Self::Truncated => proxy.truncate(usize::try_from(round).unwrap_or(0) + 1),
            Self::HalfOpen => proxy.black_hole(),
        }
        sleep(Duration::from_millis(if self == Self::Truncated { 20 } else { 500 })).await;
        proxy.pass();
    }
}

//! One whole call, from the first read to the last fill: a file for each kind of call.

pub(crate) mod batch;
pub(crate) mod behind;
pub(crate) mod collect;
pub(crate) mod increment;
pub(crate) mod land;
pub(crate) mod load;
pub(crate) mod load_here;
pub(crate) mod lookup;
pub(crate) mod similar;
pub(crate) mod subscribe;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod warm;
pub(crate) mod write;
#[cfg(feature = "write-behind")]
pub(crate) mod write_behind;
pub(crate) mod write_here;

mod evicts;
mod puts;
mod queued;
mod stacked;
mod typed_tags;

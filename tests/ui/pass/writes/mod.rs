mod evicts;
mod puts;
mod stacked;
mod typed_tags;

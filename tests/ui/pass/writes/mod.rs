mod evicts;
mod puts;
mod stacked;

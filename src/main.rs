//! The `stipula` binary: a door to [`stipula::cli`] and nothing else.

fn main() {}

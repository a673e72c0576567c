//! The stores from outside: one suite for every store, then what only files can suffer: flips, cuts,
//! a second opener, a failing disk.

mod damage;
mod fixture;
mod suite;

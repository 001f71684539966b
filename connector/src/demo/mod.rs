//! What the demonstration is made of: invented learners, public skill codes and the terms under which they are offered.
//!
//! Nothing here opens a store or a socket, and nothing outside `demo` and the tests may use it. Everyone in it is invented.

pub mod learners;
mod names;
mod numbers;
mod record;
pub mod skills;
pub mod terms;

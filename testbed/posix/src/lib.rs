//! The mount beside a local file system: the suites pjdfstest and fsx of others, and a model in memory of ours.

pub mod bench;
pub mod fsx;
pub mod listed;
pub mod model;
pub mod pjdfstest;
pub mod run;
pub mod suites;
pub mod table;

pub use bench::Bench;
pub use run::{Amounts, Part};
pub use table::{Row, table};

//! Names that clients agree on.

/// Lines of all clients.
pub const LINES: &str = "lines";

/// Locked by flock, and holds a number.
pub const FLOCK: &str = "flock";

/// Locked by fcntl, and holds a number.
pub const FCNTL: &str = "fcntl";

/// The folder of the names that clients race to make.
pub const WON: &str = "won";

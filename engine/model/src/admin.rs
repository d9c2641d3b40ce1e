//! Command line to daemon, and daemon to daemon.

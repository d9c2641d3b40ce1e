//! Answers as people read them. Each function gives whole lines, the last one ended.

mod divergent;
mod heal;
mod number;
mod peer;
mod table;
mod volume;

pub use divergent::divergent;
pub use heal::{heal_status, heal_word, watch_line};
pub use number::{bytes, date_utc, duration, grouped};
pub use peer::{peer_status, pool_list};
pub use volume::{options, options_help, scrub_status, volume_info, volume_list, volume_status};

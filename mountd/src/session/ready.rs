//! Waiting for the first attachment, and saying why there is none.

use std::time::Duration;

use rfs_model::VolumeId;
use rfs_model::hello::Standing;
use tokio::time::Instant;

use super::client::Client;
use super::greet::Useless;
use super::search::{Outlook, Word};
use crate::transport::Address;

/// Named servers that cannot be reached are tried again for this long.
const UNREACHABLE_PATIENCE: Duration = Duration::from_millis(2500);
const LOOK: Duration = Duration::from_millis(100);

/// Who answered first, and for which volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub address: Address,
    pub volume: VolumeId,
}

impl Client {
    /// Waits until some server has answered for the volume, whoever leads.
    pub async fn contact(&self) -> Contact {
        let mut outlook = self.outlook.subscribe();
        loop {
            let contact = outlook.borrow_and_update().contact.clone();
            if let Some((address, volume)) = contact {
                return Contact { address, volume };
            }
            // The sender lives as long as the client.
            let _ = outlook.changed().await;
        }
    }

    /// Waits until a brick has taken the session.
    ///
    /// # Errors
    /// One line: why that cannot be, or has not been within `limit`.
    pub async fn ready(&self, limit: Duration) -> Result<Contact, String> {
        let begun = Instant::now();
        let mut news = self.outlook.subscribe();
        loop {
            let outlook = news.borrow_and_update().clone();
            if let (true, Some((address, volume))) = (outlook.attached, outlook.contact.clone()) {
                self.nearby.looked().await;
                return Ok(Contact { address, volume });
            }
            let named = self.places.borrow().named().to_vec();
            if let Some(why) = hopeless(&outlook, &named, &self.config.volume, begun.elapsed()) {
                return Err(why);
            }
            if begun.elapsed() >= limit {
                return Err(describe(&outlook, &named, &self.config.volume));
            }
            // The sender lives as long as the client.
            let _ = tokio::time::timeout(LOOK, news.changed()).await;
        }
    }
}

fn hopeless(outlook: &Outlook, named: &[Address], volume: &str, waited: Duration) -> Option<String> {
    if outlook.heard.values().any(|word| *word == Word::Standing(Standing::Stopped)) {
        return Some(format!("volume {volume} is not started"));
    }
    let words: Vec<&Word> = named.iter().filter_map(|address| outlook.heard.get(address)).collect();
    if words.len() < named.len() {
        return None;
    }
    let denied = words.iter().any(|word| matches!(word, Word::Useless(Useless::Denied(..))));
    let useless = words.iter().all(|word| matches!(word, Word::Useless(_)));
    let waited_enough = denied || waited >= UNREACHABLE_PATIENCE;
    (useless && outlook.contact.is_none() && waited_enough).then(|| describe(outlook, named, volume))
}

/// One line on every server that has been asked.
fn describe(outlook: &Outlook, named: &[Address], volume: &str) -> String {
    let silent = named.iter().filter(|address| !outlook.heard.contains_key(address));
    let heard = outlook.heard.iter().map(|(address, word)| format!("{address}: {word}"));
    let silent = silent.map(|address| format!("{address}: no answer"));
    format!("cannot mount volume {volume}: {}", heard.chain(silent).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use rfs_model::NodeId;
    use rfs_model::hello::Denial;

    use super::*;

    fn outlook(words: &[(&str, Word)]) -> Outlook {
        let heard = words.iter().map(|(address, word)| (Address::Tcp((*address).into()), word.clone()));
        Outlook { heard: heard.collect(), ..Outlook::default() }
    }

    #[test]
    fn a_mount_gives_up_at_once_only_when_waiting_is_of_no_use() {
        let unreachable = || Word::Useless(Useless::Unreachable("connection refused".into()));
        let denied = || Word::Useless(Useless::Denied(Denial::NotAllowed, "not allowed".into()));
        let waiting = || Word::Standing(Standing::NotLeader { leader: NodeId::NIL });
        let soon = Duration::from_millis(100);
        let late = UNREACHABLE_PATIENCE;
        let table = [
            (vec![("a", Word::Standing(Standing::Stopped))], soon, true),
            (vec![("a", denied()), ("b", unreachable())], soon, true),
            (vec![("a", unreachable()), ("b", unreachable())], soon, false),
            (vec![("a", unreachable()), ("b", unreachable())], late, true),
            (vec![("a", unreachable())], late, false),
            (vec![("a", unreachable()), ("b", waiting())], late, false),
        ];
        let named = [Address::Tcp("a".into()), Address::Tcp("b".into())];
        for (words, waited, want) in table {
            assert_eq!(
                hopeless(&outlook(&words), &named, "v", waited).is_some(),
                want,
                "{words:?} {waited:?}"
            );
        }
    }

    #[test]
    fn every_server_is_named() {
        let words = [("a", Word::Standing(Standing::NoLeader { why: "waiting for b:/data".into() }))];
        let named = [Address::Tcp("a".into()), Address::Tcp("b".into())];
        let want = "cannot mount volume v: a: waiting for b:/data; b: no answer";
        assert_eq!(describe(&outlook(&words), &named, "v"), want);
    }
}

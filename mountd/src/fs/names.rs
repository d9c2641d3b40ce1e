//! Names under which the kernel may have inodes cached.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::rows::slim;

/// A directory's number, and a name in it.
pub type Place = (u64, Bytes);

/// A place as it is kept: the name is there once, and holds no answer in memory in which it came.
pub type Kept = (u64, Arc<[u8]>);

/// Names that the kernel may believe not to be there. It does not say when it forgets one, so there are only so many at a time.
const ABSENT: usize = 16 * 1024;

/// Every place that the kernel was told of, until it has dropped it.
#[derive(Debug, Default)]
pub struct Names {
    /// By directory.
    told: HashMap<u64, HashMap<Arc<[u8]>, Told>>,
    /// Told not to be there, until when.
    absent: HashMap<Place, Instant>,
    /// Counts what the kernel was told.
    tellings: u64,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    number: u64,
    telling: u64,
}

impl Names {
    /// The kernel is about to be told that this inode is there. Returns the place if that is news, and the inode that was
    /// there before.
    pub fn tell(&mut self, place: &Place, number: u64) -> (Option<Kept>, Option<u64>) {
        self.tellings += 1;
        let now = Told { number, telling: self.tellings };
        let dir = self.told.entry(place.0).or_default();
        if let Some(told) = dir.get_mut(&*place.1) {
            let before = std::mem::replace(told, now).number;
            if before == number {
                return (None, Some(before));
            }
            let name = dir.get_key_value(&*place.1).map(|(name, _)| name.clone());
            return (name.map(|name| (place.0, name)), Some(before));
        }
        let name: Arc<[u8]> = Arc::from(&*place.1);
        dir.insert(name.clone(), now);
        (Some((place.0, name)), None)
    }

    fn told(&self, dir: u64, name: &[u8]) -> Option<Told> {
        self.told.get(&dir)?.get(name).copied()
    }

    fn take(&mut self, dir: u64, name: &[u8]) -> Option<Told> {
        let names = self.told.get_mut(&dir)?;
        let told = names.remove(name);
        slim(names);
        if names.is_empty() {
            self.told.remove(&dir);
            slim(&mut self.told);
        }
        told
    }

    #[must_use]
    pub fn at(&self, place: &Place) -> Option<u64> {
        self.told(place.0, &place.1).map(|told| told.number)
    }

    /// For [`Names::dropped`]: 0 where the kernel was told nothing.
    #[must_use]
    pub fn telling(&self, place: &Place) -> u64 {
        self.told(place.0, &place.1).map_or(0, |told| told.telling)
    }

    /// The kernel has dropped what it had been told by then. Returns what it was.
    pub fn dropped(&mut self, place: &Place, telling: u64) -> Option<u64> {
        let same = self.told(place.0, &place.1).is_some_and(|told| told.telling == telling);
        if same { self.removed(place) } else { None }
    }

    /// The kernel is about to be told that nothing is there, until some time. False: it must not believe that, since there are
    /// too many such names to remember.
    pub fn tell_absent(&mut self, place: Place, until: Instant, now: Instant) -> bool {
        if self.absent.len() >= ABSENT {
            self.absent.retain(|_, until| *until > now);
        }
        let room = self.absent.len() < ABSENT;
        if room {
            self.absent.insert(place, until);
        }
        room
    }

    /// Names that the kernel may believe not to be there; they are to be dropped.
    pub fn take_absent(&mut self) -> Vec<Place> {
        self.absent.drain().map(|(place, _)| place).collect()
    }

    /// The kernel took the name away itself.
    pub fn removed(&mut self, place: &Place) -> Option<u64> {
        self.take(place.0, &place.1).map(|told| told.number)
    }

    /// The kernel has forgotten the inode.
    pub fn forget(&mut self, (dir, name): &Kept, number: u64) {
        if self.told(*dir, name).is_some_and(|told| told.number == number) {
            self.take(*dir, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &'static [u8]) -> Place {
        (1, Bytes::from_static(name))
    }

    #[test]
    fn what_the_kernel_was_told_meanwhile_stays() {
        let mut names = Names::default();
        names.tell(&place(b"a"), 7);
        let telling = names.telling(&place(b"a"));
        names.tell(&place(b"a"), 7);
        assert_eq!(names.dropped(&place(b"a"), telling), None);
        assert_eq!(names.dropped(&place(b"a"), names.telling(&place(b"a"))), Some(7));
        assert_eq!(names.dropped(&place(b"a"), 0), None);
    }

    #[test]
    fn of_names_that_are_not_there_only_so_many_are_told() {
        let mut names = Names::default();
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(1);
        let name = |n: usize| (n as u64, Bytes::new());
        assert!((0..ABSENT).all(|n| names.tell_absent(name(n), later, now)));
        assert!(!names.tell_absent(name(ABSENT), later, now));
        assert!(names.tell_absent(name(ABSENT), later, later), "those before are over");
        assert_eq!(names.take_absent(), [name(ABSENT)]);
    }

    #[test]
    fn a_place_has_one_inode() {
        let mut names = Names::default();
        let kept: Kept = (1, Arc::from(&b"a"[..]));
        assert_eq!(names.tell(&place(b"a"), 7), (Some(kept.clone()), None));
        assert_eq!(names.tell(&place(b"a"), 7), (None, Some(7)));
        assert_eq!(names.tell(&place(b"a"), 8), (Some(kept.clone()), Some(7)));
        names.forget(&kept, 7);
        assert_eq!(names.removed(&place(b"a")), Some(8));
        assert!(names.told.is_empty());
    }
}

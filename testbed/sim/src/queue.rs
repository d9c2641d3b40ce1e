//! What is to happen, by time; at the same time, in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::outside::Event;

/// Events stay where they are; what is sorted is small.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    order: u64,
    events: Vec<Option<Event>>,
    free: Vec<u32>,
}

impl Queue {
    pub fn push(&mut self, at_us: u64, event: Event) {
        self.order += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place as usize] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                (self.events.len() - 1) as u32
            }
        };
        self.heap.push(Reverse((at_us, self.order, place)));
    }

    /// The next event, and its time, unless that is after `until`.
    pub fn pop(&mut self, until: u64) -> Option<(u64, Event)> {
        let Reverse((at, _, place)) = *self.heap.peek()?;
        if at > until {
            return None;
        }
        self.heap.pop();
        self.free.push(place);
        let event = self.events[place as usize].take().expect("each event is planned once");
        Some((at, event))
    }
}

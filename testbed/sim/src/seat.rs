//! A machine that offers a witness seat: the register is saved before the answer leaves.

use std::collections::VecDeque;

use rfs_core::consensus::api::Timing;
use rfs_core::witness::Witness;
use rfs_model::SeatId;
use rfs_model::peer::{WitnessReply, WitnessRequest};
use rfs_model::register::Register;

use crate::clock::Clock;
use crate::kind::Kind;
use crate::outside::{Event, Item, Outside, Step};

/// One of so many votes and stored configurations is followed by an ambush.
const AMBUSH: u64 = 4;

pub struct Holder {
    seat: usize,
    /// As it is on the disk.
    register: Register,
    process: Option<Process>,
    pub clock: Clock,
    losses: u8,
}

struct Process {
    witness: Witness,
    /// A register that is being written, and the answer that waits for it.
    saving: Option<(Register, Option<WitnessReply>, usize)>,
    waiting: VecDeque<(usize, WitnessRequest)>,
    up: Vec<bool>,
}

impl Holder {
    #[must_use]
    pub fn new(seat: usize, out: &mut Outside) -> Self {
        let register = Register::new(out.seat_ids[seat]);
        Self { seat, register, process: None, clock: out.new_clock(), losses: 0 }
    }

    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub fn start(&mut self, out: &mut Outside) {
        let now = self.clock.at(out.now);
        let mut witness = Witness::new(self.register.clone(), Timing::default().hold_us, now);
        witness.mutate(out.setup.mutants.core);
        let bricks = out.setup.bricks;
        self.process =
            Some(Process { witness, saving: None, waiting: VecDeque::new(), up: vec![false; bricks] });
        let standing = &mut out.seats[self.seat];
        standing.life += 1;
        standing.runs = true;
        let (seat, life) = (self.seat, standing.life);
        out.say(format_args!("seat {seat} starts"));
        for brick in 0..bricks {
            out.after(1_000, Event::SeatDial { seat, life, brick });
        }
    }

    /// The process dies; with `lost`, its register is gone too, and it comes back as a stranger.
    pub fn crash(&mut self, out: &mut Outside, lost: bool) {
        let Some(process) = self.process.take() else { return };
        let keeps = out.rng.one_in(2) && !out.setup.mutants.driver.witness_answers_unsaved;
        if let Some((register, ..)) = process.saving.filter(|_| keeps) {
            self.register = register;
        }
        if lost && out.setup.mutants.driver.lost_seat_same_name {
            self.register = Register::new(self.register.seat);
        } else if lost {
            self.losses += 1;
            let mut id = [0xf0 + self.seat as u8; 16];
            id[1] = self.losses;
            self.register = Register::new(SeatId(id));
        }
        out.seats[self.seat].runs = false;
        let seat = self.seat;
        out.say(format_args!("seat {seat} dies, register lost: {lost}"));
        for brick in 0..out.setup.bricks {
            if out.net.both(brick, crate::net::SEATS + seat).is_none() {
                out.item(1_000, brick, Item::SeatDown { seat });
            }
        }
    }

    /// Connects to a brick, and again when that has been started anew.
    pub fn dial(&mut self, life: u64, brick: usize, out: &mut Outside) {
        let seat = self.seat;
        let Some(process) = self.process.as_mut().filter(|_| out.seats[seat].life == life) else { return };
        out.seat_ids[seat] = self.register.seat;
        let reach = out.bricks[brick].runs && out.net.both(brick, crate::net::SEATS + seat).is_none();
        if process.up[brick] != reach {
            process.up[brick] = reach;
            let item = if reach { Item::SeatUp { seat } } else { Item::SeatDown { seat } };
            out.item(300, brick, item);
        }
        out.after(200_000, Event::SeatDial { seat, life, brick });
    }

    /// A brick's process ended: the next dial finds a new one.
    pub fn brick_down(&mut self, brick: usize) {
        if let Some(process) = &mut self.process {
            process.up[brick] = false;
        }
    }

    pub fn ask(&mut self, life: u64, from: usize, request: WitnessRequest, out: &mut Outside) {
        if out.seats[self.seat].life == life
            && let Some(process) = &mut self.process
        {
            process.waiting.push_back((from, request));
            self.work(out);
        }
    }

    pub fn saved(&mut self, life: u64, out: &mut Outside) {
        let Some(process) = self.process.as_mut().filter(|_| out.seats[self.seat].life == life) else {
            return;
        };
        if let Some((register, reply, to)) = process.saving.take() {
            self.register = register;
            if let Some(reply) = reply {
                out.answer_seat(self.seat, to, reply);
            }
        }
        self.work(out);
    }

    fn work(&mut self, out: &mut Outside) {
        let now = self.clock.at(out.now);
        let (seat, life) = (self.seat, out.seats[self.seat].life);
        let Some(process) = &mut self.process else { return };
        while process.saving.is_none()
            && let Some((from, request)) = process.waiting.pop_front()
        {
            let weighty = matches!(&request, WitnessRequest::Vote { .. } | WitnessRequest::Store { .. });
            let answer = process.witness.step(now, request);
            match (answer.save, answer.reply) {
                (Some(register), reply) => {
                    if weighty && out.setup.kinds.has(Kind::SeatCrashAfterAnswer) && out.rng.one_in(AMBUSH) {
                        let delay = out.rng.within(300, 3_000);
                        out.after(delay, Event::Step(Step::SeatDies { seat, asker: from }));
                    }
                    let early = out.setup.mutants.driver.witness_answers_unsaved;
                    if let Some(reply) = reply.clone().filter(|_| early) {
                        out.answer_seat(seat, from, reply);
                    }
                    process.saving = Some((register, reply.filter(|_| !early), from));
                    let takes = out.rng.within(500, if early { 60_000 } else { 8_000 });
                    out.after(takes, Event::SeatSaved { seat, life });
                }
                (None, Some(reply)) => out.answer_seat(seat, from, reply),
                (None, None) => {}
            }
        }
    }
}

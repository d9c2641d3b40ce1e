//! A full copy from the leader, for a brick whose missing records are recycled.

use std::rc::Rc;

use rfs_model::{Index, NodeId};

use super::wire::ShellMessage;
use super::{Inner, Shard};

#[derive(Default)]
pub(crate) struct Resync {}

pub(crate) enum ResyncEvent {}

impl Inner {
    pub(super) fn needs_resync(&mut self, _shard: &Rc<Shard>, _now_us: u64, _to: NodeId) {}

    pub(super) fn tick_resync(&mut self, _shard: &Rc<Shard>, _now_us: u64) {}

    pub(super) fn resync_event(&mut self, _shard: &Rc<Shard>, _now_us: u64, event: ResyncEvent) {
        match event {}
    }

    pub(super) fn resync_checkpointed(&mut self, _shard: &Rc<Shard>, _now_us: u64, _index: Index) {}

    pub(super) fn copy_message(
        &mut self,
        _shard: &Rc<Shard>,
        _now_us: u64,
        _from: NodeId,
        _message: ShellMessage,
    ) {
    }
}

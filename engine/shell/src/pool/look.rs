//! Volumes looked at from anywhere: the leader's view where there is one, else the best that can be had, marked as such.

use std::collections::VecDeque;
use std::rc::Rc;

use rfs_model::admin::{
    BrickReport, BrickRole, HealState, OptionRow, Reply, Request, VolumeEntry, VolumeReport, VolumeRow,
};
use rfs_model::ids::{NodeId, VolumeId};
use rfs_model::options::{self, OPTIONS};
use rfs_model::volume::VolumeState;

use super::service::{LOOK, Outcome, Pool};

/// What a brick says about its volume.
pub(super) struct View<T> {
    pub value: T,
    /// Who leads, as far as the brick knows.
    pub leader: Option<NodeId>,
}

impl Pool {
    pub(super) fn volume_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.volumes().into_iter().map(|(_, e)| e.name).collect();
        names.sort();
        names
    }

    /// The volumes that a request is about: one, or all by name.
    fn chosen(&self, volume: Option<&str>) -> Result<Vec<(VolumeId, VolumeEntry)>, String> {
        match volume {
            Some(name) => Ok(vec![self.known_volume(name)?]),
            None => {
                let mut all = self.volumes();
                all.sort_by(|a, b| a.1.name.cmp(&b.1.name));
                Ok(all)
            }
        }
    }

    /// `volume info`
    pub(super) async fn info(self: &Rc<Self>, volume: Option<&str>) -> Outcome {
        let mut rows = Vec::new();
        for (id, entry) in self.chosen(volume)? {
            let known = self.state_of(id, &entry).await;
            rows.push(row(id, &entry, known));
        }
        Ok(Reply::Volumes(rows))
    }

    /// `volume get`
    pub(super) async fn get(self: &Rc<Self>, volume: &str, key: Option<&str>) -> Outcome {
        let (id, entry) = self.known_volume(volume)?;
        if let Some(key) = key {
            options::check_key(key)?;
        }
        let known = self.state_of(id, &entry).await;
        let (state, _) = known.ok_or_else(|| format!("no brick of volume {volume} can be asked"))?;
        let wanted = OPTIONS.iter().filter(|o| key.is_none_or(|key| key == o.key));
        let rows = wanted.map(|o| {
            let set = state.options.iter().find(|(k, _)| k == o.key).map(|(_, value)| value.clone());
            OptionRow {
                key: o.key.to_owned(),
                default: set.is_none(),
                value: set.unwrap_or_else(|| o.default.to_owned()),
            }
        });
        Ok(Reply::Options(rows.collect()))
    }

    /// `volume status` and `heal-status`. The volumes are asked about side by side.
    pub(super) async fn status(self: &Rc<Self>, volume: Option<&str>) -> Outcome {
        let chosen = self.chosen(volume)?;
        let looks: Vec<_> = chosen
            .into_iter()
            .map(|(id, entry)| {
                let pool = Rc::clone(self);
                glommio::spawn_local(async move { pool.report_of(id, &entry).await })
            })
            .collect();
        let mut reports = Vec::with_capacity(looks.len());
        for look in looks {
            reports.push(look.await);
        }
        Ok(Reply::Reports(reports))
    }

    pub(super) fn state_here(&self, volume: VolumeId) -> Outcome {
        let set =
            self.bricks.get(volume).ok_or_else(|| format!("{} runs no brick of that volume", self.name()))?;
        Ok(Reply::State { state: set.state(), leader: set.leader(), as_of_ms: set.as_of_ms() })
    }

    pub(super) fn report_here(&self, volume: VolumeId) -> Outcome {
        let set =
            self.bricks.get(volume).ok_or_else(|| format!("{} runs no brick of that volume", self.name()))?;
        let mut report = set.report();
        report.as_of_ms = Some(set.as_of_ms());
        Ok(Reply::Reports(vec![report]))
    }

    /// The volume's newest state that can be had; with a time when no leader vouches for it.
    pub(super) async fn state_of(
        self: &Rc<Self>,
        id: VolumeId,
        entry: &VolumeEntry,
    ) -> Option<(VolumeState, Option<u64>)> {
        let read = |reply| match reply {
            Reply::State { state, leader, as_of_ms } => Some(View { value: (state, as_of_ms), leader }),
            _ => None,
        };
        let ((state, as_of_ms), vouched) =
            self.consult(entry, &Request::StateHere { volume: id }, read).await?;
        Some((state, (!vouched).then_some(as_of_ms)))
    }

    async fn report_of(self: &Rc<Self>, id: VolumeId, entry: &VolumeEntry) -> VolumeReport {
        let read = |reply| match reply {
            Reply::Reports(mut reports) => reports.pop().map(|r| View { leader: r.leader, value: r }),
            _ => None,
        };
        let found = self.consult(entry, &Request::ReportHere { volume: id }, read).await;
        let Some((mut report, vouched)) = found else { return nobody(id, entry) };
        if vouched {
            report.as_of_ms = None;
        } else {
            report.target = None;
        }
        self.say_why_closed(&mut report).await;
        report.state = report.judge();
        report
    }

    /// A brick that is closed on a node that lives: its daemon knows why.
    async fn say_why_closed(self: &Rc<Self>, report: &mut VolumeReport) {
        for brick in report.bricks.iter_mut().filter(|b| !b.online && b.fault.is_none()) {
            if !self.is_connected(brick.node) {
                continue;
            }
            let answer = self.tell_soon(brick.node, &Request::WhyClosed { volume: report.id }).await;
            if let Some(Reply::Lines(lines)) = answer
                && let Some(why) = lines.into_iter().next()
            {
                (brick.state, brick.fault) = (BrickRole::Failed, Some(why));
            }
        }
    }

    /// Asks the bricks' nodes, this one first and then whom they call the leader. True: the leader itself has answered.
    pub(super) async fn consult<T>(
        self: &Rc<Self>,
        entry: &VolumeEntry,
        request: &Request,
        read: impl Fn(Reply) -> Option<View<T>>,
    ) -> Option<(T, bool)> {
        let me = self.node();
        let mut queue: VecDeque<NodeId> = entry.bricks.iter().map(|b| b.node).collect();
        queue.make_contiguous().sort_by_key(|node| *node != me);
        let mut asked = Vec::new();
        let mut second_best = None;
        while let Some(node) = queue.pop_front() {
            if asked.contains(&node) || !self.is_connected(node) {
                continue;
            }
            asked.push(node);
            let Some(reply) = self.tell_soon(node, request).await else { continue };
            let Some(view) = read(reply) else { continue };
            if view.leader == Some(node) {
                return Some((view.value, true));
            }
            view.leader.into_iter().for_each(|leader| queue.push_front(leader));
            second_best.get_or_insert(view.value);
        }
        second_best.map(|value| (value, false))
    }

    /// An answer within [`LOOK`], the time to connect included: a node that was just cut off must not hold a look up.
    async fn tell_soon(self: &Rc<Self>, node: NodeId, request: &Request) -> Option<Reply> {
        let told = async { self.tell(node, request.clone(), LOOK).await.ok() };
        let late = async {
            glommio::timer::sleep(LOOK).await;
            None
        };
        futures_lite::future::or(told, late).await
    }
}

fn row(id: VolumeId, entry: &VolumeEntry, known: Option<(VolumeState, Option<u64>)>) -> VolumeRow {
    let (state, as_of_ms) = known.map_or((None, None), |(state, at)| (Some(state), at));
    let places = state.as_ref().map_or(&entry.bricks, |s| &s.bricks);
    let bricks: Vec<String> = places.iter().map(|b| format!("{}:{}", b.host, b.path)).collect();
    let sets = state.as_ref().map_or(1, |s| s.sets.max(1));
    VolumeRow {
        name: entry.name.clone(),
        id,
        started: state.as_ref().map(|s| s.started),
        sets,
        replica: bricks.len() as u32 / sets,
        transport: "tcp".to_owned(),
        bricks,
        options: state.map_or_else(Vec::new, |s| s.options),
        as_of_ms,
    }
}

/// The report on a volume none of whose bricks can be asked.
fn nobody(id: VolumeId, entry: &VolumeEntry) -> VolumeReport {
    let names: Vec<String> = entry.bricks.iter().map(|b| format!("{}:{}", b.host, b.path)).collect();
    let bricks = entry.bricks.iter().zip(&names).map(|(place, name)| BrickReport {
        brick: name.clone(),
        node: place.node,
        state: BrickRole::Offline,
        online: false,
        pid: None,
        committed: None,
        applied: None,
        behind_ops: 0,
        behind_bytes: 0,
        rate_bytes_per_s: 0,
        eta_s: None,
        lag_ms: 0,
        doubts: 0,
        fault: None,
        scrub: None,
    });
    VolumeReport {
        volume: entry.name.clone(),
        id,
        started: false,
        state: HealState::Blocked,
        leader: None,
        target: None,
        pending: false,
        witness: None,
        waits_for: names.clone(),
        now: None,
        as_of_ms: None,
        bricks: bricks.collect(),
    }
}

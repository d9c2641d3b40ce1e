//! Bricks that speak the real protocol on loopback sockets, with a volume in memory, and do what a test tells them to.
#![allow(dead_code, reason = "each test file uses a part")]

mod tree;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rfs_model::client::{Done, Mutation, ToBrick, ToMount};
use rfs_model::codec::Decode;
use rfs_model::frame::{Deframer, FrameKind, frame};
use rfs_model::hello::{BrickPlace, Denial, Hello, OpenInode, Purpose, SeatClass, Standing};
use rfs_model::peer::{Verdict, WitnessReply, WitnessRequest};
use rfs_model::{Index, NodeId, Refusal, Seq, SessionId, VolumeId};

pub use tree::Tree;

/// The volume of all bricks.
pub const VOLUME: VolumeId = VolumeId([9; 16]);
const BEAT: Duration = Duration::from_millis(250);

/// What a test sets, and what it may look at.
pub struct Script {
    pub standing: Standing,
    pub denial: Option<Denial>,
    /// Takes connections and bytes, and says nothing.
    pub silent: bool,
    /// Mutations are read, and neither carried out nor answered.
    pub holding: bool,
    /// So many questions more are answered as by a brick that does not lead just then.
    pub leaderless: u32,
    /// Mutations are carried out, and not said to be durable.
    pub forgetful: bool,
    pub tree: Tree,
    results: BTreeMap<(SessionId, Seq), Result<Done, Refusal>>,
    /// Every mutation that came in, repetitions too.
    pub heard: Vec<(Seq, Mutation)>,
    pub opens: Vec<Vec<OpenInode>>,
    pub detached: bool,
    connections: Vec<TcpStream>,
    /// Goes to a witness that connects.
    pub ask_witness: Vec<WitnessRequest>,
    /// What witnesses said, and what was in this file at that moment.
    pub witnessed: Vec<(WitnessReply, Vec<u8>)>,
    pub register: PathBuf,
    pub seats: Vec<SeatClass>,
    /// Goes to the mount as soon as possible.
    pub say: Vec<ToMount>,
    dead: bool,
}

impl Script {
    fn note_witness(&mut self, reply: WitnessReply) {
        let register = std::fs::read(&self.register).unwrap_or_default();
        self.witnessed.push((reply, register));
    }
}

/// One brick; ends with the test.
pub struct Brick {
    pub address: SocketAddr,
    node: NodeId,
    script: Arc<Mutex<Script>>,
    places: Arc<Mutex<Vec<BrickPlace>>>,
}

/// Waits for a condition, and lets the mount work meanwhile.
pub async fn eventually(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "what was waited for did not happen");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Bricks that know of each other; the first one leads.
pub fn bricks(n: u8) -> Vec<Brick> {
    let places = Arc::new(Mutex::new(Vec::new()));
    let all: Vec<Brick> = (1..=n).map(|n| Brick::new(NodeId([n; 16]), places.clone())).collect();
    let place = |brick: &Brick| BrickPlace {
        node: brick.node,
        host: format!("host{}", brick.node.0[0]),
        addresses: vec![brick.address.to_string()],
        path: "/data".into(),
    };
    *places.lock().unwrap() = all.iter().map(place).collect();
    all[1..].iter().for_each(|brick| {
        brick.set(|script| script.standing = Standing::NotLeader { leader: NodeId([1; 16]) })
    });
    all
}

impl Brick {
    fn new(node: NodeId, places: Arc<Mutex<Vec<BrickPlace>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Script {
            standing: Standing::Ready,
            denial: None,
            silent: false,
            holding: false,
            leaderless: 0,
            forgetful: false,
            tree: Tree::default(),
            results: BTreeMap::new(),
            heard: Vec::new(),
            opens: Vec::new(),
            detached: false,
            connections: Vec::new(),
            ask_witness: Vec::new(),
            witnessed: Vec::new(),
            register: PathBuf::new(),
            seats: Vec::new(),
            say: Vec::new(),
            dead: false,
        };
        let script = Arc::new(Mutex::new(script));
        let brick = Self { address, node, script: script.clone(), places: places.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, places) = (script.clone(), places.clone());
                if script.lock().unwrap_or_else(PoisonError::into_inner).dead {
                    return;
                }
                script
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .connections
                    .push(stream.try_clone().unwrap());
                std::thread::spawn(move || {
                    Conversation { stream, node, script, places, session: None }.run()
                });
            }
        });
        brick
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script());
    }

    /// Waits for the mount, which runs on this thread too, to have done something.
    pub async fn wait(&self, until: impl Fn(&Script) -> bool) {
        eventually(|| until(&self.script())).await;
    }

    /// The process dies: connections are reset, and none is taken any more.
    pub fn kill(&self) {
        self.set(|script| script.dead = true);
        self.cut();
        let _ = TcpStream::connect(self.address);
    }

    /// All connections break.
    pub fn cut(&self) {
        for stream in self.script().connections.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// This brick leads from now on, with the data and results that `old` has.
    pub fn take_over(&self, old: &Brick) {
        let (tree, results) = {
            let old = old.script();
            (old.tree.clone(), old.results.clone())
        };
        self.set(|script| {
            script.tree = tree;
            script.results = results;
            script.standing = Standing::Ready;
        });
    }
}

impl Drop for Brick {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Conversation {
    stream: TcpStream,
    node: NodeId,
    script: Arc<Mutex<Script>>,
    places: Arc<Mutex<Vec<BrickPlace>>>,
    session: Option<SessionId>,
}

impl Conversation {
    fn run(mut self) {
        self.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let (mut deframer, mut beat) = (Deframer::new(), Instant::now());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => deframer.push(&buffer[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            if self.script.lock().unwrap_or_else(PoisonError::into_inner).silent {
                continue;
            }
            while let Some((kind, payload)) = deframer.next_frame().expect("the mount speaks the protocol") {
                match kind {
                    FrameKind::Hello => self.greet(Hello::from_all(&payload).unwrap()),
                    FrameKind::Client => self.hear(ToBrick::from_all(&payload).unwrap()),
                    FrameKind::Witness => self.hear_witness(WitnessReply::from_all(&payload).unwrap()),
                    other => panic!("a frame of kind {other:?}"),
                }
            }
            if self.session.is_some() {
                let said =
                    std::mem::take(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner).say);
                said.iter().for_each(|message| self.say(message));
                if beat.elapsed() >= BEAT {
                    beat = Instant::now();
                    self.say(&ToMount::Beat);
                }
            }
        }
    }

    fn say(&mut self, message: &ToMount) {
        let _ = self.stream.write_all(&frame(FrameKind::Client, message));
    }

    fn greet(&mut self, hello: Hello) {
        let (session, purpose, opens) = match hello {
            Hello::Mount { session, purpose, opens, .. } => (session, purpose, opens),
            Hello::Witness { class, .. } => return self.greet_witness(class),
            other => panic!("a strange hello: {other:?}"),
        };
        let (standing, denial) = {
            let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
            (script.standing.clone(), script.denial)
        };
        let answer = match denial {
            Some(why) => Hello::Refused { why, text: why.to_string() },
            None => self.welcome(standing.clone()),
        };
        if denial.is_none() && standing == Standing::Ready && purpose == Purpose::Session {
            self.session = Some(session);
            self.script.lock().unwrap_or_else(PoisonError::into_inner).opens.push(opens);
        }
        let _ = self.stream.write_all(&frame(FrameKind::Hello, &answer));
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn welcome(&self, standing: Standing) -> Hello {
        Hello::Welcome {
            version: 1,
            node: self.node,
            volume: VOLUME,
            standing,
            bricks: self.places.lock().unwrap().clone(),
            config: Index(1),
            options: Vec::new(),
        }
    }

    fn greet_witness(&mut self, class: SeatClass) {
        let _ = self.stream.write_all(&frame(FrameKind::Hello, &self.welcome(Standing::Ready)));
        let requests = {
            let mut script = self.script();
            script.seats.push(class);
            script.ask_witness.clone()
        };
        for request in requests {
            let _ = self.stream.write_all(&frame(FrameKind::Witness, &request));
        }
    }

    /// A vote that is held back is asked for again.
    fn hear_witness(&mut self, reply: WitnessReply) {
        if matches!(reply, WitnessReply::Vote { verdict: Verdict::Held { .. }, .. }) {
            let requests = self.script().ask_witness.clone();
            for request in requests {
                let _ = self.stream.write_all(&frame(FrameKind::Witness, &request));
            }
        } else {
            self.script().note_witness(reply);
        }
    }

    /// A brick that does not lead does nothing for a session.
    fn hear(&mut self, message: ToBrick) {
        if self.script().standing != Standing::Ready {
            return;
        }
        match message {
            ToBrick::Mutate { seq, op, .. } => self.mutate(seq, op),
            ToBrick::Query { tag, .. } if self.script().leaderless > 0 => {
                self.script().leaderless -= 1;
                self.say(&ToMount::NoAnswer { tag, why: Refusal::Interrupted });
            }
            ToBrick::Query { tag, op, .. } => {
                let answer = self.script.lock().unwrap_or_else(PoisonError::into_inner).tree.query(op);
                match answer {
                    None => {}
                    Some(Ok(answer)) => self.say(&ToMount::Answer { tag, answer }),
                    Some(Err(why)) => self.say(&ToMount::NoAnswer { tag, why }),
                }
            }
            ToBrick::Beat { .. } => {}
            ToBrick::Detach {} => self.script.lock().unwrap_or_else(PoisonError::into_inner).detached = true,
        }
    }

    fn mutate(&mut self, seq: Seq, op: Mutation) {
        let session = self.session.expect("a session before its mutations");
        let (result, forgetful) = {
            let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
            script.heard.push((seq, op.clone()));
            if script.holding {
                return;
            }
            let known = script.results.get(&(session, seq)).copied();
            let result = known.unwrap_or_else(|| script.tree.mutate(op));
            script.results.insert((session, seq), result);
            (result, script.forgetful)
        };
        match result {
            Ok(done) => self.say(&ToMount::Done { seq, done }),
            Err(why) => self.say(&ToMount::Refused { seq, why }),
        }
        if !forgetful {
            self.say(&ToMount::Durable { seq });
        }
    }
}

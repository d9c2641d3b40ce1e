//! From the command line to a mount that answers, and to its end.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fuser::{Config, Session, SessionACL};
use tracing::{error, info, warn};

use super::background::{self, Herald, Side};
use super::cli::Cli;
use super::guardian::Guardian;
use super::options::MountOptions;
use super::point::{self, Found};
use super::source::Source;
use super::{kernel, local, logging, network, signals};
use crate::fs::{Options, Shared};
use crate::fuse::{Net, Translator, notify};
use crate::session::{ClientConfig, Credit};
use crate::transport::Address;
use crate::{embedded, witness};

/// A mount stands, or has failed, within 10 s: this much for the servers, and this much for the kernel.
const SERVERS_PATIENCE: Duration = Duration::from_millis(8000);
const KERNEL_PATIENCE: Duration = Duration::from_millis(1500);
/// How long retained writes may take to become durable when the mount ends.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);
/// The window until the volume has been asked.
const WINDOW_BYTES: usize = 64 << 20;
/// Invalidations that may wait for the kernel; more make it drop everything.
const INVALIDATIONS: usize = 8192;

const UNGUARDED: &str =
    "a mount that is killed while programs use it may have to be aborted by hand (fusectl)";

/// What is to be mounted.
enum What {
    Volume(Source),
    /// The one of this machine's daemon, or an embedded one.
    Local,
}

/// Everything that is known before the first thread.
struct Plan {
    what: What,
    point: PathBuf,
    options: MountOptions,
    cli: Cli,
}

/// The program, once its arguments are read.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let foreground = cli.foreground;
    let plan = match plan(cli) {
        Ok(plan) => plan,
        Err(why) => return Herald::Foreground.refused(&why),
    };
    if foreground {
        return serve(&plan, Herald::Foreground);
    }
    match background::split() {
        Ok(Side::Child(herald)) => serve(&plan, herald),
        Ok(Side::Parent(code)) => code,
        Err(error) => Herald::Foreground.refused(&format!("cannot go to the background: {error}")),
    }
}

fn plan(cli: Cli) -> Result<Plan, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("mounting needs root".into());
    }
    let (what, given) = match &cli.point {
        Some(point) => {
            (What::Volume(cli.what.parse().map_err(|e: super::SourceError| e.to_string())?), point.clone())
        }
        None if cli.what.contains(":/") => {
            return Err(format!("where is {} to be mounted? DIR is missing", cli.what));
        }
        None => (What::Local, PathBuf::from(&cli.what)),
    };
    let options = MountOptions::parse(cli.options.iter().map(String::as_str))?;
    if matches!(what, What::Local)
        && !given.exists()
        && std::fs::symlink_metadata(&given).is_err_and(is_missing)
    {
        std::fs::create_dir_all(&given).map_err(|error| format!("{}: {error}", given.display()))?;
    }
    let point = point::absolute(&given).map_err(|unfit| unfit.to_string())?;
    Ok(Plan { what, point, options, cli })
}

#[allow(clippy::needless_pass_by_value, reason = "fits is_err_and")]
fn is_missing(error: std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// Mounts, and serves until the end.
fn serve(plan: &Plan, herald: Herald) -> ExitCode {
    // SAFETY: no thread has been started yet.
    let guardian = unsafe { Guardian::start() }.ok();
    signals::block();
    let log = plan.options.log_file.clone().unwrap_or_else(|| logging::default_path(&plan.point));
    logging::start(&log, &plan.options.log_level);
    let volume = match &plan.what {
        What::Volume(source) => Some(source.volume.as_str()),
        What::Local => None,
    };
    match point::prepare(&plan.point, volume) {
        Ok(Found::Free) => {}
        Ok(Found::Mounted(source)) => {
            herald.ready(&format!("{source} is already mounted on {}", plan.point.display()));
            return ExitCode::SUCCESS;
        }
        Err(unfit) => return herald.refused(&unfit.to_string()),
    }
    match mount(plan, guardian.as_ref()) {
        Ok(mounted) => {
            herald.ready("");
            mounted.stay()
        }
        Err(why) => {
            error!("{why}");
            herald.failed(&why)
        }
    }
}

/// Where the volume is, as far as this machine knows.
struct Origin {
    volume: String,
    named: Vec<Address>,
    /// Of an engine in this process: kept until the mount has ended.
    engine: Option<embedded::Engine>,
}

fn origin(plan: &Plan, sockets: &[PathBuf]) -> Result<Origin, String> {
    let source = match &plan.what {
        What::Volume(source) => source,
        What::Local => return local_origin(plan, sockets),
    };
    let mut hosts = source.hosts.clone();
    hosts.extend(plan.options.backups.iter().filter(|host| !source.hosts.contains(host)).cloned());
    let named = hosts.iter().map(|host| Address::Tcp(format!("{host}:{}", plan.options.port))).collect();
    Ok(Origin { volume: source.volume.clone(), named, engine: None })
}

fn local_origin(plan: &Plan, sockets: &[PathBuf]) -> Result<Origin, String> {
    let (socket, engine) = match local::daemon(sockets) {
        Some(socket) => (socket, None),
        None => {
            let engine = embedded::start(
                plan.cli.brick.as_deref(),
                plan.cli.state_dir.as_deref(),
                &plan.options.log_level,
            )?;
            (engine.socket(), Some(engine))
        }
    };
    let volume = local::only_volume(&socket)?;
    Ok(Origin { volume, named: vec![Address::Unix(socket)], engine })
}

fn mount(plan: &Plan, guardian: Option<&Guardian>) -> Result<Mounted, String> {
    let sockets = local::sockets(plan.cli.state_dir.as_deref());
    let Origin { volume, named, engine } = origin(plan, &sockets)?;
    info!("mounting volume {volume} on {}, asking {}", plan.point.display(), list(&named));
    let host = host_name();
    let options = Options {
        attr_ttl: plan.options.attr_ttl,
        entry_ttl: plan.options.entry_ttl,
        absent_ttl: plan.options.absent_ttl,
        cache_listings: plan.options.cache_listings,
        leases: plan.options.leases && !plan.options.direct_io,
        direct_io: plan.options.direct_io,
        inodes: plan.options.inodes,
    };
    let credit = Credit::new(plan.options.window_bytes.unwrap_or(WINDOW_BYTES));
    let (invalidations, queue) = mpsc::sync_channel(INVALIDATIONS);
    let shared = Shared::new(options, credit, invalidations);
    let config = ClientConfig {
        volume: volume.clone(),
        host: host.clone(),
        window_bytes: plan.options.window_bytes,
        request_timeout: plan.options.request_timeout,
        named,
        sockets,
    };
    let net = network::start(config, shared.clone()).map_err(|error| error.to_string())?;
    // An engine in this process is the only brick of its volume, and needs nobody's vote.
    let seat = match engine {
        Some(_) => None,
        None => {
            let state_dir = plan.cli.state_dir.as_deref().unwrap_or(Path::new(local::STATE_DIR));
            Some(witness::start(net.clone(), host, state_dir).map_err(|error| error.to_string())?)
        }
    };
    let contact = network::ready(&net, SERVERS_PATIENCE)?;
    let source = format!("{}:/{volume}", host_of(&contact.address));
    let device = kernel::mount(&plan.point, &source, plan.options.flags)
        .map_err(|error| format!("mounting on {}: {error}", plan.point.display()))?;
    match guardian.map(|guardian| guardian.watch(&plan.point)) {
        Some(Ok(())) => {}
        Some(Err(error)) => warn!("{UNGUARDED}: {error}"),
        None => warn!("{UNGUARDED}"),
    }
    let mounted = Mounted { net, point: plan.point.clone(), seat, engine, ended: None };
    mounted.answer(device, queue, shared)
}

/// A mount in the kernel's table. Dropped before [`Mounted::stay`], it is taken out again.
struct Mounted {
    net: Net,
    point: PathBuf,
    /// `None`: an embedded engine needs no witness.
    seat: Option<witness::Seat>,
    engine: Option<embedded::Engine>,
    /// Hears when the kernel has ended the mount, or a signal wants it ended. `None`: nothing runs yet.
    ended: Option<mpsc::Receiver<End>>,
}

enum End {
    Kernel,
    Signal,
}

impl Mounted {
    /// Starts the threads that answer the kernel, and looks whether it works.
    fn answer(
        mut self,
        device: OwnedFd,
        queue: mpsc::Receiver<crate::fs::Invalidation>,
        shared: Arc<Shared>,
    ) -> Result<Self, String> {
        let outcome = self.start(device, queue, shared).map_err(|error| error.to_string());
        let outcome = outcome.and_then(|ended| {
            self.ended = Some(ended);
            look(&self.point)
        });
        match outcome {
            Ok(()) => {
                point::raise_read_ahead(&self.point);
                info!("mounted");
                Ok(self)
            }
            Err(why) => {
                if let Err(error) = point::unmount_lazily(&self.point) {
                    error!("cannot take the mount out again: {error}");
                }
                Err(format!("{} does not answer: {why}", self.point.display()))
            }
        }
    }

    fn start(
        &self,
        device: OwnedFd,
        queue: mpsc::Receiver<crate::fs::Invalidation>,
        shared: Arc<Shared>,
    ) -> std::io::Result<mpsc::Receiver<End>> {
        let translator = Translator::new(self.net.clone(), shared.clone());
        let mut config = Config::default();
        config.acl = SessionACL::All;
        let number = device.as_raw_fd();
        let session = Session::from_fd(translator, device, SessionACL::All, config)?;
        let kernel = session.notifier();
        spawn("rfs-notify", move || notify(queue, shared, kernel, number))?;
        let (tell, ended) = mpsc::channel();
        let signalled = tell.clone();
        spawn("rfs-fuse", move || {
            if let Err(error) = session.run() {
                error!("the kernel's requests cannot be read any more: {error}");
            }
            let _ = tell.send(End::Kernel);
        })?;
        spawn("rfs-signals", move || {
            if signals::ending(logging::reopen).is_ok() {
                let _ = signalled.send(End::Signal);
            }
        })?;
        Ok(ended)
    }

    /// Returns when the mount has ended and what it retained is durable.
    fn stay(mut self) -> ExitCode {
        let ended = self.ended.as_ref().expect("a mount that stays has been started");
        if matches!(ended.recv(), Ok(End::Signal)) {
            info!("asked to end");
            self.take_out();
        }
        self.engine.iter_mut().for_each(embedded::Engine::hide);
        info!("unmounted; waiting for written data to be durable");
        if let Some(seat) = &self.seat {
            seat.leave();
        }
        let drained = network::ask(&self.net, async |fs| fs.client().finish(DRAIN_PATIENCE).await);
        if let Some(engine) = self.engine {
            engine.stop();
        }
        match drained {
            Some(Ok(())) => {
                info!("all written data is durable");
                ExitCode::SUCCESS
            }
            Some(Err(why)) => {
                error!("written data may be lost: {why}");
                ExitCode::FAILURE
            }
            None => ExitCode::FAILURE,
        }
    }

    fn take_out(&self) {
        let Err(error) = point::unmount(&self.point) else { return };
        warn!("{}: {error}: detaching it from its users", self.point.display());
        if let Err(error) = point::unmount_lazily(&self.point) {
            error!("{}: {error}", self.point.display());
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(body).map(drop)
}

/// The mount answers when its root can be looked at.
fn look(point: &Path) -> Result<(), String> {
    let (tell, told) = mpsc::channel();
    let point = point.to_path_buf();
    spawn("rfs-look", move || drop(tell.send(std::fs::metadata(&point).map(drop))))
        .map_err(|e| e.to_string())?;
    match told.recv_timeout(KERNEL_PATIENCE) {
        Ok(looked) => looked.map_err(|error| error.to_string()),
        Err(_) => Err(format!("nothing within {} ms", KERNEL_PATIENCE.as_millis())),
    }
}

fn list(addresses: &[Address]) -> String {
    addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(", ")
}

/// The name under which people know a server.
fn host_of(address: &Address) -> String {
    match address {
        Address::Tcp(host) => host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host).to_owned(),
        Address::Unix(_) => host_name(),
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

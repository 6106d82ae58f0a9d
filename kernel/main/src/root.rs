//! The root task: lends the machine to the node for one turn after another.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use cluster_net::Addressing;
use cluster_node::{
    APPEND_LEN_MAX, ConfigError, Looked, Looking, Node, NodeConfig, NodeOptions, Planted, Seeker, Told,
    connections_max,
};
use cluster_throughput::Role;
use drivers_api::{
    Console, DeviceInfo, Entropy, Instant, InterruptInfo, Inventory, Level, Machine, MemoryInfo, Nic, Nics,
    Now,
};
use drivers_virtio::{DeviceList, Devices, NetworkDevice};
use kernel_arch::console::{self, SerialConsole};
use kernel_arch::power::PanicAction;
use kernel_arch::{boot, button, clock, fw_cfg, interrupts, memory, power};
use kernel_core::settings::{self, SettingsError};
use kernel_core::{CommandLine, Handover};

use crate::config_drive::{self, ConfigDrive};
use crate::data_disk;
use crate::run::Deadline;
use crate::selftest::SelfTest;
use crate::wire::Wire;

/// How often the wall clock is compared with the RTC, at most: a pause of the virtual machine leaves it
/// behind.
const RTC_INTERVAL: Duration = Duration::from_secs(10);

/// The file among those of QEMU's `fw_cfg` that has settings.
const SETTINGS_FILE: &str = "opt/relix/settings";

/// What the command line asks for, and what the hypervisor does where the command line says nothing.
pub struct Options {
    text: String,
    /// Whether the hypervisor's settings could not be understood: then `text` is the command line alone.
    settings_error: Option<SettingsError>,
    /// The node's number.
    pub node: u32,
    /// The least severe level that is printed.
    pub log_level: Level,
    /// What follows a panic.
    pub after_panic: PanicAction,
    /// The port of isa-debug-exit, or 0.
    pub exit_port: u16,
}

impl Options {
    /// Reads the loader's command line, and the hypervisor's settings.
    pub fn read(handover: &Handover) -> Options {
        let line = boot::command_line(handover);
        let file = fw_cfg::read(SETTINGS_FILE, settings::LEN_MAX);
        match file.map(|file| settings::merge(&file, &line)) {
            None => Options::parse(line, None),
            Some(Ok(merged)) => Options::parse(merged, None),
            Some(Err(error)) => Options::parse(line, Some(error)),
        }
    }

    fn parse(text: String, settings_error: Option<SettingsError>) -> Options {
        let line = CommandLine::new(&text);
        let log_level = match line.get("relix.log") {
            Some("error") => Level::Error,
            Some("warn") => Level::Warn,
            Some("debug") => Level::Debug,
            _ => Level::Info,
        };
        let after_panic = match line.get("relix.panic") {
            Some("halt") => PanicAction::Halt,
            Some("off") => PanicAction::Off,
            Some("reset") | None => PanicAction::Reset,
            Some(other) => {
                let line =
                    format_args!("relix.panic={other} is none of reset, halt and off: taken for reset");
                SerialConsole.log(Level::Error, line);
                PanicAction::Reset
            }
        };
        let node = line.number("relix.node").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let exit_port = line.number("relix.exit-port").and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        Options { node, log_level, after_panic, exit_port, text, settings_error }
    }

    /// With what a config drive says where these say nothing.
    fn with(self, drive: &ConfigDrive) -> Options {
        Options::parse([&drive.words, &*self.text].join(" "), self.settings_error)
    }

    /// Has the console and the end of the machine as they say.
    pub fn apply(&self) {
        console::configure(self.node, self.log_level);
        power::configure(self.after_panic, self.exit_port);
    }

    /// What they say to a node, or why that cannot be.
    fn told(&self) -> Result<Told, ConfigError> {
        NodeConfig::parse(&self.text, settings::KERNEL_KEYS)
    }

    /// The command line itself, with the settings.
    pub fn line(&self) -> CommandLine<'_> {
        CommandLine::new(&self.text)
    }
}

/// What runs on the machine.
pub trait Member {
    /// One turn: does what can be done now, leaves `context`'s waker with every device it waits for, and says
    /// when to be called again at the latest.
    fn poll(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Option<Instant>;

    /// Asks it to stop in order.
    fn leave(&mut self, now: Now);

    /// Whether it has, so that the machine may be switched off.
    fn has_left(&self) -> bool;
}

/// Runs the node, until it has left because the power button was pressed: a turn whenever a device interrupts or the
/// node's own deadline passes.
pub async fn root(devices: Devices, mut options: Options) {
    let Devices { mut disks, nics, entropy, list, .. } = devices;
    if let Some(error) = &options.settings_error {
        give_up(format_args!("{SETTINGS_FILE}: {error}"));
    }
    let drive = match config_drive::find(&mut disks).await {
        Ok(drive) => drive,
        Err(error) => give_up(format_args!("{error}")),
    };
    if let Some(drive) = &drive {
        options = options.with(drive);
        options.apply();
        console::log(Level::Info, format_args!("settings come from the config drive disk{}", drive.number));
    }
    let is_drive = |number| drive.as_ref().is_some_and(|drive| drive.number == number);
    let (Some(first), false) = ((0..disks.len()).find(|number| !is_drive(*number)), nics.is_empty()) else {
        give_up(format_args!("this machine has no virtio disk for data or no virtio NIC: give it both"))
    };
    if let (false, Err(error)) = (options.line().is_set("relix.selftest"), options.told()) {
        give_up(format_args!("{error}"));
    }
    let mut disk = match data_disk::of(disks.remove(first)).await {
        Ok(disk) => disk,
        Err(error) => give_up(format_args!("{error}")),
    };
    let (mut nics, mut console) = (KernelNics(nics), SerialConsole);
    let inventory = KernelInventory { list };
    let mut machine =
        Machine { disk: &mut *disk, nics: &mut nics, console: &mut console, inventory: &inventory };
    let mut member = member(&options, entropy, &mut machine).await;
    let mut deadline = Deadline::default();
    let mut rtc_read = clock::now();
    poll_fn(move |context| {
        if clock::now().since(rtc_read) >= RTC_INTERVAL {
            rtc_read = clock::now();
            if let Some(micros) = clock::follow_rtc() {
                console::log(
                    Level::Warn,
                    format_args!("the machine's wall clock was set by {} ms", micros / 1000),
                );
            }
        }
        let mut machine =
            Machine { disk: &mut *disk, nics: &mut nics, console: &mut console, inventory: &inventory };
        if button::was_pressed(context.waker()) {
            member.leave(clock::both());
        }
        let next = member.poll(clock::both(), &mut machine, context);
        if member.has_left() {
            power::off(0);
        }
        deadline.set(next, context.waker());
        Poll::<()>::Pending
    })
    .await;
}

/// Says why nothing can be run, and switches the machine off.
fn give_up(why: core::fmt::Arguments<'_>) -> ! {
    SerialConsole.log(Level::Error, why);
    power::off(1)
}

/// What the options ask for: the node as a rule, once it is known which.
async fn member(
    options: &Options,
    mut entropy: drivers_virtio::ChaChaEntropy,
    machine: &mut Machine<'_>,
) -> Box<dyn Member> {
    if options.line().is_set("relix.selftest") {
        return Box::new(SelfTest::new(entropy));
    }
    let config = match options.told() {
        Ok(Told::Node(config)) if let Some(role) = options.line().get("relix.wire") => {
            return Box::new(wire(role, config.addressing, machine, &mut entropy));
        }
        Ok(Told::Node(config)) => config,
        Ok(Told::Seeker(_)) if options.line().is_set("relix.wire") => {
            give_up(format_args!("relix.wire needs relix.node=K: add it"))
        }
        Ok(Told::Seeker(seeker)) => {
            let found = look(seeker, machine).await;
            console::configure(found.node.0.into(), options.log_level);
            found
        }
        Err(error) => give_up(format_args!("{error}")),
    };
    let node_options = shares_of(machine.inventory.memory().total as usize);
    Box::new(Node::new(config, node_options, clock::both(), machine, &mut entropy))
}

/// One end of a measured wire.
fn wire(role: &str, addressing: Addressing, machine: &mut Machine<'_>, entropy: &mut dyn Entropy) -> Wire {
    match (Role::parse(role), addressing) {
        (Some(role), Addressing::Static { .. }) => Wire::new(role, addressing, machine, entropy),
        (Some(_), Addressing::Dhcp) => {
            give_up(format_args!("relix.wire needs relix.ip=ADDRESS/PREFIX: add it"))
        }
        (None, _) => give_up(format_args!("relix.wire={role} is neither 'serve' nor 'ask@' and an address")),
    }
}

/// Looks for the machine's place, unless the power button is pressed meanwhile.
async fn look(seeker: Seeker, machine: &mut Machine<'_>) -> NodeConfig {
    let mut looking = Looking::new(seeker, machine);
    let mut deadline = Deadline::default();
    poll_fn(|context| {
        if button::was_pressed(context.waker()) {
            power::off(0);
        }
        match looking.poll(clock::both(), machine, context) {
            Looked::Waits(until) => {
                deadline.set(Some(until), context.waker());
                Poll::Pending
            }
            Looked::Found(config) => Poll::Ready(config),
            Looked::Failed(error) => give_up(format_args!("{error}")),
        }
    })
    .await
}

/// How RAM is shared out: half of it. What is in flight takes about a quarter at its most, the last is for what page frames
/// lose to rounding, and pools to what has been.
fn shares_of(total: usize) -> NodeOptions {
    NodeOptions {
        tables_len_max: total / 4,
        sessions_len_max: total / 8,
        log_len_max: total / 8,
        append_len_max: APPEND_LEN_MAX,
        connections_max: connections_max(total),
        planted: Planted::NONE,
    }
}

impl Member for Node {
    fn poll(&mut self, now: Now, machine: &mut Machine<'_>, context: &mut Context<'_>) -> Option<Instant> {
        Some(Node::poll(self, now, machine, context))
    }

    fn leave(&mut self, now: Now) {
        Node::leave(self, now);
    }

    fn has_left(&self) -> bool {
        Node::has_left(self)
    }
}

/// The machine's NICs.
struct KernelNics(Vec<NetworkDevice>);

impl Nics for KernelNics {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn nic(&mut self, number: usize) -> &mut dyn Nic {
        &mut self.0[number]
    }
}

/// What this machine is made of.
struct KernelInventory {
    list: DeviceList,
}

impl Inventory for KernelInventory {
    fn devices(&self) -> Vec<DeviceInfo> {
        self.list.list()
    }

    fn interrupts(&self) -> Vec<InterruptInfo> {
        let name = |vector| match vector {
            interrupts::TIMER => Some("timer"),
            interrupts::SPURIOUS => Some("spurious"),
            _ => None,
        };
        let info = |(vector, count)| InterruptInfo { vector, name: name(vector), count };
        interrupts::counts().map(info).collect()
    }

    fn memory(&self) -> MemoryInfo {
        let heap = memory::statistics();
        MemoryInfo { total: heap.total_bytes as u64, used: heap.used_bytes as u64 }
    }
}

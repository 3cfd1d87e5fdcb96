//! Child processes that end with the test run, however it ends.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use std::{fs, io, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

type Job = (Command, Sender<io::Result<Child>>);

/// A command that sees none of the caller's settings for etcd.
pub(super) fn command(program: &Path) -> Command {
    without_settings(Command::new(program))
}

/// As [`command`], and the kernel kills it when this process dies, where util-linux's `setpriv` is there to
/// ask for that.
pub(super) fn bound_command(program: &Path) -> Command {
    static SETPRIV: LazyLock<bool> = LazyLock::new(|| {
        let status = setpriv(Path::new("true")).status();
        status.is_ok_and(|status| status.success())
    });
    without_settings(if *SETPRIV { setpriv(program) } else { Command::new(program) })
}

fn setpriv(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if ["ETCD", "GOFAIL"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// Spawns from a thread that never ends: "parent death" is the death of the thread that spawned, and those of
/// tests end early.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Sender<Job>> = LazyLock::new(start_spawner);
    let (reply, child) = channel();
    SPAWNER.send((command, reply)).expect("the spawner runs for ever");
    child.recv().expect("the spawner answers")
}

fn start_spawner() -> Sender<Job> {
    let (sender, jobs) = channel::<Job>();
    thread::spawn(move || {
        for (mut command, reply) in jobs {
            // The one who asked waits for the answer.
            let _ = reply.send(command.spawn());
        }
    });
    sender
}

pub(super) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, signal).expect("the server runs");
}

/// A signal is only sent when `kill` returns; the process may still run for a moment.
pub(super) fn wait_until_stopped(process: &Child) {
    let stat = format!("/proc/{}/stat", process.id());
    // The state stands behind the name, which is in parentheses.
    let stopped = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
    while !stopped() {
        thread::sleep(Duration::from_millis(1));
    }
}

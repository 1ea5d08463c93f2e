//! `clicks demo`: generator, graph and a live table in one process.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clicks_dataflows::decode::Schema;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::register;

use crate::cli::{Assignment, ConfigArgs, Demo};
use crate::commands::{config, on_signals};
use crate::config::Config;
use crate::demo::{self, Screen, Showing};
use crate::failure::Failure;
use crate::log;
use crate::serve::listen;

/// Where the page is served, unless it is asked for elsewhere.
const USUAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8080);

/// Runs for the seconds that were asked for, or until it is stopped.
///
/// # Errors
///
/// When the configuration is not for a demonstration, or the generator or the job fails.
pub fn demo(args: &Demo) -> Result<ExitCode, Failure> {
    let config = lively(&args.config)?;
    check_schema(&config.schema)?;
    let listener = listener(args.listen)?;
    if let Ok(address) = listener.local_addr() {
        log::say(&format!("a browser shows it at http://{address}"));
    }
    let listener = Some(listener);
    let stop = stop_flag()?;
    let showing = Showing { config, rate: args.rate, seconds: args.seconds, listener, stop };
    demo::run(&showing, screen(), &mut std::io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

/// Where the page is served, which nobody but this machine is to reach.
fn listener(asked: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    let Some(asked) = asked else {
        let usual = listen(USUAL.into());
        return usual.or_else(|_| listen((USUAL.0, 0).into()));
    };
    if asked.ip().is_loopback() {
        return listen(asked);
    }
    Err(Failure::refused(format!(
        "--listen {asked}: the demo is for this machine, such as 127.0.0.1:8081; `clicks serve` \
         serves others"
    )))
}

/// The configuration, by which changes are told at once unless it says otherwise.
fn lively(args: &ConfigArgs) -> Result<Config, Failure> {
    let given = config(args)?;
    if !given.is_default("job.emit") {
        return Ok(given);
    }
    let emit = Assignment { key: "job.emit".to_owned(), value: "changes".to_owned() };
    let mut args = args.clone();
    args.set.push(emit);
    config(&args)
}

/// The clicks are those of the generator, and it writes one format.
fn check_schema(schema: &Schema) -> Result<(), Failure> {
    let generated = Schema { identity: schema.identity.clone(), ..Schema::default() };
    if *schema == generated {
        return Ok(());
    }
    Err(Failure::refused(
        "the demo counts clicks of its own, JSON lines with the default fields, but input.format \
         or input.fields are set: leave them out (`clicks config show` tells where they are set)",
    ))
}

/// A terminal that can be redrawn, if stdout is one.
fn screen() -> Screen {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if is_dumb || !std::io::stdout().is_terminal() {
        return Screen::plain();
    }
    let (_, columns) = console::Term::stdout().size();
    Screen::terminal(usize::from(columns))
}

/// A flag that SIGINT, SIGTERM and SIGHUP set.
///
/// Further signals do nothing more, so that nothing is left behind: the demonstration ends a few
/// seconds later at most.
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    on_signals(&[SIGINT, SIGTERM, SIGHUP], |signal| register(signal, Arc::clone(&stop)))?;
    Ok(stop)
}

//! What each verb does, between the command line and the parts that do the work.

pub mod archive;
pub mod demo;
pub mod generate;
mod places;
pub mod promote;
pub mod raw;
pub mod reconcile;
pub mod replay;
pub mod results;
mod retain;
pub mod run;
pub mod serve;
pub mod topics;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use crate::cli::{Cli, Command, ConfigArgs, ConfigCommand};
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::log;

/// Does what the command line asks for.
///
/// # Errors
///
/// Whatever ends the command, with the exit code that says so.
pub fn execute(cli: Cli) -> Result<ExitCode, Failure> {
    log::set_format(cli.log_format);
    match cli.command {
        Command::Run(run) => run::run(&run),
        Command::Replay(replay) => replay::replay(&replay),
        Command::Generate(generate) => generate::generate(&generate),
        Command::Demo(demo) => demo::demo(&demo),
        Command::Config(ConfigCommand::Show(args)) => {
            print!("{}", config(&args)?.show());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "clicks", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Archive(archive) => archive::archive(&archive),
        Command::Raw(command) => raw::raw(&command),
        Command::Topics(command) => topics::topics(&command),
        Command::Tail(tail) => results::print_rows(&tail),
        Command::Serve(serve) => serve::serve(&serve),
        Command::Verify(verify) => results::check(&verify),
        Command::Compare(compare) => results::compare(&compare),
        Command::Promote(promote) => promote::promote(&promote),
        Command::Reconcile(args) => reconcile::reconcile(&args),
    }
}

/// The configuration, or why there is none.
fn config(args: &ConfigArgs) -> Result<Config, Failure> {
    let config = Config::load(args, std::env::vars_os())
        .attempt(|| "the configuration is refused".to_owned())
        .map_err(Failure::as_refused)?;
    config.warnings().iter().for_each(|warning| log::say(warning));
    Ok(config)
}

/// A flag that SIGINT and SIGTERM set; the second signal ends the program at once.
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    on_signals(&[SIGINT, SIGTERM], |signal| {
        register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        register(signal, Arc::clone(&stop))
    })?;
    Ok(stop)
}

/// Registers what each of `signals` does.
fn on_signals(
    signals: &[i32],
    register: impl Fn(i32) -> std::io::Result<SigId>,
) -> Result<(), Failure> {
    signals.iter().try_for_each(|signal| {
        register(*signal).map(drop).attempt(|| format!("cannot listen for signal {signal}"))
    })
}

//! The command `clicks`.

use std::process::ExitCode;

use clicks::cli::Cli;
use clicks::commands::execute;
use clicks::log;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    execute(cli).unwrap_or_else(|failure| {
        log::complain(&failure.in_full());
        ExitCode::from(failure.kind().exit_code())
    })
}

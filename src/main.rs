//! The command `clicks`.

use std::error::Error;
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
        let mut message = failure.to_string();
        let mut cause = failure.source();
        while let Some(error) = cause {
            message += &format!(": {error}");
            cause = error.source();
        }
        log::complain(&message);
        ExitCode::from(failure.kind().exit_code())
    })
}

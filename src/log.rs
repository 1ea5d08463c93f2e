//! What is said to people on stderr: plain lines, or one JSON object a line.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::cli::LogFormat;

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Chooses the format, once, before anything is said.
pub fn set_format(format: LogFormat) {
    FORMAT.get_or_init(|| format);
}

/// Says `message`.
pub fn say(message: &str) {
    log("info", message);
}

/// Says how it goes: in words to people, by fields to programs.
pub fn report(words: impl FnOnce() -> String, fields: impl FnOnce() -> Map<String, Value>) {
    match FORMAT.get() {
        Some(LogFormat::Json) => {
            let mut line = json!({"level": "info", "message": "progress"});
            line.as_object_mut().expect("it is an object").extend(fields());
            eprintln!("{line}");
        }
        _ => eprintln!("{}", words()),
    }
}

/// Says what may need somebody.
pub fn warn(message: &str) {
    log("warn", message);
}

/// Says what is wrong.
pub fn complain(message: &str) {
    log("error", message);
}

fn log(level: &str, message: &str) {
    match (FORMAT.get(), level) {
        (Some(LogFormat::Json), _) => eprintln!("{}", json!({"level": level, "message": message})),
        (_, "error") => eprintln!("error: {message}"),
        _ => eprintln!("{message}"),
    }
}

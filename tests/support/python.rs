//! Pythons that have packages of others, of the versions that are named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A Python of an environment that is made once, and has `packages`: `duckdb==1.0 pyarrow==2.0`.
///
/// # Panics
///
/// When it cannot be made.
pub fn python_with(packages: &str) -> PathBuf {
    let name = format!("python-{}", packages.replace(' ', "-"));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let whole = home.join("whole");
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock();
    if !whole.exists() {
        sh(&format!("{}/scripts/need.sh python3", env!("CARGO_MANIFEST_DIR")));
        let home = home.display();
        sh(&format!(
            "rm -rf '{home}' && python3 -m venv '{home}' && '{home}/bin/python' -m pip \
             --disable-pip-version-check install --quiet --only-binary :all: {packages}"
        ));
        fs::write(whole, "").unwrap();
    }
    home.join("bin/python")
}

fn sh(command: &str) {
    let ran = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
}

//! A disk in memory that can be killed at any step, and then forgets all that was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clicks::files::disk::Disk;

/// A disk whose steps are counted.
#[derive(Clone, Default)]
pub struct ForgetfulDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, File>,
    /// Files whose directory entry is certain.
    entries: BTreeSet<PathBuf>,
    /// What was renamed since then, the last at the end: from where, whereto, and what was there.
    renamed: Vec<(PathBuf, PathBuf, Option<File>)>,
    steps: u64,
    killed_at: Option<u64>,
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

impl ForgetfulDisk {
    /// The disk fails at its step `at`, half done, and from then on.
    pub fn kill_at(&self, at: u64) {
        self.0.lock().unwrap().killed_at = Some(at);
    }

    /// Whether it has been killed.
    pub fn is_killed(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.killed_at.is_some_and(|at| state.steps >= at)
    }

    /// Starts again with what is certain, and `torn` bytes of what each file had beyond that. A new
    /// name that is not certain is kept if any bytes are.
    pub fn restart(&self, torn: usize) {
        let mut state = self.0.lock().unwrap();
        while let Some((from, to, replaced)) = state.renamed.pop() {
            if torn > 0 {
                state.entries.remove(&from);
                state.entries.insert(to);
                continue;
            }
            let moved = state.files.remove(&to).unwrap();
            state.files.insert(from, moved);
            state.files.extend(replaced.map(|file| (to, file)));
        }
        let entries = state.entries.clone();
        state.files.retain(|path, _| entries.contains(path));
        for file in state.files.values_mut() {
            let common = file.bytes.starts_with(&file.synced);
            let kept = if common { (file.synced.len() + torn).min(file.bytes.len()) } else { 0 };
            let survived = if common { &file.bytes[..kept] } else { &file.synced[..] };
            file.bytes = survived.to_vec();
            file.synced.clone_from(&file.bytes);
        }
        state.steps = 0;
        state.killed_at = None;
    }

    /// The lines of a file.
    pub fn lines(&self, path: &Path) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let bytes = state.files.get(path).map_or(Vec::new(), |file| file.bytes.clone());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    /// Does one step on a file; when killed, half of it.
    fn step(&self, path: &Path, step: impl FnOnce(&mut State, bool)) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let killed = state.killed_at;
        if killed.is_some_and(|at| state.steps >= at) {
            return Err(io::Error::other("the disk is dead"));
        }
        state.steps += 1;
        let dies = killed.is_some_and(|at| state.steps >= at);
        step(&mut state, dies);
        if dies { Err(io::Error::other(format!("killed at {}", path.display()))) } else { Ok(()) }
    }
}

impl Disk for ForgetfulDisk {
    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(self.0.lock().unwrap().files.get(path).map(|file| file.bytes.len() as u64))
    }

    fn read(&self, path: &Path, from: u64) -> io::Result<Box<dyn BufRead>> {
        let state = self.0.lock().unwrap();
        let file = state.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(file.bytes[usize::try_from(from).unwrap()..].to_vec())))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(path, |state, dies| {
            let written = if dies { bytes.len() / 2 } else { bytes.len() };
            state.files.entry(path.to_path_buf()).or_default().bytes.extend(&bytes[..written]);
        })
    }

    fn cut(&self, path: &Path, length: u64) -> io::Result<()> {
        self.step(path, |state, dies| {
            if !dies {
                let file = state.files.get_mut(path).unwrap();
                file.bytes.truncate(usize::try_from(length).unwrap());
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(from, |state, dies| {
            if !dies {
                let moved = state.files.remove(from).unwrap();
                let replaced = state.files.insert(to.to_path_buf(), moved);
                state.renamed.push((from.to_path_buf(), to.to_path_buf(), replaced));
            }
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(path, |state, dies| {
            if !dies {
                state.files.remove(path).unwrap();
            }
        })
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.step(path, |state, dies| {
            if !dies {
                let file = state.files.get_mut(path).unwrap();
                file.synced.clone_from(&file.bytes);
            }
        })
    }

    fn sync_entries(&self, directory: &Path) -> io::Result<()> {
        self.step(directory, |state, dies| {
            let there = state.files.keys().filter(|path| path.parent() == Some(directory));
            let there: Vec<PathBuf> = there.cloned().collect();
            if !dies {
                state.entries.retain(|path| path.parent() != Some(directory));
                state.entries.extend(there);
                state.renamed.retain(|(_, to, _)| to.parent() != Some(directory));
            }
        })
    }
}

//! A raw log and its cold store are bound once, by the same file in both.
//!
//! First `_hot` in the cold store, then `_cold` in the raw log, each only where none is: whoever
//! finds `_cold` finds `_hot`, unless a disk is missing. Whatever could mix the segments of two raw
//! logs, or take one place for two, is refused before anything is written.

use std::fs::{self, File};
use std::io;
use std::path::Path as FilePath;

use object_store::path::Path;

use super::access::{Access, Site, path_of};
use super::error::RawError;
use super::store::{MARK, Store};
use super::tiers::{Bond, COLD, HOT, is_hidden, not_bound};

/// The cold store of a raw log.
pub(super) struct Bound {
    /// Where it is.
    pub root: String,
    /// The store; none in a dry run in which it would be made.
    pub store: Option<Store>,
}

/// Binds a raw log to a cold store, or finds what it is bound to.
pub(super) struct Binding<'a> {
    /// What lies at the root of the raw log itself.
    pub hot: &'a Store,
    /// How the cold store is reached.
    pub access: &'a Access,
    /// The time, in words.
    pub now: &'a str,
    /// Whether nothing may be written.
    pub dry: bool,
    /// Told each step.
    pub reach: fn(&str),
}

impl Binding<'_> {
    /// The cold store that `asked` names, or the one that is bound; none where there is neither.
    ///
    /// # Errors
    ///
    /// When they are not the same, or it cannot be a cold store of this raw log.
    pub fn bind(&self, asked: Option<&str>) -> Result<Option<Bound>, RawError> {
        let hot = self.hot;
        if let Some(bond) = read(hot, HOT)? {
            return Err(refused(format!(
                "{} is the cold store of {}: that is the raw log whose segments move",
                hot.root(),
                bond.hot,
            )));
        }
        let bond = read(hot, COLD)?;
        let site =
            |root: &str| Site::of(root).map_err(|why| refused(format!("--cold {root}: {why}")));
        let asked = asked.map(&site).transpose()?;
        let cold = match (&bond, asked) {
            (None, None) => return Ok(None),
            (None, Some(asked)) => asked,
            (Some(bond), None) => site(&bond.cold)?,
            (Some(bond), Some(asked)) if !site(&bond.cold)?.is(&asked) => {
                return Err(refused(format!(
                    "--cold {asked}: the cold store of {} is {}, and it has one: go on with that \
                     (without --cold)",
                    hot.root(),
                    bond.cold,
                )));
            }
            (Some(_), Some(asked)) => asked,
        };
        self.check_apart(&cold, &site(hot.root())?)?;
        let root = cold.to_string();
        let store = match bond {
            Some(bond) => Some(self.find(&root, &bond)?),
            None => self.make(&root, &site(hot.root())?.to_string())?,
        };
        Ok(Some(Bound { root, store }))
    }

    /// Refuses two places of which one is the other or lies within it.
    fn check_apart(&self, cold: &Site, hot: &Site) -> Result<(), RawError> {
        let why = match (hot.holds(cold), cold.holds(hot)) {
            (false, false) => return Ok(()),
            (true, true) => "is the raw log itself",
            (true, false) => "lies within the raw log",
            (false, true) => "holds the raw log",
        };
        Err(refused(format!(
            "--cold {cold}: it {why} ({}): name a place beside it",
            self.hot.root(),
        )))
    }

    /// The store at `root`, which `bond` names.
    fn find(&self, root: &str, bond: &Bond) -> Result<Store, RawError> {
        let cold = Store::tier(root, "--cold", self.access)?;
        check_alone(&cold)?;
        match read(&cold, HOT)? {
            Some(theirs) if theirs.is(bond) => Ok(cold),
            _ => Err(not_bound(self.hot.root(), &bond.cold)),
        }
    }

    /// Makes the store at `root` that of the raw log at `hot`.
    fn make(&self, root: &str, hot: &str) -> Result<Option<Store>, RawError> {
        if let Some(path) = path_of(root).filter(|path| !path.is_dir()) {
            if self.dry {
                return Ok(None);
            }
            make_directory(path).map_err(|error| {
                refused(format!("--cold {root}: cannot make the directory: {error}"))
            })?;
        }
        let cold = Store::tier(root, "--cold", self.access)?;
        check_alone(&cold)?;
        if let Some(theirs) = read(&cold, HOT)?.filter(|theirs| theirs.hot != hot) {
            return Err(refused(format!(
                "--cold {root}: it is the cold store of {}: name another place",
                theirs.hot,
            )));
        }
        if cold.has(|path| !is_hidden(path))? {
            return Err(refused(format!(
                "--cold {root}: there are files already: name an empty place; or, if {} was its \
                 raw log and has lost its {COLD}, copy {HOT} of the former there under that name",
                self.hot.root(),
            )));
        }
        if !self.dry {
            self.tie(&cold, Bond { hot: hot.into(), cold: root.into(), since: self.now.into() })?;
        }
        Ok(Some(cold))
    }

    /// Writes the bond to both.
    fn tie(&self, cold: &Store, bond: Bond) -> Result<(), RawError> {
        cold.mark(&Path::from(HOT), &bond.to_file())?;
        if self.hot.find(&Path::from(HOT))?.is_some() {
            // It has come there by another name.
            cold.delete(&Path::from(HOT))?;
            let hot = self.hot.root();
            return Err(refused(format!("--cold {}: it is the raw log itself ({hot})", bond.cold)));
        }
        cold.settle(&Path::from(HOT))?;
        (self.reach)("cold-marked");
        // Another run, or an earlier one that died, may have been first.
        let ours = bond.hot.clone();
        let bond = read(cold, HOT)?.filter(|theirs| theirs.hot == ours);
        let bond = bond.ok_or_else(|| not_bound(self.hot.root(), cold.root()))?;
        self.hot.mark(&Path::from(COLD), &bond.to_file())?;
        self.hot.settle(&Path::from(COLD))?;
        (self.reach)("cold-named");
        match read(self.hot, COLD)? {
            Some(named) if named == bond => Ok(()),
            _ => Err(not_bound(self.hot.root(), cold.root())),
        }
    }
}

/// Makes a directory that is still there after a power failure.
fn make_directory(path: &FilePath) -> io::Result<()> {
    fs::create_dir_all(path)?;
    // Those that may not be opened were there before.
    let above = path.ancestors().filter_map(|above| File::open(above).ok());
    above.into_iter().try_for_each(|above| above.sync_all())
}

/// Refuses a cold store that is a raw log by itself.
fn check_alone(cold: &Store) -> Result<(), RawError> {
    for (name, what) in [(COLD, "has a cold store of its own"), (MARK, "is a raw log of its own")] {
        if cold.size(&Path::from(name))?.is_some() {
            let root = cold.root();
            return Err(refused(format!(
                "--cold {root}: it {what} ({name}): name a place that no archive writes to",
            )));
        }
    }
    Ok(())
}

fn read(store: &Store, name: &str) -> Result<Option<Bond>, RawError> {
    let path = Path::from(name);
    let found = store.find(&path)?;
    found.map(|bytes| Bond::of(&bytes, &store.name(&path))).transpose()
}

fn refused(why: String) -> RawError {
    RawError::Place(why)
}

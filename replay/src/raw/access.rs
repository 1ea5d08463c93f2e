//! How places of raw logs are reached, and whether one lies within another.

use std::fmt;
use std::path::{Component, Path as FilePath, PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use url::Url;

use super::remote;

/// What the environment says of object stores, and how long one may be silent.
#[derive(Clone)]
pub struct Access {
    settings: Vec<(String, String)>,
    silence: Duration,
}

impl Access {
    /// With `settings` such as `AWS_REGION`, `AWS_ENDPOINT_URL`; others are passed over.
    pub fn new(settings: impl IntoIterator<Item = (String, String)>, silence: Duration) -> Access {
        let ours = settings.into_iter().filter(|(key, _)| key.starts_with("AWS_"));
        Access { settings: ours.collect(), silence }
    }

    /// The store at `root`: a path, or the address of a bucket and a prefix, `s3://bucket/raw`.
    ///
    /// # Errors
    ///
    /// Says why it is no such place.
    pub(super) fn open(&self, root: &str) -> Result<Arc<dyn ObjectStore>, String> {
        let Some(path) = path_of(root) else {
            let url = Url::parse(root).map_err(|error| error.to_string())?;
            return remote::open(&url, self.settings.clone(), self.silence);
        };
        if !path.is_dir() {
            return Err("there is no such directory".to_owned());
        }
        let store = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
        // A directory of which the last segment is deleted goes with it.
        Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
    }
}

/// The directory that `root` names, if it is one.
pub(super) fn path_of(root: &str) -> Option<&FilePath> {
    let path = root.strip_prefix("file://").unwrap_or(root);
    (!path.contains("://")).then(|| FilePath::new(path))
}

/// Where a place is, whatever it is called.
#[derive(Clone, Debug)]
pub(super) enum Site {
    /// A directory, without links on the way to it.
    Directory(PathBuf),
    /// What lies below a prefix at a host, which is mostly a bucket, and its address.
    Bucket(String, Path, String),
}

impl Site {
    /// The site of `root`, which need not exist.
    ///
    /// # Errors
    ///
    /// Says why it has none.
    pub fn of(root: &str) -> Result<Site, String> {
        if let Some(path) = path_of(root) {
            return real(path).map(Site::Directory);
        }
        let url = Url::parse(root).map_err(|error| error.to_string())?;
        remote::prefix(&url)?;
        let path = Path::from_url_path(url.path()).map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Site::Bucket(host, path, root.trim_end_matches('/').to_owned()))
    }

    /// Whether `other` is this.
    pub fn is(&self, other: &Site) -> bool {
        self.holds(other) && other.holds(self)
    }

    /// Whether `other` is this, or lies within it.
    pub fn holds(&self, other: &Site) -> bool {
        match (self, other) {
            (Site::Directory(ours), Site::Directory(theirs)) => theirs.starts_with(ours),
            (Site::Bucket(host, ours, _), Site::Bucket(other, theirs, _)) => {
                host == other && theirs.prefix_matches(ours)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Directory(path) => path.display().fmt(f),
            Site::Bucket(.., address) => f.write_str(address),
        }
    }
}

/// The path without links, of which the last parts need not exist.
fn real(path: &FilePath) -> Result<PathBuf, String> {
    let path = absolute(path).map_err(|error| error.to_string())?;
    let there = |above: &FilePath| above.canonicalize().ok().map(|real| (above.to_owned(), real));
    let found = path.ancestors().find_map(there);
    let (above, real) = found.ok_or_else(|| "it lies nowhere".to_owned())?;
    let rest = path.strip_prefix(&above).expect("it lies above");
    if rest.components().any(|part| part == Component::ParentDir) {
        return Err("there is no such directory; name it without `..`".to_owned());
    }
    Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(ours: &str, theirs: &str) -> bool {
        Site::of(ours).unwrap().holds(&Site::of(theirs).unwrap())
    }

    #[test]
    fn a_prefix_holds_what_lies_below_it_and_no_other_name() {
        assert!(holds("s3://bucket/raw", "s3://bucket/raw/"));
        assert!(holds("s3://bucket/raw", "s3://bucket/raw/cold"));
        assert!(holds("s3://bucket", "s3://bucket/raw"));
        assert!(!holds("s3://bucket/raw", "s3://bucket/raw-cold"));
        assert!(!holds("s3://bucket/raw/cold", "s3://bucket/raw"));
        assert!(!holds("s3://bucket/raw", "s3://other/raw"));
        assert!(!holds("/", "s3://other/raw"));
    }

    #[test]
    fn a_directory_holds_what_lies_in_it_also_behind_links() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(at("raw")).unwrap();
        std::os::unix::fs::symlink(at("raw"), at("link")).unwrap();
        assert!(holds(&at("raw"), &at("link")));
        assert!(holds(&at("raw"), &at("link/not/there/yet")));
        assert!(holds(&at("raw"), &format!("file://{}/../raw/cold", at("raw"))));
        assert!(!holds(&at("raw"), &at("raw-cold")));
        assert!(!holds(&at("raw/cold"), &at("raw")));
        assert!(Site::of(&at("not/there/../../raw")).is_err());
    }
}

//! A place of segments by itself, hot or cold, as what moves and removes them sees it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};
use tokio::runtime::Builder;

use super::access::{Access, path_of};
use super::error::RawError;
use super::store::{Store, not_done};

impl Store {
    /// What lies at `root` itself, which `flag` names.
    ///
    /// # Errors
    ///
    /// When `root` is no such place.
    pub(super) fn tier(root: &str, flag: &str, access: &Access) -> Result<Store, RawError> {
        let refused = |why: String| RawError::Place(format!("{flag} {root}: {why}"));
        let inner = access.open(root).map_err(refused)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = Arc::new(runtime.map_err(|error| refused(error.to_string()))?);
        Ok(Store { inner, runtime, root: root.trim_end_matches('/').to_owned() })
    }

    /// Whether a file is there for which `wanted` holds.
    ///
    /// # Errors
    ///
    /// When the store does not tell.
    pub(super) fn has(&self, wanted: impl Fn(&Path) -> bool) -> Result<bool, RawError> {
        let mut files = self.inner.list(None);
        self.runtime.block_on(async {
            while let Some(file) = files.next().await {
                let file =
                    file.map_err(|cause| not_done(format!("cannot list {}", self.root), cause))?;
                if wanted(&file.location) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// A whole file, if it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(super) fn find(&self, path: &Path) -> Result<Option<Bytes>, RawError> {
        let got = self.runtime.block_on(async { self.inner.get(path).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.failed("read", path, cause)),
        }
    }

    /// How many bytes a file has, if it is there.
    ///
    /// # Errors
    ///
    /// When the store does not tell.
    pub(super) fn size(&self, path: &Path) -> Result<Option<u64>, RawError> {
        match self.runtime.block_on(self.inner.head(path)) {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.failed("read", path, cause)),
        }
    }

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    ///
    /// When it cannot be deleted.
    pub(super) fn delete(&self, path: &Path) -> Result<(), RawError> {
        match self.runtime.block_on(self.inner.delete(path)) {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(cause) => return Err(self.failed("delete", path, cause)),
        }
        self.settle(path)
    }

    /// Waits until a disk holds what was written or deleted last at `path`, also if somebody else
    /// did it; an object store does so by itself.
    ///
    /// # Errors
    ///
    /// When the disk does not.
    pub(super) fn settle(&self, path: &Path) -> Result<(), RawError> {
        let Some(root) = path_of(&self.root) else { return Ok(()) };
        let file: PathBuf = root.join(path.as_ref());
        for place in file.ancestors().take_while(|place| place.starts_with(root)) {
            let synced = match File::open(place) {
                Ok(place) => place.sync_all(),
                // It went with the last file in it.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            synced.map_err(|cause| RawError::Store {
                attempt: format!("cannot sync {}", place.display()),
                cause: cause.into(),
            })?;
        }
        Ok(())
    }
}

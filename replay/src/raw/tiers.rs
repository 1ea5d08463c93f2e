//! A raw log whose old segments lie in a cheaper store, as one.
//!
//! ```text
//! get    hot, and where it has none: cold
//! list   hot, then cold: what moves between the two is in cold before it leaves hot
//! put    hot, if cold has none
//! ```
//!
//! `_cold` at the root of hot names the cold store, which has the same file as `_hot`: where that
//! is missing, a disk is not mounted, or it is the cold store of another. Readers look for `_cold`
//! until it is there, so that who began before goes on when the first segments move.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::error::RawError;

/// Names the cold store, in the hot one.
pub(super) const COLD: &str = "_cold";

/// The same, in the cold one.
pub(super) const HOT: &str = "_hot";

/// What binds a raw log and its cold store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bond {
    /// Where the raw log was when it was bound.
    pub hot: String,
    /// Where the cold store is.
    pub cold: String,
    /// When they were bound.
    pub since: String,
}

impl Bond {
    /// As both have it.
    pub fn to_file(&self) -> Bytes {
        (serde_json::to_string(self).expect("texts are JSON") + "\n").into()
    }

    /// What `file` holds.
    ///
    /// # Errors
    ///
    /// When it is no bond.
    pub fn of(bytes: &[u8], file: &str) -> std::result::Result<Bond, RawError> {
        let wrong = |error| RawError::Place(format!("{file} names no cold store: {error}"));
        serde_json::from_slice(bytes).map_err(wrong)
    }

    /// Whether `other` is of the same two; either may have been moved since.
    pub fn is(&self, other: &Bond) -> bool {
        self.hot == other.hot && self.since == other.since
    }
}

/// Says that a cold store is not what `_cold` in `root` says.
pub(super) fn not_bound(root: &str, cold: &str) -> RawError {
    RawError::Place(format!(
        "{root}/{COLD} names {cold}, which has not the same file as {HOT}: it is not mounted, or \
         not the cold store of this raw log",
    ))
}

/// Whether a file is none of the records: it lies where it was put.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.parts().any(|part| part.as_ref().starts_with(['_', '.']))
}

/// Files of both tiers; of one name, that in `hot`.
pub(super) fn union(hot: Vec<ObjectMeta>, cold: Vec<ObjectMeta>) -> Vec<ObjectMeta> {
    let cold = cold.into_iter().filter(|file| !is_hidden(&file.location));
    let named = |file: ObjectMeta| (file.location.clone(), file);
    let mut files: BTreeMap<Path, ObjectMeta> = cold.map(named).collect();
    files.extend(hot.into_iter().map(named));
    files.into_values().collect()
}

/// Hot and cold as one.
#[derive(Clone)]
pub(super) struct Tiers {
    hot: Arc<dyn ObjectStore>,
    /// The cold store, once there is one.
    cold: Arc<OnceLock<Arc<dyn ObjectStore>>>,
    access: Access,
    root: String,
}

impl Tiers {
    /// What lies in `hot`, which is at `root`, and in the cold store that it names.
    pub fn over(hot: Arc<dyn ObjectStore>, root: &str, access: Access) -> Tiers {
        Tiers { hot, cold: Arc::default(), access, root: root.to_owned() }
    }

    /// The cold store, if there is one.
    async fn cold(&self) -> Result<Option<Arc<dyn ObjectStore>>> {
        if let Some(cold) = self.cold.get() {
            return Ok(Some(Arc::clone(cold)));
        }
        let Some(bond) = read_bond(&*self.hot, COLD, &self.root).await? else { return Ok(None) };
        let opened = self.access.open(&bond.cold);
        let cold = opened.map_err(|why| {
            refused(RawError::Place(format!("{}/{COLD} names {}: {why}", self.root, bond.cold)))
        })?;
        let theirs = read_bond(&*cold, HOT, &bond.cold).await?;
        if theirs.is_none_or(|theirs| !theirs.is(&bond)) {
            return Err(refused(not_bound(&self.root, &bond.cold)));
        }
        Ok(Some(Arc::clone(self.cold.get_or_init(|| cold))))
    }
}

#[async_trait]
impl ObjectStore for Tiers {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        // Whoever writes has listed before, and looked for the cold store then. It is not looked
        // for again: a put is one request, whatever connections do.
        if let Some(cold) = self.cold.get().filter(|_| !is_hidden(path)) {
            match cold.head(path).await {
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
                Ok(found) => {
                    let path = found.location.to_string();
                    return Err(Error::AlreadyExists { path, source: "it has moved".into() });
                }
            }
        }
        self.hot.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.hot.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.hot.get_opts(path, options.clone()).await;
        if !is_elsewhere(path, &found) {
            return found;
        }
        match self.cold().await? {
            Some(cold) => cold.get_opts(path, options).await,
            None => found,
        }
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let found = self.hot.get_ranges(path, ranges).await;
        if !is_elsewhere(path, &found) {
            return found;
        }
        match self.cold().await? {
            Some(cold) => cold.get_ranges(path, ranges).await,
            None => found,
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.hot.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (tiers, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let prefix = prefix.as_ref();
            let hot: Vec<ObjectMeta> = tiers.hot.list(prefix).try_collect().await?;
            let cold = match tiers.cold().await? {
                Some(cold) => cold.list(prefix).try_collect().await?,
                None => Vec::new(),
            };
            Ok::<_, Error>(futures::stream::iter(union(hot, cold)).map(Ok))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.hot.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.hot.copy_opts(from, to, options).await
    }
}

/// Whether cold may have what hot has not.
fn is_elsewhere<T>(path: &Path, found: &Result<T>) -> bool {
    matches!(found, Err(Error::NotFound { .. })) && !is_hidden(path)
}

/// The bond that `store` at `root` has, under `name`.
async fn read_bond(store: &dyn ObjectStore, name: &str, root: &str) -> Result<Option<Bond>> {
    match store.get(&Path::from(name)).await {
        Ok(found) => {
            let bytes = found.bytes().await?;
            Bond::of(&bytes, &format!("{root}/{name}")).map(Some).map_err(refused)
        }
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn refused(error: RawError) -> Error {
    Error::Generic { store: "tiered", source: error.into() }
}

impl fmt::Display for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tiers({})", self.root)
    }
}

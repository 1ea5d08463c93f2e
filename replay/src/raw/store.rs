//! Where a raw log is kept: a directory, or an object store.

use std::fmt;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use url::Url;

use super::error::RawError;

/// A request that takes longer than this has failed, and is made again.
const REQUEST_MAX: Duration = Duration::from_secs(600);

/// A place of segments. Calls wait for their answer; [`Store::fetch`] does not.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
    root: String,
}

/// Bytes that are on their way.
pub struct Fetch {
    answer: oneshot::Receiver<Result<Vec<Bytes>, object_store::Error>>,
    name: String,
}

impl Store {
    /// The store at `root`: a path, or the address of a bucket and a prefix, `s3://bucket/raw`.
    ///
    /// `settings` are of the environment: `AWS_REGION`, `AWS_ENDPOINT_URL`, …
    ///
    /// # Errors
    ///
    /// When `root` is no such place.
    pub fn open(
        root: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Store, RawError> {
        let refused = |why: &dyn fmt::Display| RawError::Place(format!("--raw {root}: {why}"));
        let inner: Arc<dyn ObjectStore> = match root.split_once("://") {
            None => Arc::new(directory(root, &refused)?),
            Some(("file", path)) => Arc::new(directory(path, &refused)?),
            Some(_) => {
                let url = Url::parse(root).map_err(|error| refused(&error))?;
                let settings = settings.into_iter().filter(|(key, _)| key.starts_with("AWS_"));
                let settings = settings.map(|(key, value)| (key.to_ascii_lowercase(), value));
                let timeout = ("timeout".to_owned(), format!("{}s", REQUEST_MAX.as_secs()));
                let (store, prefix) = object_store::parse_url_opts(&url, settings.chain([timeout]))
                    .map_err(|error| refused(&error))?;
                Arc::new(object_store::prefix::PrefixStore::new(store, prefix))
            }
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = Arc::new(runtime.map_err(|error| refused(&error))?);
        Ok(Store { inner, runtime, root: root.trim_end_matches('/').to_owned() })
    }

    /// Where it is, in words.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A file of it, in words.
    pub fn name(&self, path: &Path) -> String {
        format!("{}/{path}", self.root)
    }

    /// The files below `path`, in no order.
    ///
    /// # Errors
    ///
    /// When the store does not tell.
    pub fn list(&self, path: Option<&Path>) -> Result<Vec<ObjectMeta>, RawError> {
        let found = self.runtime.block_on(self.inner.list(path).try_collect());
        found.map_err(|cause| match path {
            Some(path) => self.failed("list", path, cause),
            None => RawError::Store {
                attempt: format!("cannot list {}", self.root),
                cause: cause.into(),
            },
        })
    }

    /// Directories and files directly below `path`.
    ///
    /// # Errors
    ///
    /// When the store does not tell.
    pub fn children(&self, path: &Path) -> Result<(Vec<Path>, Vec<ObjectMeta>), RawError> {
        let found = self.runtime.block_on(self.inner.list_with_delimiter(Some(path)));
        let found = found.map_err(|cause| self.failed("list", path, cause))?;
        Ok((found.common_prefixes, found.objects))
    }

    /// A whole file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn get(&self, path: &Path) -> Result<Bytes, RawError> {
        let got = self.runtime.block_on(async { self.inner.get(path).await?.bytes().await });
        got.map_err(|cause| self.failed("read", path, cause))
    }

    /// Some bytes of a file.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, RawError> {
        let got = self.runtime.block_on(self.inner.get_range(path, range));
        got.map_err(|cause| self.failed("read", path, cause))
    }

    /// Begins to read some bytes of a file.
    pub fn fetch(&self, path: &Path, ranges: Vec<Range<u64>>) -> Fetch {
        let (say, answer) = oneshot::channel();
        let (inner, path) = (Arc::clone(&self.inner), path.clone());
        let name = self.name(&path);
        self.runtime.spawn(async move {
            // Nobody hears it when the reader has gone.
            let _ = say.send(inner.get_ranges(&path, &ranges).await);
        });
        Fetch { answer, name }
    }

    /// Runs `read` over all of `items`, a few at once; answers are in the order of `items`.
    ///
    /// # Errors
    ///
    /// The first that is met.
    pub fn each<T: Send + 'static, R: Send + 'static>(
        &self,
        items: Vec<T>,
        read: impl Fn(&Store, T) -> Result<R, RawError> + Clone + Send + 'static,
    ) -> Result<Vec<R>, RawError> {
        let answers = futures::stream::iter(items).map(|item| {
            let (store, read) = (self.clone(), read.clone());
            tokio::task::spawn_blocking(move || read(&store, item))
        });
        self.runtime.block_on(async {
            let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
            answers.into_iter().map(|answer| answer.expect("a reader does not panic")).collect()
        })
    }

    /// Writes a file that is not there; tells whether it was not.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn put_new(&self, path: &Path, bytes: Bytes) -> Result<bool, RawError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let payload = PutPayload::from_bytes(bytes);
        match self.runtime.block_on(self.inner.put_opts(path, payload, options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(cause) => Err(self.failed("write", path, cause)),
        }
    }

    fn failed(&self, verb: &str, path: &Path, cause: object_store::Error) -> RawError {
        RawError::Store {
            attempt: format!("cannot {verb} {}", self.name(path)),
            cause: cause.into(),
        }
    }
}

/// Files that are looked at together.
const AT_ONCE: usize = 16;

fn directory(
    path: &str,
    refused: &dyn Fn(&dyn fmt::Display) -> RawError,
) -> Result<LocalFileSystem, RawError> {
    if !FilePath::new(path).is_dir() {
        return Err(refused(&"there is no such directory"));
    }
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| refused(&error))?;
    Ok(store.with_fsync(true))
}

impl Fetch {
    /// The bytes, if they have come.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn poll(&mut self) -> Option<Result<Vec<Bytes>, RawError>> {
        let failed =
            |cause| RawError::Store { attempt: format!("cannot read {}", self.name), cause };
        match self.answer.try_recv() {
            Ok(got) => Some(got.map_err(|cause| failed(cause.into()))),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(closed @ oneshot::error::TryRecvError::Closed) => Some(Err(failed(closed.into()))),
        }
    }
}

//! Where a raw log is kept: a directory, or an object store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::access::Access;
use super::error::RawError;
use super::refusal::{CONDITIONAL, refusal};
use super::segment::TAIL_BYTES;
use super::tiers::Tiers;

/// A file that says what the others are, and that two files of one name are told apart.
pub(super) const MARK: &str = "_clicks";

const MARKED: &[u8] = b"A raw log of clicks, as `clicks archive` writes it.\n";

/// A place of segments. Calls wait for their answer; [`Store::fetch`] does not.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) root: String,
}

/// What became of a file that was to be written where none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written,
    /// It is there already, the same to the byte.
    Same,
    /// Another is there.
    Other,
}

/// Bytes that are on their way.
pub struct Fetch {
    answer: oneshot::Receiver<Result<Vec<Bytes>, object_store::Error>>,
    name: String,
}

impl Store {
    /// The store at `root`: a path, or the address of a bucket and a prefix, `s3://bucket/raw`; with
    /// the cold store that it names, as one.
    ///
    /// `settings` are of the environment: `AWS_REGION`, `AWS_ENDPOINT_URL`, … An object store may
    /// be silent for so long before a request is made again.
    ///
    /// # Errors
    ///
    /// When `root` is no such place.
    pub fn open(
        root: &str,
        settings: impl IntoIterator<Item = (String, String)>,
        silence: Duration,
    ) -> Result<Store, RawError> {
        let access = Access::new(settings, silence);
        let hot = Store::tier(root, "--raw", &access)?;
        let inner = Arc::new(Tiers::over(hot.inner, &hot.root, access));
        Ok(Store { inner, ..hot })
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
            None => not_done(format!("cannot list {}", self.root), cause),
        })
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

    /// Writes a file that is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn put_new(&self, path: &Path, bytes: Bytes) -> Result<Put, RawError> {
        let size = loop {
            if self.create(path, bytes.clone())? {
                return Ok(Put::Written);
            }
            match self.runtime.block_on(self.inner.head(path)) {
                Ok(found) => break found.size,
                // Another was on its way, and did not arrive.
                Err(object_store::Error::NotFound { .. }) => std::thread::sleep(CONFLICT),
                Err(cause) => return Err(self.failed("read", path, cause)),
            }
        };
        let length = bytes.len() as u64;
        // The end of a segment holds the digest of all of it.
        let end = length.saturating_sub(TAIL_BYTES)..length;
        let start = usize::try_from(end.start).expect("it lies in memory");
        let same = size == length && self.range(path, end)? == bytes[start..];
        Ok(if same { Put::Same } else { Put::Other })
    }

    /// Makes sure that segments can be put, and none over another.
    ///
    /// # Errors
    ///
    /// Says what the store lacks.
    pub fn probe(&self) -> Result<(), RawError> {
        self.mark(&Path::from(MARK), &Bytes::from_static(MARKED))
    }

    /// Writes a file if it is not there, and makes sure that another is not put over it.
    ///
    /// # Errors
    ///
    /// Says what the store lacks.
    pub(super) fn mark(&self, path: &Path, bytes: &Bytes) -> Result<(), RawError> {
        // What is there was found by the first; where nothing was, the second must find that.
        for _ in 0..2 {
            if !self.create(path, bytes.clone())? {
                return Ok(());
            }
        }
        Err(RawError::Place(format!(
            "{}: a second file was put over the first of the same name, as it would be with \
             segments of two archivers: {CONDITIONAL}",
            self.root,
        )))
    }

    /// Writes a file that is not there; tells whether it was not.
    fn create(&self, path: &Path, bytes: Bytes) -> Result<bool, RawError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let payload = PutPayload::from_bytes(bytes);
        match self.runtime.block_on(self.inner.put_opts(path, payload, options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(cause) => Err(self.failed("write", path, cause)),
        }
    }

    pub(super) fn failed(&self, verb: &str, path: &Path, cause: object_store::Error) -> RawError {
        not_done(format!("cannot {verb} {}", self.name(path)), cause)
    }
}

pub(super) fn not_done(attempt: String, cause: object_store::Error) -> RawError {
    match refusal(&cause) {
        Some(why) => RawError::Place(format!("{attempt}: {why}")),
        None => RawError::Store { attempt, cause: cause.into() },
    }
}

/// How long one waits where two put a file at once.
const CONFLICT: Duration = Duration::from_millis(200);

/// Files that are looked at together.
const AT_ONCE: usize = 16;

impl Fetch {
    /// The bytes, if they have come.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn poll(&mut self) -> Option<Result<Vec<Bytes>, RawError>> {
        let attempt = || format!("cannot read {}", self.name);
        match self.answer.try_recv() {
            Ok(got) => Some(got.map_err(|cause| not_done(attempt(), cause))),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(closed @ oneshot::error::TryRecvError::Closed) => {
                Some(Err(RawError::Store { attempt: attempt(), cause: closed.into() }))
            }
        }
    }
}

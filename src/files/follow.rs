//! One file read line by line, also while it grows.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clicks_dataflows::click::RECORD_BYTES_MAX;
use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::ingest::{Beside, Record};
use flate2::read::MultiGzDecoder;

use crate::failure::{Attempt, Failure};
use crate::files::input::{Directory, Until};
use crate::source::{Piece, Poll, Polled};

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 18;

/// The part of a line that is kept: enough to tell that it is too long.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX + 1;

/// A file of lines.
pub struct LineFile {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// Whether it may grow.
    followed: bool,
    until: Option<Until>,
    /// Whether the first line names the columns.
    header: bool,
    /// Read, and not yet handed over.
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    at: usize,
    /// Up to where `buffer` was searched for an LF.
    searched: usize,
    /// How many bytes of the current line were thrown away, and the last of them.
    dropped: Option<(u64, u8)>,
    /// Bytes read of a plain file.
    read: u64,
    /// The offset of the next line.
    next: u64,
}

impl LineFile {
    /// Opens a plain, gzip or zstd file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(
        path: &Path,
        directory: &Directory,
        followed: bool,
        until: Option<Until>,
    ) -> Result<LineFile, Failure> {
        let attempt = || format!("cannot read {}", path.display());
        let file =
            Counted { file: File::open(path).attempt(attempt)?, read: directory.read.clone() };
        let compression = path.extension().and_then(|extension| extension.to_str());
        let (reader, plain): (Box<dyn Read + Send>, bool) = match compression {
            Some("gz") => (Box::new(MultiGzDecoder::new(BufReader::new(file))), false),
            Some("zst") => (Box::new(zstd::Decoder::new(file).attempt(attempt)?), false),
            _ => (Box::new(file), true),
        };
        let until = until.filter(|until| plain || matches!(until, Until::Offset(_)));
        Ok(LineFile {
            path: path.to_path_buf(),
            reader,
            followed: followed && plain,
            until,
            header: directory.header,
            buffer: Vec::new(),
            at: 0,
            searched: 0,
            dropped: None,
            read: 0,
            next: 0,
        })
    }

    /// Passes over the lines before `offset`.
    ///
    /// # Errors
    ///
    /// When there are fewer, or they cannot be read.
    pub fn skip_to(&mut self, offset: u64) -> Result<(), Failure> {
        let mut header = None;
        while self.next < offset {
            let limit = usize::try_from(offset - self.next).unwrap_or(usize::MAX).min(1 << 16);
            let Polled { poll, .. } = self.poll(limit, &mut |piece| {
                if let Piece::Header(line) = piece {
                    header = Some(line.to_vec());
                }
            })?;
            if poll != Poll::More && self.next < offset {
                return Err(Failure::refused(format!(
                    "{} has {} lines, but was read up to line {offset} before: it is shorter \
                     than it was, restore it",
                    self.path.display(),
                    self.next,
                )));
            }
        }
        // The columns are needed wherever one begins: the line goes back in front.
        if let Some(line) = header {
            let mut buffer = line;
            buffer.push(b'\n');
            buffer.extend_from_slice(&self.buffer[self.at..]);
            (self.buffer, self.at, self.searched) = (buffer, 0, 0);
            self.header = true;
            self.next -= 1;
        }
        Ok(())
    }

    /// Hands over at most `limit` lines.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or has become shorter.
    pub fn poll(
        &mut self,
        limit: usize,
        take: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Polled, Failure> {
        let mut taken = 0;
        let mut poll = Poll::More;
        while taken < limit {
            if matches!(self.until, Some(Until::Offset(until)) if self.next >= until) {
                poll = Poll::Finished;
                break;
            }
            let rest = &self.buffer[self.searched..];
            if let Some(found) = memchr::memchr(b'\n', rest) {
                let end = self.searched + found;
                self.hand_over(end, end + 1, take);
                taken += 1;
                continue;
            }
            self.searched = self.buffer.len();
            if self.fill()? {
                continue;
            }
            if self.followed {
                poll = Poll::AtEnd;
            } else {
                if self.at < self.buffer.len() {
                    let end = self.buffer.len();
                    self.hand_over(end, end, take);
                }
                poll = Poll::Finished;
            }
            break;
        }
        Ok(Polled { next: self.next, poll })
    }

    /// Hands over the line that ends before `end`; the next one begins at `next`.
    fn hand_over(&mut self, end: usize, next: usize, take: &mut dyn FnMut(Piece<'_>)) {
        let line = &self.buffer[self.at..end];
        // Where nothing was read since bytes were thrown away, the last of those ended the line.
        let last = match self.dropped {
            Some((_, last)) if line.len() <= LINE_BYTES_MAX => Some(last),
            _ => line.last().copied(),
        };
        let length = line.len() as u64 + self.dropped.map_or(0, |(count, _)| count);
        let bytes = length - u64::from(last == Some(b'\r'));
        let value = &line[..line.len().min(usize::try_from(bytes).unwrap_or(usize::MAX))];
        if bytes > 0 && self.header {
            take(Piece::Header(value));
            self.header = false;
        } else if bytes > 0 {
            let record = Record {
                offset: self.next,
                log_time: None,
                value,
                bytes,
                beside: Beside::default(),
            };
            take(Piece::Record(record));
        }
        self.next += 1;
        self.dropped = None;
        self.at = next;
        self.searched = next;
    }

    /// Reads more; tells whether there was any.
    fn fill(&mut self) -> Result<bool, Failure> {
        self.buffer.drain(..self.at);
        self.at = 0;
        if let Some(last) = self.buffer.get(LINE_BYTES_MAX..).and_then(<[u8]>::last) {
            let dropped = (self.buffer.len() - LINE_BYTES_MAX) as u64;
            self.dropped = Some((self.dropped.map_or(0, |(count, _)| count) + dropped, *last));
            self.buffer.truncate(LINE_BYTES_MAX);
        }
        let held = self.buffer.len();
        self.searched = held;
        let wanted = match self.until {
            Some(Until::Bytes(until)) => {
                usize::try_from(until.saturating_sub(self.read)).unwrap_or(usize::MAX)
            }
            Some(Until::Offset(_)) | None => usize::MAX,
        };
        self.buffer.resize(held + CHUNK_BYTES.min(wanted), 0);
        let attempt = || format!("cannot read {}", self.path.display());
        let read = self.reader.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        let read = read.attempt(attempt)?;
        self.read += read as u64;
        if read == 0 && self.followed {
            let length = self.path.metadata().attempt(attempt)?.len();
            if length < self.read {
                return Err(Failure::new(format!(
                    "{} has {length} bytes, but {} were read of it: a followed file only grows",
                    self.path.display(),
                    self.read,
                )));
            }
        }
        Ok(read > 0)
    }
}

/// A file whose reading is counted.
struct Counted {
    file: File,
    read: Gauge,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.add(read as u64);
        Ok(read)
    }
}

//! The seal of a segment: digests by which damage shows before anything is decoded.
//!
//! ```text
//! clicks.xxh3     of the footer, then of what the graph needs of each row group; 16 digits each
//! clicks.sha256   of the whole file; 64 digits
//! ```
//!
//! Both are in the footer. The digest of the file takes its own digits for zeros; that of the footer
//! takes those of both for zeros. So every byte of a segment is vouched for, and every byte of which
//! a job makes anything is vouched for by itself: no decoder meets a byte that was not written.

use std::ops::Range;

use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::columns::NEEDED;
use super::error::RawError;

const PARTS: &str = "clicks.xxh3";
const FILE: &str = "clicks.sha256";

/// Digits of the digest of a part.
const PART_DIGITS: usize = 16;
/// Digits of the digest of the file.
const FILE_DIGITS: usize = 64;

/// What ends a Parquet file: the length of the footer, and four letters.
const END: usize = 8;

/// Room for the seal of a segment of so many row groups.
pub fn room(groups: usize) -> [KeyValue; 2] {
    let zeros = |digits| "0".repeat(digits);
    [
        KeyValue::new(PARTS.to_owned(), zeros(PART_DIGITS * (1 + groups))),
        KeyValue::new(FILE.to_owned(), zeros(FILE_DIGITS)),
    ]
}

/// Seals a segment that has room for it.
///
/// # Errors
///
/// When it has none, or is none.
pub fn seal(segment: &mut [u8], file: &str) -> Result<(), RawError> {
    let footer = whole_footer(segment).ok_or_else(|| no_footer(file))?;
    let [parts, whole] = places(&segment[footer.clone()], file)?;
    let at = |range: &Range<usize>| footer.start + range.start..footer.start + range.end;
    let (parts, whole) = (at(&parts), at(&whole));
    segment[parts.clone()].fill(b'0');
    segment[whole.clone()].fill(b'0');
    let metadata = metadata(&segment[footer.clone()], file)?;
    for (group, row_group) in metadata.row_groups().iter().enumerate() {
        let needed = row_group.columns().iter().take(NEEDED).map(|column| {
            let (start, length) = column.byte_range();
            let at = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(segment.len());
            &segment[at(start)..at(start + length)]
        });
        let digits = format!("{:016x}", of_group(needed));
        let from = parts.start + PART_DIGITS * (1 + group);
        let place = segment.get_mut(from..from + PART_DIGITS).filter(|_| from < parts.end);
        place.ok_or_else(|| no_seal(file))?.copy_from_slice(digits.as_bytes());
    }
    let digits = format!("{:016x}", xxh3_64(&segment[footer]));
    segment[parts][..PART_DIGITS].copy_from_slice(digits.as_bytes());
    let digits = hex(&Sha256::digest(&*segment));
    segment[whole].copy_from_slice(digits.as_bytes());
    Ok(())
}

/// Whether all bytes of a segment are those that were sealed.
///
/// # Errors
///
/// When they are not.
pub fn check_seal(segment: &[u8], file: &str) -> Result<(), RawError> {
    let footer = whole_footer(segment).ok_or_else(|| no_footer(file))?;
    let [_, whole] = places(&segment[footer.clone()], file)?;
    let (before, rest) = segment.split_at(footer.start + whole.start);
    let (digest, after) = rest.split_at(FILE_DIGITS);
    let mut found = Sha256::new();
    found.update(before);
    found.update([b'0'; FILE_DIGITS]);
    found.update(after);
    if hex(&found.finalize()).as_bytes() == digest {
        return Ok(());
    }
    Err(RawError::damaged(file, "its bytes are not those of its digest"))
}

/// What a footer vouches for.
pub struct Footer {
    /// What Parquet says.
    pub metadata: ParquetMetaData,
    /// The digest of what is needed of each row group.
    pub groups: Vec<u64>,
}

/// How many bytes of the end of a file make its footer, of which `tail` is the end.
///
/// # Errors
///
/// When it is no end of a Parquet file.
pub fn footer_bytes(tail: &[u8], size: u64, file: &str) -> Result<u64, RawError> {
    let (_, end) = tail.split_last_chunk::<END>().ok_or_else(|| no_footer(file))?;
    let [a, b, c, d, letters @ ..] = *end;
    let bytes = u64::from(u32::from_le_bytes([a, b, c, d])) + END as u64;
    if letters != *b"PAR1" || bytes > size {
        return Err(no_footer(file));
    }
    Ok(bytes)
}

/// The footer whose bytes these are.
///
/// # Errors
///
/// When they are not those that were sealed.
pub fn open(footer: &[u8], file: &str) -> Result<Footer, RawError> {
    let [parts, whole] = places(footer, file)?;
    let mut digits = footer[parts.clone()].chunks_exact(PART_DIGITS);
    let stated = digits.next().ok_or_else(|| no_seal(file))?;
    let mut unsealed = footer.to_vec();
    unsealed[whole].fill(b'0');
    unsealed[parts][..PART_DIGITS].fill(b'0');
    if format!("{:016x}", xxh3_64(&unsealed)).as_bytes() != stated {
        return Err(RawError::damaged(file, "its footer is not that of its digest"));
    }
    let number = |digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let groups: Option<Vec<u64>> = digits.map(number).collect();
    let metadata = metadata(footer, file)?;
    let groups = groups.filter(|groups| groups.len() == metadata.num_row_groups());
    Ok(Footer { metadata, groups: groups.ok_or_else(|| no_seal(file))? })
}

/// The digest of what the graph needs of a row group.
pub fn of_group<'a>(columns: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut found = Xxh3::new();
    columns.into_iter().for_each(|column| found.update(column));
    found.digest()
}

fn metadata(footer: &[u8], file: &str) -> Result<ParquetMetaData, RawError> {
    let thrift = &footer[..footer.len() - END];
    let metadata = ParquetMetaDataReader::decode_metadata(thrift);
    metadata.map_err(|error| RawError::damaged(file, error))
}

/// Where in a segment its footer is.
fn whole_footer(segment: &[u8]) -> Option<Range<usize>> {
    let bytes = footer_bytes(segment, segment.len() as u64, "").ok()?;
    Some(segment.len() - usize::try_from(bytes).ok()?..segment.len())
}

/// Where in a footer the digits are: of parts, and of the file.
fn places(footer: &[u8], file: &str) -> Result<[Range<usize>; 2], RawError> {
    let parts = digits(footer, PARTS).filter(|at| at.len() >= PART_DIGITS);
    let whole = digits(footer, FILE).filter(|at| at.len() == FILE_DIGITS);
    match (parts, whole) {
        (Some(parts), Some(whole)) if parts.end <= whole.start => Ok([parts, whole]),
        _ => Err(no_seal(file)),
    }
}

/// Where the value of `key` is: after the key, the tag of a text, and its length as a varint.
fn digits(footer: &[u8], key: &str) -> Option<Range<usize>> {
    let mut at = memchr::memmem::rfind(footer, key.as_bytes())? + key.len() + 1;
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = *footer.get(at)?;
        at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 || shift > 28 {
            break;
        }
    }
    let end = at.checked_add(length)?;
    (end <= footer.len()).then_some(at..end)
}

fn no_seal(file: &str) -> RawError {
    RawError::damaged(file, "its footer has no digests of clicks")
}

/// What is said of a file that does not end as one.
pub fn no_footer(file: &str) -> RawError {
    RawError::damaged(file, "it does not end as a Parquet file does")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}

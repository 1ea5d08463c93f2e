//! What an object store means when it will not have a request, and what would be right.

use std::error::Error;
use std::io::ErrorKind;

use super::error::RawError;

/// What is wrong, if the store would have none of it, rather than could not do it.
pub fn refusal(cause: &object_store::Error) -> Option<String> {
    if let Some(why) = of_disk(cause).or_else(|| of_tiers(cause)) {
        return Some(why);
    }
    let said = cause.to_string();
    if matches!(cause, object_store::Error::NotImplemented { .. }) {
        return Some(format!("{said} {CONDITIONAL}"));
    }
    if said.contains("incorrectly configured region") {
        return Some(format!("the store sends it elsewhere: {REGION}"));
    }
    if said.contains("169.254.169.254") {
        return Some(format!("there are no keys: {KEYS}"));
    }
    let (_, rest) = said.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let right = match code {
        "InvalidAccessKeyId" => "AWS_ACCESS_KEY_ID is not known there",
        "SignatureDoesNotMatch" => "AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID",
        "ExpiredToken" | "InvalidToken" => "AWS_SESSION_TOKEN is not valid, or not any more",
        "AccessDenied" | "AllAccessDisabled" => RIGHTS,
        "NoSuchBucket" => "make the bucket, or name another",
        "InvalidBucketName" => "name another bucket",
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraint" => {
            REGION
        }
        "NotImplemented" => CONDITIONAL,
        "EntityTooLarge" => "let --size be smaller",
        _ => return None,
    };
    Some(format!("the store says {code}: {right}"))
}

/// What a store must do.
pub const CONDITIONAL: &str = "the store must honour conditional puts (If-None-Match: *), as Amazon S3, MinIO, Cloudflare R2 \
     and S3Proxy do; where they are turned off by AWS_CONDITIONAL_PUT, let it be etag";

const REGION: &str = "AWS_REGION is not the region of the bucket";

const KEYS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the machine has a \
                    role";

const RIGHTS: &str = "the key needs s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject \
                      on what is in it; `clicks raw retain` needs s3:DeleteObject too";

/// What is wrong with the cold store that a raw log names.
fn of_tiers(cause: &object_store::Error) -> Option<String> {
    match cause.source()?.downcast_ref()? {
        RawError::Place(why) => Some(why.clone()),
        RawError::Store { .. } | RawError::Damaged { .. } | RawError::Unlike { .. } => None,
    }
}

/// What the disk will never do, however often it is asked.
fn of_disk(cause: &object_store::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = Some(cause);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if let Some(
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory,
        ) = kind
        {
            return Some(cause.to_string());
        }
        next = error.source();
    }
    None
}

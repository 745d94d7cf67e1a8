//! Signatures of requests to AWS, version 4.
//!
//! As much of it as Route 53 and EC2 take: nothing to escape, no headers but host, date and session.
//! `aws-sigv4` would bring some twenty crates for it.

use aws_lc_rs::{digest, hmac};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::secret::{Secret, hex};

/// Who asks.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
    /// The session, of credentials that were lent.
    pub session_token: Option<Secret>,
}

/// A request that is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a> {
    /// The service, as it is called in signatures: `route53`, `ec2`.
    pub service: &'a str,
    /// The region that it is in.
    pub region: &'a str,
    /// The method.
    pub method: &'a str,
    /// The `Host`.
    pub host: &'a str,
    /// Path and query; the query's parameters are in order, and neither has anything to escape.
    pub target: &'a str,
    /// What is sent.
    pub body: &'a [u8],
}

/// The headers that make a request a signed one.
#[must_use]
pub fn headers(
    credentials: &AwsCredentials,
    request: &Unsigned<'_>,
    now_unix_s: u64,
) -> Vec<(&'static str, String)> {
    let Unsigned {
        service, region, ..
    } = *request;
    let date = date(now_unix_s);
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((request.target, ""));
    let token = credentials.session_token.as_ref();
    let token = token.map(|token| String::from_utf8_lossy(token.bytes()).into_owned());
    let mut canonical = format!(
        "{}\n{path}\n{query}\nhost:{}\nx-amz-date:{date}\n",
        request.method, request.host
    );
    let mut names = "host;x-amz-date".to_owned();
    if let Some(token) = &token {
        canonical += &format!("x-amz-security-token:{token}\n");
        names += ";x-amz-security-token";
    }
    canonical += &format!("\n{names}\n{}", sha256(request.body));
    let day = &date[..8];
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let mut key = [b"AWS4", credentials.secret_access_key.bytes()].concat();
    for part in [day, region, service, "aws4_request"] {
        key = hmac_sha256(&key, part);
    }
    let signature = hex(&hmac_sha256(&key, &text));
    let id = &credentials.access_key_id;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    let mut headers = vec![("x-amz-date", date), ("authorization", authorization)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    headers
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// A time as AWS writes it; one that no calendar has is written as 1970 and so refused there.
fn date(now_unix_s: u64) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = i64::try_from(now_unix_s).ok();
    let time = time.and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok());
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&FORMAT)
        .unwrap_or_else(|_| "19700101T000000Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures are botocore's, of the same requests at 2026-11-21T19:40:05Z.
    #[test]
    fn requests_are_signed_as_awss_own_library_signs_them() {
        let aws = "route53.amazonaws.com";
        let zone = "/2013-04-01/hostedzone/Z123/rrset";
        let table = [
            (
                "GET",
                aws,
                format!("{zone}?maxitems=100&name=app.example.org."),
                "",
                None,
                "7a792bac189b620f43ebeb5e44eb87caf305ac6ba328dbcd869269d3d1007013",
            ),
            (
                "POST",
                aws,
                format!("{zone}/"),
                "<a/>",
                None,
                "82b6a6470154042cb7e09a4e0bb2cc880272ae8786216b62b79779d9d5586d86",
            ),
            (
                "POST",
                "127.0.0.1:5000",
                format!("{zone}/"),
                "<a/>",
                Some("tok/en=="),
                "8f197f2321e6fc3664dbc2c93d4a2f3e59809663393c1c611b46f9b4370615f9",
            ),
            (
                "GET",
                aws,
                format!("{zone}?maxitems=1&name=_hanse.app.example.org.&type=TXT"),
                "",
                None,
                "a5d0ed2f74d4fedcdbc3c6a19d44dc9f67814e0b42f215bd54caeb374243cddc",
            ),
        ];
        for (method, host, target, body, token, signature) in table {
            let credentials = AwsCredentials {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                session_token: token.map(Secret::new),
            };
            let request = Unsigned {
                service: "route53",
                region: "us-east-1",
                method,
                host,
                target: &target,
                body: body.as_bytes(),
            };
            let headers = headers(&credentials, &request, 1_795_290_005);
            let [(_, date), (_, authorization), rest @ ..] = headers.as_slice() else {
                panic!("{headers:?}");
            };
            assert_eq!(date, "20261121T194005Z");
            assert!(
                authorization.ends_with(signature),
                "{method} {target}: {authorization}"
            );
            assert_eq!(rest.len(), usize::from(token.is_some()));
        }
    }
}

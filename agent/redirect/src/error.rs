//! What can go wrong, each in a sentence that says what to do.

use std::io;

/// Why a redirect or a hook can't be as it was declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A name is no DNS name.
    #[error("{name:?} is no DNS name: {what}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The record is not in the zone.
    #[error("the record {record} is not in the zone {zone}: give a record that ends with .{zone}")]
    OutsideZone {
        /// The record.
        record: String,
        /// The zone.
        zone: String,
    },
    /// Another value can't be.
    #[error("{what}")]
    Value {
        /// What is wrong, and what to do.
        what: String,
    },
}

/// Why clients could not be led, or why it can't be told where they are led.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// Somebody with this epoch or a later one has led the clients already.
    #[error(
        "{record} was led elsewhere under epoch {by} (it leads to {leads_to}), and this is epoch \
         {epoch}: nothing was changed, and nothing is to be done"
    )]
    Superseded {
        /// The record.
        record: String,
        /// Whose attempt this is.
        epoch: u64,
        /// The epoch of the mark.
        by: u64,
        /// Where the record leads.
        leads_to: String,
    },
    /// The mark beside the record isn't one.
    #[error(
        "the TXT record {mark} holds {value} where only `epoch=<number>` may be: nothing was \
         changed. Find out who wrote it (a wildcard answers too), then remove it"
    )]
    Mark {
        /// Its name.
        mark: String,
        /// What it holds.
        value: String,
    },
    /// Something is at the record's name that addresses can't be beside.
    #[error(
        "{name} has {what}, which Hanse neither removes nor leads: remove it, or declare another \
         record"
    )]
    Occupied {
        /// The name.
        name: String,
        /// What is there.
        what: String,
    },
    /// The record was changed by others each time between reading and writing.
    #[error(
        "{record} could not be changed in {attempts} attempts, the last of which was answered \
         with: {said}. See who else writes it"
    )]
    Contended {
        /// The record.
        record: String,
        /// How often it was tried.
        attempts: u32,
        /// What the server said last.
        said: String,
    },
    /// Nobody answers there.
    #[error("unable to reach {server}: {source}. See that it runs and that TCP gets there")]
    Unreachable {
        /// Where.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// The answer ended in its midst, or never came.
    #[error(
        "{server} did not answer whole: {source}. Whether it took a change is unknown; leading \
         again under the same epoch tells"
    )]
    Cut {
        /// Where.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// The answer makes no sense.
    #[error(
        "{server} answered something that is no answer to what was asked: {what}. See what \
         listens there"
    )]
    Malformed {
        /// Where.
        server: String,
        /// What of it.
        what: String,
    },
    /// The DNS server refused, or its answer can't be believed.
    #[error("{server}: {problem}")]
    Dns {
        /// Which server.
        server: String,
        /// What it said.
        problem: DnsProblem,
    },
    /// Route 53 refused.
    #[error("Route 53 ({server}): {problem}")]
    Route53 {
        /// Which endpoint.
        server: String,
        /// What it said.
        problem: Route53Problem,
    },
}

/// What a DNS server said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsProblem {
    /// TSIG error 17.
    #[error(
        "BADKEY: it knows no TSIG key named {key} with {algorithm}. Give it that key, or give \
         Hanse the name and the algorithm that it has"
    )]
    BadKey {
        /// The key's name.
        key: String,
        /// The algorithm.
        algorithm: &'static str,
    },
    /// TSIG error 16.
    #[error(
        "BADSIG: its TSIG key {key} has another secret. Declare the secret that the server has, \
         and raise its version"
    )]
    BadSig {
        /// The key's name.
        key: String,
    },
    /// TSIG error 18.
    #[error(
        "BADTIME: its clock and ours are {apart_s} s apart (it says {server_unix_s}, we say \
         {own_unix_s}, in seconds since 1970), and TSIG allows {fudge_s} s. Set the clocks by NTP"
    )]
    BadTime {
        /// The server's time.
        server_unix_s: u64,
        /// Ours.
        own_unix_s: u64,
        /// How far apart they are.
        apart_s: u64,
        /// How far they may be.
        fudge_s: u16,
    },
    /// TSIG error 22.
    #[error("BADTRUNC: it wants longer signatures. Declare hmac-sha512, here and there")]
    BadTrunc,
    /// The answer's signature is not the key's.
    #[error(
        "the answer is not signed with the key {key}: somebody between us and the server changes \
         it, or the server has another secret under that name. Nothing that it says is believed"
    )]
    Forged {
        /// The key's name.
        key: String,
    },
    /// The answer has no signature.
    #[error(
        "it answered {code} without a signature, so it does not take the TSIG key {key}, or \
         somebody else answered. {advice}"
    )]
    Unsigned {
        /// What it answered.
        code: &'static str,
        /// The key's name.
        key: String,
        /// What to do.
        advice: String,
    },
    /// REFUSED.
    #[error("REFUSED: {advice}")]
    Refused {
        /// What to do.
        advice: String,
    },
    /// NOTAUTH.
    #[error(
        "NOTAUTH: it is not the primary server of the zone {zone}. Declare the zone's primary, \
         and the zone as that server names it"
    )]
    NotAuth {
        /// The zone.
        zone: String,
    },
    /// NOTZONE.
    #[error(
        "NOTZONE: it says that the record is not in the zone {zone}. Declare the innermost zone \
         that the record is in"
    )]
    NotZone {
        /// The zone.
        zone: String,
    },
    /// It answers for a zone that it doesn't have.
    #[error(
        "it has no authority over {name}: it answered {code}. Declare the primary server of the \
         zone that the record is in, not a resolver"
    )]
    Lame {
        /// The name that was asked for.
        name: String,
        /// The response code.
        code: &'static str,
    },
    /// NOTIMP.
    #[error(
        "NOTIMP: it takes no dynamic updates. Allow them for the zone {zone} (BIND: \
         `update-policy`; PowerDNS: `dnsupdate=yes`)"
    )]
    NotImplemented {
        /// The zone.
        zone: String,
    },
    /// SERVFAIL.
    #[error(
        "SERVFAIL: it failed on its own side. Its log says why; often it may not write the \
         zone's journal or database"
    )]
    ServerFailed,
    /// Another response code.
    #[error("{code}. Its log may say why")]
    Other {
        /// Its name.
        code: &'static str,
    },
}

/// What Route 53 said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Route53Problem {
    /// The identity may not.
    #[error(
        "AccessDenied: {message}. Allow route53:ListResourceRecordSets, \
         route53:ChangeResourceRecordSets and route53:GetChange on hosted zone {zone}"
    )]
    Denied {
        /// What it said.
        message: String,
        /// The hosted zone.
        zone: String,
    },
    /// The identity isn't one.
    #[error("{code}: {message}. Declare an access key that AWS knows, with its secret")]
    Credentials {
        /// The error's code.
        code: String,
        /// What it said.
        message: String,
    },
    /// The request's time is too far from AWS's.
    #[error("{code}: {message}. The host's clock is wrong: set it by NTP")]
    Clock {
        /// The error's code.
        code: String,
        /// What it said.
        message: String,
    },
    /// There is no such hosted zone.
    #[error(
        "NoSuchHostedZone: there is no hosted zone {zone}. Declare its id, as `aws route53 list-hosted-zones` shows it"
    )]
    NoZone {
        /// The hosted zone.
        zone: String,
    },
    /// Another refusal.
    #[error("{code} (HTTP {status}): {message}")]
    Other {
        /// The error's code.
        code: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/dr-errors.md says that users see is what they see.
    #[test]
    fn what_the_page_of_errors_says_is_said() {
        let page = include_str!("../../../docs/dr-errors.md");
        let key = || "hanse".to_owned();
        let algorithm = "hmac-sha256";
        for problem in [
            DnsProblem::BadSig { key: key() },
            DnsProblem::BadKey {
                key: key(),
                algorithm,
            },
        ] {
            assert!(page.contains(&format!("| {problem} |")), "{problem}");
        }
    }
}

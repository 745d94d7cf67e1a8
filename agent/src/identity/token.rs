//! Join tokens: signed and stateless, so that one that nobody uses costs nothing.
//!
//! `hanse1.PAYLOAD.SIGNATURE`, both base64url. A joiner reads the payload to learn whom to trust
//! and where to go; only a voter, who holds the authority's key, can tell whether it is genuine.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hanse_client::Fingerprint;
use hanse_core::endpoint::Endpoint;
use hanse_core::name::{ClusterName, FederationName};
use serde::{Deserialize, Serialize};

use super::authority::{Authority, AuthorityError};
use super::trust::{Trust, TrustedAuthority};

/// The kind and version that begins every token.
const PREFIX: &str = "hanse1";
/// What is signed begins so, lest a signature for one purpose serve another.
const CONTEXT: &[u8] = b"hanse join token 1\n";
/// The longest token that is read.
const LENGTH_MAX: usize = 8 << 10;

/// What a token grants, and to whom it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What tells tokens apart.
    pub id: String,
    /// The federation.
    pub federation: FederationName,
    /// The member cluster that nodes join.
    pub cluster: ClusterName,
    /// When it ends, in seconds since 1970.
    pub expires_unix_s: u64,
    /// When it was made, in seconds since 1970; 0: not told. It is later than that when a joiner
    /// reads it, whatever the joiner's clock says.
    #[serde(default)]
    pub issued_unix_s: u64,
    /// How many nodes it lets in.
    pub uses: u32,
    /// Whether it lets voters in.
    pub voter: bool,
    /// The certificate authority's fingerprint.
    pub authority: String,
    /// The voters.
    pub endpoints: Vec<Endpoint>,
}

/// A token that reads well; whether it is genuine is another matter.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    claims: Claims,
    payload: Vec<u8>,
    signature: Vec<u8>,
    authority: Fingerprint,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not read as a token.
    #[error(
        "this is no join token: one begins with `{PREFIX}.` and was printed whole by \
         `hanse token create`; was it cut short?"
    )]
    Malformed,
    /// It belongs to another federation.
    #[error("this token is for the federation `{0}`, and this is another one")]
    Foreign(FederationName),
    /// Its signature is not that of an authority that is trusted.
    #[error(
        "this token was not made by this federation, or it was altered, or the certificate \
         authority has been replaced since; make a new one with `hanse token create`"
    )]
    Forged,
    /// Its time is up.
    #[error("this token expired {0} s ago; make a new one with `hanse token create`")]
    Expired(u64),
}

impl Token {
    /// Makes a token.
    pub fn sign(authority: &Authority, claims: Claims) -> Result<Self, AuthorityError> {
        let payload = serde_json::to_vec(&claims)
            .map_err(|_| AuthorityError::Request("its claims can't be written"))?;
        let signature = authority.sign(&signed_text(&payload))?;
        Ok(Self {
            claims,
            payload,
            signature,
            authority: authority.fingerprint(),
        })
    }

    /// What it says. Only [`Token::verify`] tells whether that is true.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The certificate authority that a joiner is to trust.
    #[must_use]
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// The token as text. It lets in whoever holds it: print it, never log it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!(
            "{PREFIX}.{}.{}",
            URL_SAFE_NO_PAD.encode(&self.payload),
            URL_SAFE_NO_PAD.encode(&self.signature)
        )
    }

    /// Whether an authority that is trusted made it and its time is not up.
    pub fn verify(&self, trust: &Trust, now_unix_s: u64) -> Result<&Claims, TokenError> {
        if self.claims.federation != *trust.federation() {
            return Err(TokenError::Foreign(self.claims.federation.clone()));
        }
        let authority = trust.find(self.authority);
        let public_key = authority.and_then(TrustedAuthority::public_key);
        let public_key = public_key.ok_or(TokenError::Forged)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
            .verify(&signed_text(&self.payload), &self.signature)
            .map_err(|_| TokenError::Forged)?;
        match now_unix_s.checked_sub(self.claims.expires_unix_s) {
            Some(late_s) => Err(TokenError::Expired(late_s)),
            None => Ok(&self.claims),
        }
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > LENGTH_MAX {
            return Err(TokenError::Malformed);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [PREFIX, payload, signature] = parts[..] else {
            return Err(TokenError::Malformed);
        };
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| TokenError::Malformed)
        };
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
        let authority = claims
            .authority
            .parse()
            .map_err(|_| TokenError::Malformed)?;
        Ok(Self {
            claims,
            payload,
            signature,
            authority,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.claims.id)
    }
}

fn signed_text(payload: &[u8]) -> Vec<u8> {
    [CONTEXT, payload].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn authority(name: &str) -> Authority {
        Authority::generate(name.parse().unwrap(), 1, 0).unwrap()
    }

    fn trust(authority: &Authority) -> Trust {
        Trust::of_one(authority)
    }

    fn token(authority: &Authority) -> Token {
        let claims = Claims {
            id: "0011".to_owned(),
            federation: authority.federation().clone(),
            cluster: "home".parse().unwrap(),
            expires_unix_s: 1000,
            issued_unix_s: 0,
            uses: 1,
            voter: false,
            authority: authority.fingerprint().to_string(),
            endpoints: vec!["192.0.2.1:7700".parse().unwrap()],
        };
        Token::sign(authority, claims).unwrap()
    }

    #[test]
    fn a_token_crosses_paper_and_is_still_genuine() {
        let acme = authority("acme");
        let token = token(&acme);
        let read: Token = format!(" {}\n", token.reveal()).parse().unwrap();
        assert_eq!(read.verify(&trust(&acme), 999), Ok(token.claims()));
        assert_eq!(read.authority(), acme.fingerprint());
    }

    #[test]
    fn an_expired_a_foreign_and_a_forged_token_each_say_so() {
        let acme = authority("acme");
        assert_eq!(
            token(&acme).verify(&trust(&acme), 1000),
            Err(TokenError::Expired(0))
        );
        let other = token(&authority("other"));
        assert!(matches!(
            other.verify(&trust(&acme), 0),
            Err(TokenError::Foreign(_))
        ));
        assert_eq!(
            token(&authority("acme")).verify(&trust(&acme), 0),
            Err(TokenError::Forged)
        );
    }

    #[test]
    fn no_byte_of_a_token_can_be_altered() {
        let acme = authority("acme");
        let token = token(&acme);
        let mut claims = token.claims.clone();
        claims.uses = 100;
        let altered = Token {
            payload: serde_json::to_vec(&claims).unwrap(),
            claims,
            ..token.clone()
        };
        assert_eq!(altered.verify(&trust(&acme), 0), Err(TokenError::Forged));
    }

    #[test]
    fn a_token_that_is_cut_short_is_none() {
        let text = token(&authority("acme")).reveal();
        let acme = authority("acme");
        for end in 0..text.len() - 1 {
            match text[..end].parse::<Token>() {
                Err(error) => assert_eq!(error, TokenError::Malformed),
                Ok(cut) => assert_eq!(cut.verify(&trust(&acme), 0), Err(TokenError::Forged)),
            }
        }
    }

    #[test]
    fn a_token_is_not_in_its_debug_output() {
        assert_eq!(format!("{:?}", token(&authority("acme"))), "Token(0011)");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_token_or_an_error(text in "(hanse1\\.)?[A-Za-z0-9_.-]{0,200}") {
            let _ = text.parse::<Token>();
        }
    }
}

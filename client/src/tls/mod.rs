//! TLS 1.3 with the federation's own authority, and nothing else.
//!
//! Servers are known by their SPIFFE id and never by a DNS name: a voter may be reached by any
//! address. No session is resumed, so that every connection shows a certificate that is valid now.

mod verifier;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};

use hanse_core::name::FederationName;

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::fingerprint::Fingerprint;

pub use verifier::{FederationVerifier, at_some_time};

/// HTTP/2, which is all that is spoken.
pub const ALPN_HTTP2: &[u8] = b"h2";

/// TLS that can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up: {0}")]
pub struct TlsError(#[from] pub rustls::Error);

/// The one cryptographic provider, passed explicitly everywhere: no process-wide default.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS of a caller with credentials: it trusts the bundle's authorities to name nodes of the
/// bundle's federation.
pub fn client_config(
    credentials: &Credentials,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = FederationVerifier::new(
        credentials.authorities(),
        credentials.identity().federation().clone(),
        clock,
    )?;
    let mut config = builder()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        .with_client_auth_cert(credentials.chain().to_vec(), credentials.private_key())?;
    finish(&mut config);
    Ok(Arc::new(config))
}

/// TLS of a joiner, who has no certificate yet and knows the authority by its fingerprint only.
pub fn joiner_config(
    authority: Fingerprint,
    federation: FederationName,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = FederationVerifier::pinned(authority, federation, clock);
    let mut config = builder()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    finish(&mut config);
    Ok(Arc::new(config))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?)
}

fn finish(config: &mut ClientConfig) {
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
}

#[cfg(test)]
pub(crate) mod tests {
    //! An authority for tests.

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
        IsCa, KeyPair, SanType,
    };

    use crate::credentials::{Credentials, pem_section};

    /// A certificate authority that signs whatever a test asks for.
    pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>, String);

    fn parameters(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// The id of the user `alex`.
    pub(crate) fn user_uri(federation: &str) -> String {
        format!("spiffe://{federation}/user/alex")
    }

    /// The id of the node `home-1`.
    pub(crate) fn node_uri(federation: &str) -> String {
        format!("spiffe://{federation}/cluster/home/node/home-1")
    }

    impl Authority {
        pub(crate) fn new(name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let issuer = CertifiedIssuer::self_signed(parameters(name), key).unwrap();
            Self(issuer, name.to_owned())
        }

        pub(crate) fn certificate(&self) -> rustls::pki_types::CertificateDer<'static> {
            self.0.der().clone()
        }

        /// The key of another authority, certified by this one.
        pub(crate) fn vouch_for(&self, other: &Self) -> rustls::pki_types::CertificateDer<'static> {
            let signed = parameters(&other.1)
                .signed_by(other.0.key(), &self.0)
                .unwrap();
            signed.der().clone()
        }

        pub(crate) fn issue(&self, uri: &str, unit: Option<&str>, serves: bool) -> Credentials {
            self.issue_with(CertificateParams::default(), uri, unit, serves)
        }

        /// For a server, between two moments in seconds since 1970.
        pub(crate) fn issue_between(&self, uri: &str, from: i64, until: i64) -> Credentials {
            let mut params = CertificateParams::default();
            let at = |unix_s| time::OffsetDateTime::from_unix_timestamp(unix_s).unwrap();
            (params.not_before, params.not_after) = (at(from), at(until));
            self.issue_with(params, uri, None, true)
        }

        fn issue_with(
            &self,
            mut params: CertificateParams,
            uri: &str,
            unit: Option<&str>,
            serves: bool,
        ) -> Credentials {
            let key = KeyPair::generate().unwrap();
            params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
            if let Some(unit) = unit {
                params
                    .distinguished_name
                    .push(DnType::OrganizationalUnitName, unit);
            }
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            if serves {
                params
                    .extended_key_usages
                    .push(ExtendedKeyUsagePurpose::ServerAuth);
            }
            let leaf = params.signed_by(&key, &self.0).unwrap();
            let pem = format!(
                "{}{}{}",
                pem_section("CERTIFICATE", self.0.der()),
                leaf.pem(),
                key.serialize_pem()
            );
            Credentials::from_pem("test", pem.as_bytes()).unwrap()
        }
    }
}

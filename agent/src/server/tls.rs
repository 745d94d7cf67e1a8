//! TLS as a voter serves it: 1.3 only, and callers' certificates by the federation's authority.
//!
//! A caller may come without a certificate, and then can do nothing but join. A node whose
//! certificate ended lately is let in to renew it: a host that was off for a week is no stranger.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::Credentials;
use hanse_client::tls::{ALPN_HTTP2, at_some_time, provider};
use hanse_client::{Clock, Identity};
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio::sync::watch;

use crate::clock::FederationClock;
use crate::identity::Trust;

/// TLS that can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up: {0}")]
pub struct TlsError(String);

/// How a voter with these credentials serves.
///
/// A voter that knows no authority yet goes by the one that let it in.
pub fn server_config(
    credentials: &Credentials,
    trust: &Trust,
    clock: Arc<FederationClock>,
    states: watch::Receiver<Arc<FederationState>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let fail = |error: &dyn std::fmt::Display| TlsError(error.to_string());
    let mut authorities: Vec<_> = trust.iter().map(|one| one.certificate.clone()).collect();
    if authorities.is_empty() {
        authorities.extend_from_slice(credentials.authorities());
    }
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots.add(authority.clone()).map_err(|error| fail(&error))?;
    }
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| fail(&error))?;
    let federation = credentials.identity().federation().clone();
    let mut chain: Vec<_> = credentials.chain().iter().take(1).cloned().collect();
    // Who trusts only an older authority is led to the one that signed.
    chain.extend(trust.cross_certificates().cloned());
    // Joiners know an authority by its fingerprint only, and look for it here.
    chain.extend(authorities);
    let mut config = ServerConfig::builder_with_details(provider(), clock.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| fail(&error))?
        .with_client_cert_verifier(Arc::new(Callers {
            inner,
            federation,
            clock,
            states,
        }))
        .with_single_cert(chain, credentials.private_key())
        .map_err(|error| fail(&error))?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    // A resumed session would show no certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Callers {
    inner: Arc<dyn ClientCertVerifier>,
    federation: FederationName,
    clock: Arc<dyn Clock>,
    states: watch::Receiver<Arc<FederationState>>,
}

impl Callers {
    /// How long after its end a node's certificate still serves to renew it.
    fn rejoin_window(&self) -> Duration {
        let state = self.states.borrow();
        state.inventory().federation.spec.rejoin_window.value()
    }

    fn verify_at(
        &self,
        identity: &Identity,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now);
        let Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) =
            &verified
        else {
            return verified;
        };
        let late_s = now.as_secs().saturating_sub(not_after.as_secs());
        match identity {
            Identity::Node { .. } if late_s <= self.rejoin_window().as_secs() => {
                // All but the end is checked as it was when the certificate was valid.
                let then = UnixTime::since_unix_epoch(Duration::from_secs(
                    not_after.as_secs().saturating_sub(1),
                ));
                self.inner
                    .verify_client_cert(end_entity, intermediates, then)
            }
            Identity::Node { .. } | Identity::User { .. } => verified,
        }
    }
}

impl ClientCertVerifier for Callers {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let identity = Identity::from_certificate(end_entity)
            .map_err(|error| Error::InvalidCertificate(other(error)))?;
        if *identity.federation() != self.federation {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let verify = |now| self.verify_at(&identity, end_entity, intermediates, now);
        at_some_time(self.clock.reading(), end_entity, intermediates, verify)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> CertificateError {
    CertificateError::Other(OtherError(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use hanse_client::Reading;
    use hanse_core::command::{Command, Entry};
    use hanse_core::duration::Span;
    use hanse_core::object::{Federation, Object};

    use crate::clock::wall_ms;
    use crate::identity::Authority;

    const LIFE_S: u64 = 100;

    /// So much later than it is.
    #[derive(Debug)]
    struct Later(u64);

    impl Clock for Later {
        fn reading(&self) -> Reading {
            Reading::Now(wall_ms() + self.0 * 1000)
        }

        fn learn(&self, _: u64, _: Duration) {}
    }

    /// A federation whose nodes may come back within an hour.
    fn state() -> FederationState {
        let mut state = FederationState::new("acme".parse().unwrap());
        let mut settings = Federation::defaults("acme".parse().unwrap());
        settings.rejoin_window = Span::from_secs(3600);
        state.apply(&Entry {
            request_id: "1".to_owned(),
            at_unix_s: 0,
            command: Command::Put {
                object: Object::Federation(settings),
                addresses: Vec::new(),
                boxes: Vec::new(),
            },
        });
        state
    }

    fn check(uri: &str, later_s: u64) -> bool {
        let authority = Authority::generate("acme".parse().unwrap(), 1, wall_ms() / 1000).unwrap();
        let identity = Identity::from_uri(uri, Some(hanse_client::Role::Admin)).unwrap();
        let key = KeyPair::generate().unwrap();
        let lives = Duration::from_secs(LIFE_S);
        let chain = authority
            .certify_key(&identity, false, wall_ms() / 1000, lives, &key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let inner = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
            .build()
            .unwrap();
        let callers = Callers {
            inner,
            federation: "acme".parse().unwrap(),
            clock: Arc::new(Later(later_s)),
            states: watch::channel(Arc::new(state())).1,
        };
        let now = UnixTime::now();
        callers
            .verify_client_cert(&chain[0].clone().into(), &[], now)
            .is_ok()
    }

    #[test]
    fn a_node_is_let_in_for_a_while_after_its_certificate_ended_and_a_user_is_not() {
        let node = "spiffe://acme/cluster/home/node/home-1";
        let user = "spiffe://acme/user/alex";
        assert!(check(node, 0) && check(user, 0));
        assert!(check(node, LIFE_S + 3600 - 60) && !check(user, LIFE_S + 10));
        assert!(!check(node, LIFE_S + 3600 + 60));
    }

    #[test]
    fn a_certificate_of_another_federation_is_refused() {
        assert!(!check("spiffe://other/user/alex", 0));
    }
}

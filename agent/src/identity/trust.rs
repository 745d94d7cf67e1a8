//! Whom the federation trusts to name others: its certificate authorities, without their keys.

use std::time::Duration;

use hanse_client::{Fingerprint, proto};
use hanse_core::authority::{Authorities, AuthorityRole};
use hanse_core::name::FederationName;
use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

/// The authorities that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    federation: FederationName,
    authorities: Vec<TrustedAuthority>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Its number.
    pub number: u32,
    /// What it is for.
    pub role: AuthorityRole,
    /// Its own certificate.
    pub certificate: CertificateDer<'static>,
    /// Its key, certified by the one before it.
    pub cross_certificate: Option<CertificateDer<'static>>,
    /// What tokens call it.
    pub fingerprint: Fingerprint,
}

impl Trust {
    /// The authorities as committed.
    #[must_use]
    pub fn of(federation: &FederationName, authorities: &Authorities) -> Self {
        let authorities = authorities.iter().map(|(number, record)| {
            let cross = &record.cross_certificate;
            TrustedAuthority {
                number,
                role: record.role,
                certificate: record.certificate.clone().into(),
                cross_certificate: (!cross.is_empty()).then(|| cross.clone().into()),
                fingerprint: Fingerprint::of(&record.certificate),
            }
        });
        Self {
            federation: federation.clone(),
            authorities: authorities.collect(),
        }
    }

    /// A federation of one authority.
    #[cfg(test)]
    pub(crate) fn of_one(authority: &super::Authority) -> Self {
        let trusted = TrustedAuthority {
            number: authority.number(),
            role: AuthorityRole::Signing,
            certificate: authority.certificate().clone(),
            cross_certificate: None,
            fingerprint: authority.fingerprint(),
        };
        Self {
            federation: authority.federation().clone(),
            authorities: vec![trusted],
        }
    }

    /// The federation.
    #[must_use]
    pub fn federation(&self) -> &FederationName {
        &self.federation
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedAuthority> + '_ {
        self.authorities.iter()
    }

    /// The one that signs.
    #[must_use]
    pub fn signing(&self) -> Option<&TrustedAuthority> {
        self.iter()
            .find(|authority| authority.role == AuthorityRole::Signing)
    }

    /// The one with that fingerprint.
    #[must_use]
    pub fn find(&self, fingerprint: Fingerprint) -> Option<&TrustedAuthority> {
        self.iter()
            .find(|authority| authority.fingerprint == fingerprint)
    }

    /// What nodes are told, and how long certificates live.
    #[must_use]
    pub fn to_proto(&self, lifetime: Duration) -> proto::TrustBundle {
        let mut authorities: Vec<&TrustedAuthority> = self.iter().collect();
        authorities.sort_by_key(|authority| authority.role != AuthorityRole::Signing);
        let certificates = authorities.iter().map(|one| one.certificate.to_vec());
        let cross_certificates = self.cross_certificates().map(|der| der.to_vec());
        proto::TrustBundle {
            authorities: certificates.collect(),
            cross_certificates: cross_certificates.collect(),
            certificate_lifetime_s: lifetime.as_secs(),
        }
    }

    /// What vouches for newer authorities to whoever trusts older ones only.
    pub fn cross_certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> + '_ {
        self.iter()
            .filter_map(|authority| authority.cross_certificate.as_ref())
    }
}

impl TrustedAuthority {
    /// Its public key, as an uncompressed point; none: the certificate is damaged.
    #[must_use]
    pub fn public_key(&self) -> Option<Vec<u8>> {
        let (_, certificate) = parse_x509_certificate(&self.certificate).ok()?;
        Some(certificate.public_key().subject_public_key.data.to_vec())
    }
}

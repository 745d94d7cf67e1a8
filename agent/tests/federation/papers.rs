//! Certificates of every sort, most of which should open nothing.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, SigningKey,
};
use time::OffsetDateTime;

use crate::harness::FEDERATION;
use crate::wire::Papers;

/// A certificate in the making: that of an admin, as the federation would issue it.
pub(crate) struct Draft {
    params: CertificateParams,
}

impl Draft {
    pub(crate) fn admin() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "admin");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let admin = format!("spiffe://{FEDERATION}/user/admin");
        Self { params }.names(&[&admin]).valid(-1, 1)
    }

    pub(crate) fn names(mut self, uris: &[&str]) -> Self {
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        self.params.subject_alt_names = uris.collect();
        self
    }

    pub(crate) fn no_role(mut self) -> Self {
        self.params.distinguished_name = rcgen::DistinguishedName::new();
        self
    }

    pub(crate) fn purposes(mut self, purposes: &[ExtendedKeyUsagePurpose]) -> Self {
        self.params.extended_key_usages = purposes.to_vec();
        self
    }

    /// Valid from `begin` to `end`, in hours from now.
    pub(crate) fn valid(mut self, begin: i64, end: i64) -> Self {
        let now = OffsetDateTime::now_utc();
        self.params.not_before = now + time::Duration::hours(begin);
        self.params.not_after = now + time::Duration::hours(end);
        self
    }

    pub(crate) fn sign(self, issuer: &Issuer<'_, impl SigningKey>) -> Papers {
        let key = KeyPair::generate().unwrap();
        let leaf = self.params.signed_by(&key, issuer).unwrap();
        Papers {
            chain: vec![leaf.der().to_vec()],
            key: key.serialize_der(),
        }
    }

    pub(crate) fn sign_itself(mut self) -> Papers {
        self.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let leaf = self.params.self_signed(&key).unwrap();
        Papers {
            chain: vec![leaf.der().to_vec()],
            key: key.serialize_der(),
        }
    }
}

/// An authority that calls itself as another one does.
pub(crate) fn impostor(authority: &[u8]) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    Issuer::from_ca_cert_der(&authority.into(), key).unwrap()
}

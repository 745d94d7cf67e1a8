//! Credentials for people and programs: the key is born where they are asked for, and only its
//! certificate request goes to the federation.

use std::time::Duration;

use hanse_core::name::NodeName;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::client::Client;
use crate::credentials::pem_section;
use crate::error::ClientError;
use crate::spiffe::Role;

impl Client {
    /// A PEM bundle as `HANSE_CREDENTIALS` takes it. It holds the private key: write it where only
    /// its owner reads, and never log it.
    pub async fn issue_credentials(
        &self,
        name: &NodeName,
        role: Role,
        ttl: Duration,
    ) -> Result<String, ClientError> {
        let unable = |error: rcgen::Error| {
            ClientError::Configuration(format!("unable to make a certificate request: {error}"))
        };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unable)?;
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(unable)?;
        let request = request.der().to_vec();
        let issued = self.issue_user(name, role, ttl, request).await?;
        // While one authority follows another, some voters show the one, some the other.
        let others = issued.trust.map(|trust| trust.authorities);
        let mut certificates = issued.certificate_chain;
        for authority in others.unwrap_or_default() {
            if !certificates.contains(&authority) {
                certificates.push(authority);
            }
        }
        let certificates = certificates
            .iter()
            .map(|der| pem_section("CERTIFICATE", der));
        Ok(certificates.collect::<String>() + &key.serialize_pem())
    }
}

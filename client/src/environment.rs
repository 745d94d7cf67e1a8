//! `HANSE_ENDPOINTS` and `HANSE_CREDENTIALS`: how the command line and the provider are told.

use std::path::PathBuf;

use hanse_core::endpoint::Endpoint;

use crate::credentials::Credentials;
use crate::error::ClientError;

/// The voters, as `host:port`, separated by commas.
pub const ENDPOINTS_VARIABLE: &str = "HANSE_ENDPOINTS";
/// The path of a bundle of credentials.
pub const CREDENTIALS_VARIABLE: &str = "HANSE_CREDENTIALS";

/// Reads a list of endpoints; errors name `source_name`.
pub fn parse_endpoints(source_name: &str, text: &str) -> Result<Vec<Endpoint>, ClientError> {
    let endpoints: Result<Vec<Endpoint>, _> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse::<Endpoint>)
        .collect();
    let endpoints =
        endpoints.map_err(|error| ClientError::Configuration(format!("{source_name}: {error}")))?;
    if endpoints.is_empty() {
        return Err(ClientError::Configuration(format!(
            "{source_name} names no voter: write host:port, separated by commas"
        )));
    }
    Ok(endpoints)
}

/// The endpoints that the environment names, if it names any.
pub fn endpoints() -> Result<Option<Vec<Endpoint>>, ClientError> {
    variable(ENDPOINTS_VARIABLE)?
        .map(|text| parse_endpoints(ENDPOINTS_VARIABLE, &text))
        .transpose()
}

/// The credentials that the environment names, if it names any.
pub fn credentials() -> Result<Option<Credentials>, ClientError> {
    variable(CREDENTIALS_VARIABLE)?
        .map(|path| Credentials::read(&PathBuf::from(path)).map_err(ClientError::Credentials))
        .transpose()
}

fn variable(name: &str) -> Result<Option<String>, ClientError> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(ClientError::Configuration(format!("{name} is not UTF-8")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_separated_by_commas() {
        let endpoints = parse_endpoints("HANSE_ENDPOINTS", "a:1, [::1]:2 ,").unwrap();
        let texts: Vec<&str> = endpoints.iter().map(Endpoint::as_str).collect();
        assert_eq!(texts, ["a:1", "[::1]:2"]);
    }

    #[test]
    fn an_error_names_where_the_endpoint_was_written() {
        for text in ["", " , ", "a", "a:1,b"] {
            let error = parse_endpoints("HANSE_ENDPOINTS", text)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("HANSE_ENDPOINTS"), "{error}");
        }
    }
}

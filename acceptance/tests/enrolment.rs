//! Nobody gets in who should not, and each is told why.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use hanse_acceptance::agent::API_PORT;
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Federation, Laboratory, Operator, binaries};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_token_that_is_wrong_expired_used_or_foreign_lets_nobody_in() -> Result<()> {
    let laboratory = Laboratory::start(4)?;
    let federation = Federation::raise_on(&laboratory, 1)?;
    let operator = &federation.operator;
    let newcomer = laboratory.host(2);
    let refused = |token: &str| -> Result<String> {
        let error = Agent::join(newcomer, token)
            .err()
            .context("this token should be refused")?;
        Ok(format!("{error:#}"))
    };

    let good = operator.token("site2")?;
    let wrong = refused(&forged(&good))?;
    assert!(wrong.contains("it was altered"), "{wrong}");
    let mangled = refused("hanse1.nonsense")?;
    assert!(mangled.to_lowercase().contains("token"), "{mangled}");

    let short = operator
        .hanse(["token", "create", "--cluster", "site2", "--ttl", "1s"])?
        .success()?;
    let short = short.text().to_owned();
    let ends = SystemTime::now() + Duration::from_secs(2);
    wait_until_true("the token has ended", PATIENCE, || {
        Ok(SystemTime::now() > ends)
    })?;
    let expired = refused(&short)?;
    assert!(expired.contains("expired"), "{expired}");

    let (mut stranger, foreign) =
        Agent::bootstrap(&laboratory, laboratory.host(3), "other", "site1")?;
    stranger.start()?;
    stranger.wait_until_answered(&foreign)?;
    let token = foreign.token("site2")?;
    let elsewhere = format!("{}:{API_PORT}", laboratory.host(1).ipv4());
    let joined = newcomer.exec(
        hanse_acceptance::laboratory::Invocation::new(binaries::hanse()?)
            .args([
                "join",
                "--token",
                &token,
                "--node",
                "h2",
                "--server",
                &elsewhere,
                "--data-dir",
            ])
            .arg(newcomer.data_dir().join("foreign")),
    )?;
    assert!(!joined.succeeded());
    assert!(
        !joined.stderr.contains(&token),
        "a token never stands in an error"
    );

    Agent::join(newcomer, &good)?;
    let error = Agent::join(laboratory.host(4), &good);
    let used = format!(
        "{:#}",
        error.err().context("a used token should be refused")?
    );
    assert!(used.contains("Token used up"), "{used}");
    let nodes = operator.hanse_json(["nodes"])?.to_string();
    assert!(!nodes.contains("h4"), "nobody came in: {nodes}");
    Ok(())
}

#[test]
fn a_strangers_certificate_is_refused_both_ways() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise_on(&laboratory, 1)?;
    let path = laboratory.folder().join("own.pem");
    std::fs::copy(federation.operator.credentials(), &path)?;
    let (_, stranger) = Agent::bootstrap(&laboratory, laboratory.host(2), "test", "site2")?;
    let intruder = Operator::new(
        &laboratory,
        federation.operator.endpoints(),
        stranger.credentials(),
    );
    let refused = intruder.hanse(["status"])?;
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    let own = Operator::new(&laboratory, federation.operator.endpoints(), &path);
    own.hanse(["status"])?.success()?;
    Ok(())
}

#[test]
fn a_message_that_is_too_large_is_refused_and_harms_nobody() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let mut configuration = federation.configuration();
    configuration.address_pools.clear();
    configuration.tail =
        "resource \"hanse_member_cluster\" \"huge\" {\n  federation = \"test\"\n  \
        name = \"huge\"\n  platform = \"other\"\n  labels = { big = file(\"big.txt\") }\n}\n"
            .to_owned();
    let terraform = federation.terraform(&configuration)?;
    terraform.write("big.txt", &"x".repeat(40 << 20))?;
    let refused = terraform.run(["apply", "-no-color", "-auto-approve"])?;
    assert!(!refused.succeeded());
    assert!(refused.stderr.contains("MiB"), "{}", refused.stderr);
    federation.operator.hanse(["status"])?.success()?;
    Ok(())
}

/// The same claims under another signature: one character in its midst is changed.
fn forged(token: &str) -> String {
    let place = token.rfind('.').unwrap_or_default() + 20;
    let other = if token[place..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &token[..place], &token[place + 1..])
}

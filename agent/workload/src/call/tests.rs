use super::*;
use std::fs;

async fn call(script: &str, limit: Duration) -> Result<Vec<u8>, Trouble> {
    let command = ["/bin/sh", "-c", script].map(str::to_owned);
    let calling = Calling {
        what: "try",
        command: &command,
        limit,
        runs: Runs::Here,
        environment: BTreeMap::new(),
        folder: None,
        install: None,
    };
    calling.ask(OUTPUT_MAX).await
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

async fn until_gone(id: &str) {
    let path = format!("/proc/{}", id.trim());
    let gone = async {
        while fs::read_to_string(format!("{path}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(LONG, gone).await.is_ok(), "{path} is still there");
}

#[tokio::test]
async fn what_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let trouble = call(&script, SHORT).await.unwrap_err().0;
    assert!(trouble.contains("did not end within 300ms"), "{trouble}");
    until_gone(&fs::read_to_string(file).unwrap()).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_goes_with_it() {
    let printed = call("sleep 1000 & echo $!", LONG).await.unwrap();
    until_gone(std::str::from_utf8(&printed).unwrap()).await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
    let calls = tokio::spawn(async move { call(&script, LONG).await });
    let id = loop {
        match fs::read_to_string(&file) {
            Ok(id) if id.ends_with('\n') => break id,
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    calls.abort();
    until_gone(&id).await;
}

#[tokio::test]
async fn a_flood_takes_neither_the_memory_nor_the_time_of_others() {
    let flood = call("head -c 50000000 /dev/zero", LONG)
        .await
        .unwrap_err()
        .0;
    assert!(flood.contains("prints more than"), "{flood}");
    let endless = call("exec cat /dev/zero", SHORT).await.unwrap_err().0;
    assert!(endless.contains("did not end"), "{endless}");
    let complaint = "head -c 50000000 /dev/zero >&2; echo; echo last >&2; exit 1";
    let words = call(complaint, LONG).await.unwrap_err().0;
    assert!(
        words.ends_with(": […] last") && words.len() < 2000,
        "{} bytes",
        words.len()
    );
}

#[tokio::test]
async fn a_program_finds_nothing_of_its_callers_environment() {
    let printed = call("env | cut -d= -f1 | sort | tr '\\n' ' '", LONG).await;
    let names = String::from_utf8(printed.unwrap()).unwrap();
    assert_eq!(names, "HOME LC_ALL PATH PWD ");
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_installs_it() {
    let command = ["no-such-restic".to_owned()];
    let calling = Calling {
        what: "try",
        command: &command,
        limit: LONG,
        runs: Runs::Here,
        environment: BTreeMap::new(),
        folder: None,
        install: Some("restic"),
    };
    let trouble = calling.ask(OUTPUT_MAX).await.unwrap_err().0;
    assert!(
        trouble.contains("run `apt-get install restic`"),
        "{trouble}"
    );
}

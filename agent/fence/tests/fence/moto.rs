//! moto's EC2: that its XML, and so botocore's reading of the API, is ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use hanse_fence::{FenceError, fence};

use super::ec2::instance;

const PATIENCE: Duration = Duration::from_secs(30);

/// An instance that runs; a line each that is read is answered with how it is.
const PROGRAM: &str = r#"
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
ec2 = boto3.client('ec2', endpoint_url=f'http://127.0.0.1:{port}', aws_access_key_id='AKID',
                   aws_secret_access_key='secret', region_name='eu-central-1')
tags = [{'ResourceType': 'instance', 'Tags': [{'Key': 'Name', 'Value': 'db-1'}]}]
made = ec2.run_instances(ImageId='ami-12345678', MinCount=1, MaxCount=1, TagSpecifications=tags)
id = made['Instances'][0]['InstanceId']
print(port, id, flush=True)
for _ in sys.stdin:
    told = ec2.describe_instances(InstanceIds=[id])['Reservations'][0]['Instances'][0]
    print(told['State']['Name'], flush=True)
"#;

/// Where `scripts/test --long` puts it.
fn python() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or(variable("HOME").map(|home| home.join(".cache")));
    let cache = variable("HANSE_CACHE").or(cache.map(|cache| cache.join("hanse")));
    let python = cache.unwrap().join("tools/moto-venv/bin/python");
    assert!(
        python.is_file(),
        "moto is missing at {}: run `scripts/test --long`",
        python.display()
    );
    python
}

#[tokio::test]
async fn an_instance_is_stopped_and_one_that_is_not_there_is_no_fence() {
    let mut moto = Command::new(python())
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends when its input does.
    let mut stdin = moto.stdin.take().unwrap();
    let mut lines = BufReader::new(moto.stdout.take().unwrap()).lines();
    let mut said = || lines.next().unwrap().unwrap();
    let first = said();
    let (port, id) = first.split_once(' ').unwrap();
    let endpoint = format!("127.0.0.1:{port}");

    let other = fence(&instance(&endpoint, id, Some("db-2")), PATIENCE).await;
    assert!(
        matches!(other, Err(FenceError::OtherMachine { .. })),
        "{other:?}"
    );
    let none = fence(&instance(&endpoint, "i-00000000", None), PATIENCE).await;
    assert!(
        matches!(none, Err(FenceError::NoMachine { .. })),
        "{none:?}"
    );
    writeln!(stdin, "how is it?").unwrap();
    assert_eq!(said(), "running");
    fence(&instance(&endpoint, id, Some("db-1")), PATIENCE)
        .await
        .unwrap();
    writeln!(stdin, "and now?").unwrap();
    assert_eq!(said(), "stopped");
    fence(&instance(&endpoint, id, Some("db-1")), PATIENCE)
        .await
        .unwrap();
    drop(stdin);
    moto.wait().unwrap();
}

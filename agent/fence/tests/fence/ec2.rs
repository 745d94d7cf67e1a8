//! Amazon EC2: what is a fence, and what is none. `moto.rs` asks whether its XML is read rightly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hanse_fence::{Ec2, Ec2Config, FenceError, fence};
use hanse_redirect::{AwsCredentials, Clock, Http, Secret};

use super::web::{Reply, serve};

const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "wJalrXUtnFEMI";
const ID: &str = "i-0123456789abcdef0";

/// An instance at an endpoint, as it is declared.
pub(crate) fn instance(endpoint: &str, id: &str, name: Option<&str>) -> Ec2 {
    let config = Ec2Config {
        instance_id: id.to_owned(),
        region: "eu-central-1".to_owned(),
        name: name.map(str::to_owned),
        credentials: AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new(SECRET),
            session_token: None,
        },
        endpoint: Some(format!("http://{endpoint}").parse().unwrap()),
    };
    Ec2::try_new(config, Http::system().unwrap(), Clock::system()).unwrap()
}

fn described(state: &str, reason: &str) -> String {
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>\
         <instanceId>{ID}</instanceId><instanceState><code>0</code><name>{state}</name>\
         </instanceState><tagSet><item><key>Name</key><value>db-1</value></item></tagSet>\
         <stateReason><code>{reason}</code></stateReason></item></instancesSet></item>\
         </reservationSet></DescribeInstancesResponse>"
    )
}

/// An EC2 where the instance is as told, one answer after another, the last for ever; and what it heard.
fn telling(states: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (bodies, told) = (Arc::clone(&heard), Mutex::new(0));
    let states: Vec<_> = states.iter().map(ToString::to_string).collect();
    let server = serve(move |request| {
        let is_stop = request.body.contains("Action=StopInstances");
        bodies.lock().unwrap().push(request.body);
        if is_stop {
            return Reply::Whole(200, "", "<StopInstancesResponse/>".to_owned());
        }
        let mut told = told.lock().unwrap();
        let state = states[usize::min(*told, states.len() - 1)].clone();
        *told += 1;
        Reply::Whole(200, "", described(&state, ""))
    });
    (server, heard)
}

fn stops(heard: &Mutex<Vec<String>>) -> usize {
    let heard = heard.lock().unwrap();
    let asked = heard.iter().filter(|body| body.contains("StopInstances"));
    asked
        .inspect(|body| assert!(body.contains("Force=true")))
        .count()
}

#[tokio::test]
async fn only_stopped_or_terminated_is_a_fence() {
    for (states, asked) in [
        (&["running", "running", "stopping", "stopped"][..], 1),
        // One that stops slowly by itself is stopped by force.
        (&["stopping", "stopped"], 1),
        (&["stopped"], 0),
        (&["terminated"], 0),
        (&["shutting-down", "terminated"], 0),
    ] {
        let (server, heard) = telling(states);
        let fenced = fence(&instance(&server, ID, Some("db-1")), PATIENCE).await;
        assert_eq!(fenced, Ok(()), "{states:?}");
        assert_eq!(stops(&heard), asked, "{states:?}");
        let heard = heard.lock().unwrap();
        assert!(!heard.iter().any(|body| body.contains("Terminate")));
    }
    let (server, _) = telling(&["running", "stopping"]);
    let short = Duration::from_secs(1);
    let error = fence(&instance(&server, ID, None), short).await;
    let said = error.unwrap_err().to_string();
    assert!(said.contains("it is stopping"), "{said}");
}

#[tokio::test]
async fn an_instance_that_hibernates_is_no_fence() {
    let reason = "Client.UserInitiatedHibernate";
    let server = serve(move |_| Reply::Whole(200, "", described("stopped", reason)));
    let error = fence(&instance(&server, ID, None), PATIENCE).await;
    assert!(matches!(error, Err(FenceError::Kept { .. })), "{error:?}");
}

#[tokio::test]
async fn another_instance_is_never_stopped() {
    let (server, heard) = telling(&["running"]);
    let error = fence(&instance(&server, ID, Some("db-2")), PATIENCE).await;
    assert!(
        matches!(error, Err(FenceError::OtherMachine { .. })),
        "{error:?}"
    );
    let error = fence(&instance(&server, "i-00000000", None), PATIENCE).await;
    assert!(
        matches!(error, Err(FenceError::Malformed { .. })),
        "{error:?}"
    );
    assert_eq!(stops(&heard), 0);
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    for (status, code, part) in [
        (403, "UnauthorizedOperation", "Allow ec2:DescribeInstances"),
        (401, "AuthFailure", "access key AKIDEXAMPLE"),
        (403, "RequestExpired", "access key AKIDEXAMPLE"),
        (
            400,
            "InvalidInstanceID.NotFound",
            "does not know the instance",
        ),
        (
            400,
            "UnsupportedOperation",
            "HTTP 400: UnsupportedOperation",
        ),
        (503, "Unavailable", "HTTP 503"),
    ] {
        let body = format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>so it is</Message></Error>\
             </Errors></Response>"
        );
        let server = serve(move |_| Reply::Whole(status, "", body.clone()));
        let error = fence(&instance(&server, ID, None), PATIENCE).await;
        let said = error.unwrap_err().to_string();
        assert!(said.contains(part) && said.contains("so it is"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    for body in ["", "{}", "<html/>", "<DescribeInstancesResponse/>"] {
        let server = serve(move |_| Reply::Whole(200, "", body.to_owned()));
        let error = fence(&instance(&server, ID, None), PATIENCE).await;
        assert!(
            matches!(error, Err(FenceError::Malformed { .. })),
            "{error:?}"
        );
    }
    let error = fence(&instance("127.0.0.1:1", ID, None), PATIENCE).await;
    assert!(
        matches!(error, Err(FenceError::Unreachable { .. })),
        "{error:?}"
    );
}

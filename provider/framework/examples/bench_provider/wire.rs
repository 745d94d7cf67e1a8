//! The calls that are measured, in either version of the protocol: what they say has the same
//! numbers in both, and only some names differ.

use std::collections::BTreeMap;

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use crate::Result;

const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A version of the protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Five,
    Six,
}

/// A provider at the other end of a channel.
#[derive(Clone)]
pub(crate) struct Provider {
    channel: Channel,
    protocol: Protocol,
}

impl Provider {
    pub(crate) fn new(channel: Channel, protocol: Protocol) -> Self {
        Self { channel, protocol }
    }

    pub(crate) async fn schema(&self) -> Result<Schemas> {
        let call = self.name("GetSchema", "GetProviderSchema");
        self.call(call, Nothing::default()).await
    }

    pub(crate) async fn configure(&self, request: Configure) -> Result<Findings> {
        self.call(self.name("Configure", "ConfigureProvider"), request)
            .await
    }

    pub(crate) async fn validate(&self, request: Validate) -> Result<Findings> {
        let call = self.name("ValidateResourceTypeConfig", "ValidateResourceConfig");
        self.call(call, request).await
    }

    pub(crate) async fn upgrade(&self, request: Upgrade) -> Result<State> {
        self.call("UpgradeResourceState", request).await
    }

    pub(crate) async fn read(&self, request: Read) -> Result<State> {
        self.call("ReadResource", request).await
    }

    pub(crate) async fn plan(&self, request: Plan) -> Result<Planned> {
        self.call("PlanResourceChange", request).await
    }

    pub(crate) async fn apply(&self, request: Apply) -> Result<Applied> {
        self.call("ApplyResourceChange", request).await
    }

    fn name(&self, five: &'static str, six: &'static str) -> &'static str {
        match self.protocol {
            Protocol::Five => five,
            Protocol::Six => six,
        }
    }

    async fn call<A, B>(&self, call: &str, request: A) -> Result<B>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        let service = match self.protocol {
            Protocol::Five => "tfplugin5",
            Protocol::Six => "tfplugin6",
        };
        let path = PathAndQuery::try_from(format!("/{service}.Provider/{call}"))?;
        let mut client =
            Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        client.ready().await?;
        let codec = ProstCodec::<A, B>::default();
        let answer = client
            .unary(tonic::Request::new(request), path, codec)
            .await;
        let answer = answer.map_err(|status| format!("{call}: {status}"))?;
        Ok(answer.into_inner())
    }
}

/// Fails with what a provider has found.
pub(crate) fn no_findings(findings: &[Finding]) -> Result<()> {
    match findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("{}: {}", finding.summary, finding.detail).into()),
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Nothing {}

/// A value in either of its forms.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dynamic {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) msgpack: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) json: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Finding {
    #[prost(string, tag = "2")]
    summary: String,
    #[prost(string, tag = "3")]
    detail: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Findings {
    #[prost(message, repeated, tag = "1")]
    pub(crate) findings: Vec<Finding>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Configure {
    #[prost(string, tag = "1")]
    pub(crate) terraform_version: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) config: Option<Dynamic>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Validate {
    #[prost(string, tag = "1")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) config: Option<Dynamic>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RawState {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) json: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Upgrade {
    #[prost(string, tag = "1")]
    pub(crate) type_name: String,
    #[prost(int64, tag = "2")]
    pub(crate) version: i64,
    #[prost(message, optional, tag = "3")]
    pub(crate) raw_state: Option<RawState>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Read {
    #[prost(string, tag = "1")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) current_state: Option<Dynamic>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) private: Vec<u8>,
}

/// The answer to an upgrade and to a read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct State {
    #[prost(message, optional, tag = "1")]
    pub(crate) state: Option<Dynamic>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) findings: Vec<Finding>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) private: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Plan {
    #[prost(string, tag = "1")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) prior_state: Option<Dynamic>,
    #[prost(message, optional, tag = "3")]
    pub(crate) proposed_new_state: Option<Dynamic>,
    #[prost(message, optional, tag = "4")]
    pub(crate) config: Option<Dynamic>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) prior_private: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Planned {
    #[prost(message, optional, tag = "1")]
    pub(crate) state: Option<Dynamic>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) private: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) findings: Vec<Finding>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Apply {
    #[prost(string, tag = "1")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) prior_state: Option<Dynamic>,
    #[prost(message, optional, tag = "3")]
    pub(crate) planned_state: Option<Dynamic>,
    #[prost(message, optional, tag = "4")]
    pub(crate) config: Option<Dynamic>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) planned_private: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Applied {
    #[prost(message, optional, tag = "1")]
    pub(crate) state: Option<Dynamic>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) private: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) findings: Vec<Finding>,
}

/// The fields that the schemas of both protocols have in common.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Schemas {
    #[prost(message, optional, tag = "1")]
    pub(crate) provider: Option<Schema>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) resources: BTreeMap<String, Schema>,
    #[prost(btree_map = "string, message", tag = "3")]
    pub(crate) data_sources: BTreeMap<String, Schema>,
    #[prost(btree_map = "string, message", tag = "8")]
    pub(crate) ephemeral: BTreeMap<String, Schema>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Schema {
    #[prost(int64, tag = "1")]
    pub(crate) version: i64,
    #[prost(message, optional, tag = "2")]
    pub(crate) block: Option<Block>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Block {
    #[prost(message, repeated, tag = "2")]
    pub(crate) attributes: Vec<Attribute>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) blocks: Vec<Nothing>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) of: Vec<u8>,
    #[prost(bool, tag = "4")]
    pub(crate) required: bool,
    #[prost(bool, tag = "5")]
    pub(crate) optional: bool,
    #[prost(bool, tag = "6")]
    pub(crate) computed: bool,
    #[prost(bool, tag = "7")]
    pub(crate) sensitive: bool,
    #[prost(bool, tag = "9")]
    pub(crate) deprecated: bool,
}

//! The calls about list resources. What is found goes out as it comes: nothing here gathers.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Server, decode, encode, identity};
use crate::context::Call;
use crate::erased::{AnyListResource, AnyResource};
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::value::{Type, Value};
use crate::{Diagnostic, Diagnostics, ListQuery, Provider};

impl<P: Provider> Server<P> {
    /// A search is of no use to Terraform without the resource and its identity.
    pub(super) fn check_lists(&self, mistakes: &mut Diagnostics) {
        for list in &self.registry().list_resources {
            let name = list.type_name();
            let mistake = match self.resource(name).map(AnyResource::identity) {
                Err(_) => "isn't registered",
                Ok(None) => "has no identity: mark it with #[attribute(identity)]",
                Ok(Some(_)) => continue,
            };
            let detail = format!("There is a search for the resource {name}, which {mistake}.");
            mistakes.error("Invalid provider", detail);
        }
    }

    pub(super) async fn validate_list_resource(
        &self,
        request: wire::validate_list_resource_config::Request,
        call: Call,
    ) -> Result<wire::validate_list_resource_config::Response, Diagnostics> {
        let list = self.list_resource(&request.type_name)?;
        decode(request.include_resource_object, &Type::Bool)?;
        decode(request.limit, &Type::Number)?;
        let config = config(list, request.config)?;
        let cx = self.cx(call, Private::default());
        let mut diagnostics = list.validate(&cx, config).await;
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_list_resource_config::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    /// Warnings go with the objects, since Terraform reads no further than its limit; errors come
    /// last.
    pub(super) async fn list_objects(
        self: Arc<Self>,
        request: wire::list_resource::Request,
        call: Call,
        events: mpsc::Sender<wire::list_resource::Event>,
    ) -> Result<(), Diagnostics> {
        let list = self.list_resource(&request.type_name)?;
        let query = ListQuery {
            config: config(list, request.config)?,
            limit: u64::try_from(request.limit).ok().filter(|limit| *limit > 0),
            include_resource: request.include_resource_object,
        };
        let cx = Arc::new(self.cx(call, Private::default()));
        let make = {
            let (server, cx) = (Arc::clone(&self), Arc::clone(&cx));
            move |display_name, value| {
                let resource = server.resource(&request.type_name)?;
                Ok(wire::list_resource::Event {
                    display_name,
                    diagnostic: cx.take_diagnostics().into_wire(),
                    ..event(resource, value, request.include_resource_object)?
                })
            }
        };
        let result = list.list(&cx, query, Box::new(make), events).await;
        let mut diagnostics = cx.take_diagnostics();
        diagnostics.extend(result.err().unwrap_or_default());
        if diagnostics.is_empty() {
            Ok(())
        } else {
            Err(diagnostics)
        }
    }

    fn list_resource(
        &self,
        type_name: &str,
    ) -> Result<&dyn AnyListResource<P::Client>, Diagnostics> {
        let mut lists = self.registry().list_resources.iter();
        lists
            .find(|list| list.type_name() == type_name)
            .map(AsRef::as_ref)
            .ok_or_else(|| super::no_such("list resource", type_name))
    }
}

/// The configuration. A block that says nothing may come as null.
fn config<C>(
    list: &dyn AnyListResource<C>,
    config: Option<wire::DynamicValue>,
) -> Result<Value, Diagnostics> {
    match decode(config, &list.known().of)? {
        Value::Null => Ok(Value::object::<&str>([])),
        config => Ok(config),
    }
}

fn event<C>(
    resource: &dyn AnyResource<C>,
    object: Value,
    include_resource: bool,
) -> Result<wire::list_resource::Event, Diagnostics> {
    let found = resource.found(object)?;
    let Some(found_identity) = identity::to_wire(found.identity, resource.identity())? else {
        let detail = "The resource has no identity. Please report this to the provider's authors.";
        let summary = format!("Unable to list {}", resource.type_name());
        return Err(Diagnostic::error(summary, detail).into());
    };
    let resource_object = if include_resource {
        encode(&found.value, &resource.known().of)?
    } else {
        None
    };
    Ok(wire::list_resource::Event {
        identity: Some(found_identity),
        resource_object,
        ..wire::list_resource::Event::default()
    })
}

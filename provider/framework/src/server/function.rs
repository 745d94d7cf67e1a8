//! The calls about functions.

use super::Server;
use crate::function::{Arguments, Parameter, Signature};
use crate::proto::tfplugin6 as wire;
use crate::value::{UnknownAttributes, Value};
use crate::{FunctionError, Provider};

impl<P: Provider> Server<P> {
    pub(super) async fn call_function(
        &self,
        request: wire::call_function::Request,
    ) -> wire::call_function::Response {
        match self.evaluate(request).await {
            Ok(result) => wire::call_function::Response {
                result: Some(result),
                error: None,
            },
            Err(error) => failed(error),
        }
    }

    async fn evaluate(
        &self,
        request: wire::call_function::Request,
    ) -> Result<wire::DynamicValue, FunctionError> {
        let name = request.name;
        let mut functions = self.registry().functions.iter();
        let function = functions
            .find(|function| function.name() == name)
            .ok_or_else(|| {
                FunctionError::new(format!("This provider has no function named {name:?}."))
            })?;
        let signature = function.signature();
        let arguments = arguments(&signature, request.arguments)?;
        let result = function.call(arguments).await?;
        let msgpack = result
            .to_msgpack(&signature.returns.value_type())
            .map_err(|error| FunctionError::new(format!("The result can't be encoded: {error}")))?;
        Ok(wire::DynamicValue {
            msgpack,
            json: Vec::new(),
        })
    }
}

pub(super) fn failed(error: FunctionError) -> wire::call_function::Response {
    let FunctionError { text, argument } = error;
    let error = wire::FunctionError {
        text,
        function_argument: argument,
    };
    wire::call_function::Response {
        result: None,
        error: Some(error),
    }
}

fn arguments(
    signature: &Signature,
    given: Vec<wire::DynamicValue>,
) -> Result<Arguments, FunctionError> {
    let (needed, came) = (signature.parameters.len(), given.len());
    if came < needed || (came > needed && signature.variadic.is_none()) {
        let at_least = if signature.variadic.is_some() {
            "at least "
        } else {
            ""
        };
        return Err(FunctionError::new(format!(
            "It takes {at_least}{needed} arguments, and {came} came."
        )));
    }
    let decode = |(index, value): (usize, wire::DynamicValue)| {
        let parameter = signature
            .parameter_at(index)
            .ok_or_else(|| FunctionError::at(index, "There is no such parameter."))?;
        let of = parameter.shape.value_type();
        let decoded = if !value.msgpack.is_empty() {
            Value::from_msgpack(&value.msgpack, &of)
        } else if !value.json.is_empty() {
            Value::from_json(&value.json, &of, UnknownAttributes::Refuse)
        } else {
            // OpenTofu sends nothing where an argument is null.
            Ok(Value::Null)
        };
        let decoded = decoded.map_err(|error| FunctionError::at(index, error.to_string()))?;
        match decoded {
            Value::Null if !parameter.allows.null => Err(FunctionError::at(
                index,
                "A value is needed, and this is null.",
            )),
            Value::Unknown if !parameter.allows.unknown => {
                Err(FunctionError::at(index, "The value isn't known yet."))
            }
            decoded => Ok(decoded),
        }
    };
    given
        .into_iter()
        .enumerate()
        .map(decode)
        .collect::<Result<_, _>>()
        .map(Arguments)
}

pub(super) fn to_wire(signature: Signature) -> wire::Function {
    let returns = signature.returns.value_type().to_json_bytes();
    wire::Function {
        parameters: signature
            .parameters
            .into_iter()
            .map(parameter_to_wire)
            .collect(),
        variadic_parameter: signature.variadic.map(parameter_to_wire),
        r#return: Some(wire::function::Return { r#type: returns }),
        summary: signature.summary,
        description: signature.description,
        description_kind: wire::StringKind::Markdown.into(),
        deprecation_message: signature.deprecated.unwrap_or_default(),
    }
}

fn parameter_to_wire(parameter: Parameter) -> wire::function::Parameter {
    wire::function::Parameter {
        name: parameter.name,
        r#type: parameter.shape.value_type().to_json_bytes(),
        allow_null_value: parameter.allows.null,
        allow_unknown_values: parameter.allows.unknown,
        description: parameter.description,
        description_kind: wire::StringKind::Markdown.into(),
    }
}

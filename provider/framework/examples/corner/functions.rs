//! Functions: one that gives back what it takes for each type, and one for each special kind of
//! parameter and end.

use std::collections::BTreeMap;

use terraform_plugin::value::Type;
use terraform_plugin::{
    Arguments, Attr, Field, Function, FunctionError, Model, Number, Registry, Set, Signature,
    Value, async_trait,
};

use crate::store::Store;

/// An object that a function takes.
#[derive(Model, Clone)]
pub(crate) struct Measure {
    /// What is measured.
    #[attribute(required)]
    what: Attr<String>,
    /// How much of it.
    #[attribute(required)]
    amount: Attr<Number>,
}

/// An object of values of any type.
#[derive(Model, Clone)]
pub(crate) struct Loose {
    #[attribute(required)]
    left: Attr<Value>,
    #[attribute(required)]
    right: Attr<Value>,
}

/// A function that gives back what it takes.
macro_rules! echo {
    ($($function:ident $name:literal $of:ty;)*) => {$(
        struct $function;

        #[async_trait]
        impl Function for $function {
            const NAME: &'static str = $name;

            fn signature(&self) -> Signature {
                Signature::returning::<$of>(concat!("Gives back a ", $name))
                    .parameter::<$of>("value", "What comes back.")
            }

            async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
                Ok(arguments.get::<$of>(0)?.encode())
            }
        }
    )*};
}

echo! {
    Text "string" String;
    Truth "bool" bool;
    Exact "number" Number;
    Float32 "float32" f32;
    Float64 "float64" f64;
    Integer64 "int64" i64;
    Integer32 "int32" i32;
    Anything "dynamic" Value;
    TextList "list" Vec<String>;
    TextSet "set" Set<String>;
    TextMap "map" BTreeMap<String, String>;
    Object "object" Measure;
    LooseObject "object_with_dynamic" Loose;
}

struct Variadic;

#[async_trait]
impl Function for Variadic {
    const NAME: &'static str = "variadic";

    fn signature(&self) -> Signature {
        Signature::returning::<Vec<String>>("Gathers texts in a list")
            .variadic::<String>("texts", "What to gather.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        Ok(arguments.rest::<String>(0)?.encode())
    }
}

struct DynamicVariadic;

#[async_trait]
impl Function for DynamicVariadic {
    const NAME: &'static str = "dynamic_variadic";

    fn signature(&self) -> Signature {
        Signature::returning::<Value>("Gathers values of any types in a tuple")
            .variadic::<Value>("values", "What to gather.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let (types, values) = arguments
            .rest::<Value>(0)?
            .into_iter()
            .map(|value| match value {
                Value::Dynamic(of, value) => (of, *value),
                other => (Type::Dynamic, other),
            })
            .unzip();
        let tuple = Value::Tuple(values);
        Ok(Value::Dynamic(Type::Tuple(types), Box::new(tuple)))
    }
}

struct Describe;

#[async_trait]
impl Function for Describe {
    const NAME: &'static str = "describe";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Says what it was given, null and unknown values too")
            .parameter::<Option<String>>("nullable", "A text or null.")
            .parameter::<Attr<String>>("open", "A text, null, or something unknown.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let nullable = match arguments.get::<Option<String>>(0)? {
            Some(_) => "known",
            None => "null",
        };
        let open = match arguments.get::<Attr<String>>(1)? {
            Attr::Known(_) => "known",
            Attr::Null => "null",
            Attr::Unknown => "unknown",
        };
        Ok(format!("{nullable} {open}").encode())
    }
}

struct Refuse;

#[async_trait]
impl Function for Refuse {
    const NAME: &'static str = "refuse";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Refuses the argument of that number")
            .parameter::<i64>("number", "Which one, from 0; -1 for the call as a whole.")
            .variadic::<String>("texts", "What may be refused.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let number = arguments.get::<i64>(0)?;
        Err(match usize::try_from(number) {
            Ok(index) => FunctionError::at(index, format!("Argument {index} was to be refused.")),
            Err(_) => FunctionError::new("The call was to be refused."),
        })
    }
}

struct Old;

#[async_trait]
impl Function for Old {
    const NAME: &'static str = "old";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("Gives back a text as it used to")
            .parameter::<String>("text", "What comes back.")
            .deprecated("Use provider::corner::string instead.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        Ok(arguments.get::<String>(0)?.encode())
    }
}

/// Adds all of them.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry
        .function(Text)
        .function(Truth)
        .function(Exact)
        .function(Float32)
        .function(Float64)
        .function(Integer64)
        .function(Integer32)
        .function(Anything)
        .function(TextList)
        .function(TextSet)
        .function(TextMap)
        .function(Object)
        .function(LooseObject)
        .function(Variadic)
        .function(DynamicVariadic)
        .function(Describe)
        .function(Refuse)
        .function(Old);
}

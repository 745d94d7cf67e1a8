//! A function behind its type.

use async_trait::async_trait;

use crate::function::{Arguments, Signature};
use crate::value::Value;
use crate::{Function, FunctionError};

#[async_trait]
pub(crate) trait AnyFunction: Send + Sync {
    fn name(&self) -> &'static str;
    fn signature(&self) -> Signature;
    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError>;
}

pub(crate) struct TypedFunction<F>(F);

impl<F: Function> TypedFunction<F> {
    pub(crate) fn new(function: F) -> Self {
        Self(function)
    }
}

#[async_trait]
impl<F: Function> AnyFunction for TypedFunction<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn signature(&self) -> Signature {
        self.0.signature()
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        self.0.call(arguments).await
    }
}

//! Mistakes in a model are errors at compile time, with a sentence that helps.

#[test]
fn mistakes_in_a_model_are_compile_errors() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/misuse/*.rs");
}

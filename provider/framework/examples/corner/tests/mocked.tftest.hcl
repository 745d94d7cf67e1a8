# The provider says what there is, and never does anything.
mock_provider "corner" {
  mock_resource "corner_planned" {
    defaults = {
      address = "mocked"
    }
  }
}

run "what_is_computed_is_made_up" {
  assert {
    condition     = output.address == "mocked"
    error_message = "The mock did not say the address."
  }
}

run "functions_give_back_what_they_take" {
  command = plan

  assert {
    condition     = output.echoed.number == 123456789012345678901234567890
    error_message = "A number lost its digits."
  }

  assert {
    condition     = output.echoed.texts == tolist(["a", "b"])
    error_message = "The arguments came back in another way."
  }
}

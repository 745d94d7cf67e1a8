run "a_plan_knows_the_defaults" {
  command = plan

  assert {
    condition     = corner_planned.this.tier == "slow"
    error_message = "The default is not planned."
  }

  assert {
    condition     = corner_planned.this.address != null
    error_message = "A promise is not kept."
  }
}

run "an_apply_knows_the_rest" {
  variables {
    size = 5
  }

  assert {
    condition     = output.address == "corner/tested/1"
    error_message = "The address is not what the provider makes."
  }

  assert {
    condition     = data.corner_everything.asked.number == 123456789012345678901234567890
    error_message = "A number lost its digits."
  }
}

run "a_larger_one_is_the_same_object" {
  variables {
    size = 6
  }

  assert {
    condition     = corner_planned.this.revision == 2
    error_message = "It was not updated in place."
  }
}

run "a_smaller_one_is_another_object" {
  variables {
    size = 4
  }

  assert {
    condition     = corner_planned.this.revision == 1
    error_message = "It was not made anew."
  }
}

run "a_negative_size_is_refused" {
  command = plan

  variables {
    size = -1
  }

  expect_failures = [var.size]
}

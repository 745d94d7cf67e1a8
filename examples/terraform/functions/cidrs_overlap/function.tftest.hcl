run "networks_that_are_apart_are_accepted" {
  command = plan
}

run "networks_that_overlap_are_refused" {
  command = plan

  variables {
    networks = ["10.10.0.0/16", "10.10.128.0/17"]
  }

  expect_failures = [var.networks]
}

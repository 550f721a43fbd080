"""What users and we test with: conformance suites. Needs pytest and hypothesis."""

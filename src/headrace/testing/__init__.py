"""What users and we test with: conformance suites. Needs pytest and hypothesis."""

import pytest

pytest.register_assert_rewrite("headrace.testing.engines", "headrace.testing.lanes")

"""A service that one can break on purpose, its load, and a real Prometheus: for the demo and for the tests."""

"""Benchmarks: `python -m bench` runs all of them, `python -m bench judge --runs 10000` one."""

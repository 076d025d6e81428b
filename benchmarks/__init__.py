"""Benchmarks: `python -m benchmarks SCENARIO` measures one promise of speed and writes it as JSON and Markdown."""

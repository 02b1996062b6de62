"""The bench: it measures the cost, the latency and the needs of an answer, beside an echo and beside peers.

`python -m loadtest.bench` runs everything and writes `reports/bench.json`; docs/performance.md says how to read it.
"""

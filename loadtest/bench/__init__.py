"""The bench: what an answer costs, how long it takes and what it needs, beside an echo and beside peers.

`python -m loadtest.bench` runs everything and writes `reports/bench.json`; docs/performance.md says how to read it.
"""

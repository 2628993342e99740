"""Real daemons in namespaces of their own: for the tests, the demo and the benchmarks."""

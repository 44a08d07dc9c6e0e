"""How fast kerasgan is, against what one would write instead: `scripts/benchmark`.

A benchmark is one module with `rows(quick) -> list[Row]` and one line in `__main__.BENCHMARKS`. What is compared is
measured in one run, in turns (`timing`), because machines differ and are noisy; `quick` shrinks everything until it
runs in seconds and its numbers mean nothing. All of it is about processors: GPUs are not used.
"""

//! Random histories: faults, then quiet, then it must converge. A failing run prints its seed.

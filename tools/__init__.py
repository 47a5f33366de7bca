"""The command line: runners, run folders, report, benchmarks.  May use every other package; none of them uses it."""

"""Algorithms that `bench lean` measures; they run inside of the engine, not inside of the tools."""

"""The embedded engine: runs an unmodified LEAN Python algorithm with LEAN's semantics."""

"""One module per command of `./bulkhead`; each has a click command named `command`."""

"""The command line: one small file per command, found by `vesalius.cli.main`."""

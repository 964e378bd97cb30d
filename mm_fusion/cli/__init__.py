"""The command `mm-fusion`: one file per verb, which parses, calls and prints."""

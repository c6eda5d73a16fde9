"""The command line. The project prints here alone."""

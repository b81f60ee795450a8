"""The command line: exit codes and process-wide settings."""

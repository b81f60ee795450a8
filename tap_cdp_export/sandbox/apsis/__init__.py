"""APSIS One in the sandbox."""

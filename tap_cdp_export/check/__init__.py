"""First contact: which facts that the vendor pages mark unknown an account's own answers confirm or refute."""

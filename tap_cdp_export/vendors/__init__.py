"""The vendors, one package each."""

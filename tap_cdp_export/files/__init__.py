"""Downloaded files: kept, verified, decompressed and split."""

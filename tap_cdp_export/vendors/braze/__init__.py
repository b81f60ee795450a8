"""Braze: a segment export that ends in an archive of JSON lines."""

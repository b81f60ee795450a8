"""APSIS One: an export job that ends in one huge nested JSON file, flattened into profiles and events."""

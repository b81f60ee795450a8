"""The targets, loaded by Meltano for real, and asked what they hold."""

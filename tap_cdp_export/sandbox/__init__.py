"""A simulator of the three vendors on loopback ports, for first steps, tests, benchmarks and fault campaigns.

Written from the vendors' documentation only; it shares no code with the tap.
"""

"""The three vendors on a loopback port: for newcomers, tests, benchmarks and fault campaigns.

Written from the vendors' pages alone; it shares no code with the tap it tests.
"""

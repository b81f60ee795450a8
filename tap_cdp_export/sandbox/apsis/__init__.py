"""Simulation of APSIS One."""

"""Simulation of Braze."""

"""Simulation of Salesforce Marketing Cloud Personalization."""

"""Salesforce Marketing Cloud Personalization in the sandbox."""

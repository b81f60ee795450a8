"""Salesforce Marketing Cloud Personalization (was Evergage): paged exports of users and accounts."""

"""The tables around the users: lists, details, suppression lists and series (docs/vendors/endpoints.md, part B)."""

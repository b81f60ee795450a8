"""Export jobs: request, save in STATE, poll, download."""

"""Export jobs: requested, recorded in state, polled, downloaded."""

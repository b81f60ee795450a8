"""Asynchronous export jobs and the files they end in, without a vendor's word."""

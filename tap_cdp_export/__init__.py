"""Singer tap for the exports of three customer-data platforms."""

"""Public verification of certificates by their code: a page for people, and its data for the REST API."""

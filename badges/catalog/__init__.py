"""The badge templates: their requirements, issuers and revisions."""

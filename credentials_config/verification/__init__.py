"""The public answer to "is this certificate true?": a page for people, and the words behind it for programs."""

"""The demo: what it feeds the house with, and what it shows afterwards."""

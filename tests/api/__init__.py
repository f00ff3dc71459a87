"""The public interface for Python code."""

"""Uploaded files: names, storage in step with their rows, deletion, sweeping of orphans."""

"""Evidence: what a run leaves on disk, and how it is checked."""

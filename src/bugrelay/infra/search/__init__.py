"""What is typed into a search, and how well a word ranks in a document: the same rules for all that is searched."""

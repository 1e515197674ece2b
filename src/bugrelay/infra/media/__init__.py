"""Pictures, decoded and written anew."""

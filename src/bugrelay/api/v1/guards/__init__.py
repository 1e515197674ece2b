"""What a route's path names, loaded and checked before the body is read."""

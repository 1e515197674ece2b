"""Who follows a bug, what they are told of, and the mails that tell it."""

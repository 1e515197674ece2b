"""Companies: who stands behind which applications, and who may speak for them."""

"""Jobs in the transaction that asks for them."""

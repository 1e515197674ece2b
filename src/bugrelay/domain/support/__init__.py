"""Reports from inside a company's product: tickets, with what the browser knew of the moment."""

"""Links between tickets and public bugs: publication, tracking, linking, status propagation."""

"""Examples of the OpenAPI document."""

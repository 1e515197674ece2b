"""JSON over HTTP: routes and wire requests, nothing that decides."""

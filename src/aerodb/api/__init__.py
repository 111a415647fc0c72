"""HTTP: routes, schemas and the OpenAPI document; calls the control plane alone."""

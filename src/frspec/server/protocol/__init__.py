"""What comes in and what goes out, as pydantic models: the checks, and the description at ``/openapi.json``."""
